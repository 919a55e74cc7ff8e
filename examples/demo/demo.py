#!/usr/bin/env python3
"""Five programs on this machine find each other by a topic and talk.

No configuration, no server, no internet: beacons on the loopback interface are
all they have. Each greets each, one sends to all, one leaves. The program ends
by itself: exit code 0 if everything happened, 1 (and what was missing) if not.

This process only starts the five and shows what they report; each of them is
this file again, as `demo.py --peer NAME TOPIC`.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable
from itertools import combinations, permutations
from typing import Any

import setowire

NAMES = ("ada", "ben", "cleo", "dan", "eve")
PATIENCE = 20.0  # seconds for each step; on a quiet machine all of them take about one

# ---- One of the five ----


def loopback() -> str:
    return next(name for _, name in socket.if_nameindex() if name in ("lo", "lo0"))


def tell(event: str, **fields: Any) -> None:
    """Reports to the process that started us. The clock is the machine's: the same for all."""
    print(json.dumps({"event": event, "at": time.monotonic(), **fields}), flush=True)


async def peer_main(name: str, topic: bytes) -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with setowire.Swarm(lan_interfaces=loopback(), bind="127.0.0.1:0") as swarm:

        def on_connection(peer: setowire.Peer) -> None:
            tell("met", id=peer.id, source=peer.source)
            peer.write(f"hello from {name}".encode())

        def on_message(message: setowire.Message) -> None:
            # What is sent to all is passed on: its author is not always the peer that it came from.
            sender = message.author.hex()[:16] if message.author else message.peer.id
            tell("got", id=sender, text=message.data.decode())

        swarm.on("connection", on_connection)
        swarm.on("message", on_message)
        swarm.on("disconnect", lambda peer_id: tell("lost", id=peer_id))
        await swarm.join(topic)
        tell("joined", ids=[swarm.key.hex()[:16], swarm.id[:16]], port=swarm.port)
        while command := (await commands.readline()).decode().strip():
            if command == "broadcast":
                tell("sent", peers=swarm.broadcast(f"news from {name}".encode()))
            elif command == "measure":
                while any(peer.rtt is None for peer in swarm.peers):
                    await asyncio.sleep(0.02)
                sessions = {peer.id: f"{peer.session} ({peer.security})" for peer in swarm.peers}
                tell("measured", rtt={peer.id: peer.rtt for peer in swarm.peers}, sessions=sessions)
    tell("left")


# ---- The one that starts them and shows it ----


class Failed(Exception):
    """Something did not happen in time; the text says what."""


class Screen:
    """Lines with the time since the start, in colour on a terminal."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def bold(self, text: str) -> str:
        return self.paint("1", text)

    def step(self, text: str, at: float | None = None) -> None:
        since = (time.monotonic() if at is None else at) - self.start
        print(f"  {self.paint('2', f'{1000 * since:5.0f} ms')}  {text}", flush=True)


class Show:
    """What the five have reported so far, and the steps that need it."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.children: dict[str, asyncio.subprocess.Process] = {}
        self.names: dict[str, str] = {}  # id -> name
        self.events: list[dict[str, Any]] = []
        self.changed = asyncio.Condition()

    async def start(self) -> None:
        topic = secrets.token_hex(32)  # of this run alone: demos at the same time do not meet
        for name in NAMES:
            command = [sys.executable, __file__, "--peer", name, topic]
            pipe = asyncio.subprocess.PIPE
            self.children[name] = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        for name in NAMES:
            asyncio.create_task(self.listen(name))

    async def listen(self, name: str) -> None:
        output = self.children[name].stdout
        assert output is not None
        async for line in output:
            event = {"name": name, **json.loads(line)}
            async with self.changed:
                if event["event"] == "joined":
                    self.names.update(dict.fromkeys(event["ids"], name))
                self.events.append(event)
                self.changed.notify_all()

    def command(self, name: str, text: str) -> None:
        pipe = self.children[name].stdin
        assert pipe is not None
        pipe.write(f"{text}\n".encode())

    def found(self, kind: str) -> Iterable[dict[str, Any]]:
        return (event for event in self.events if event["event"] == kind)

    def between(self, kind: str, prefix: str = "") -> dict[tuple[str, str], dict[str, Any]]:
        """The first event of a kind for each (who reports, about whom)."""
        pairs: dict[tuple[str, str], dict[str, Any]] = {}
        for event in self.found(kind):
            about = self.names.get(event["id"])
            if about is not None and event.get("text", "").startswith(prefix):
                pairs.setdefault((event["name"], about), event)
        return pairs

    async def until(self, wanted: Iterable[Any], there: Callable[[], Iterable[Any]], missing: str) -> None:
        """Waits until everything wanted is there; `missing` says what it means if some of it is not."""
        wanted = set(wanted)

        async def wait() -> None:
            async with self.changed:
                await self.changed.wait_for(lambda: wanted <= set(there()))

        try:
            await asyncio.wait_for(wait(), PATIENCE)
        except asyncio.TimeoutError:
            rest = ", ".join(" > ".join(one) if isinstance(one, tuple) else one for one in sorted(wanted - set(there())))
            raise Failed(f"{missing} within {PATIENCE:.0f} s: {rest}") from None

    async def run(self) -> None:
        screen, everybody, each = self.screen, set(NAMES), set(permutations(NAMES, 2))
        await self.start()
        await self.until(everybody, lambda: self.names.values(), "did not join")
        joined = {event["name"]: event for event in self.found("joined")}
        ports = ", ".join(f"{name} :{joined[name]['port']}" for name in NAMES)
        last = max(event["at"] for event in joined.values())
        screen.step(f"{screen.bold('five processes')} have joined   {screen.paint('2', ports)}", last)

        await self.until(each, lambda: self.between("met"), "did not meet")
        met = self.between("met")
        screen.step(f"{screen.bold('everybody has met')}: 10 pairs", max(event["at"] for event in met.values()))

        await self.until(each, lambda: self.between("got", "hello"), "no greeting arrived")
        last = max(event["at"] for event in self.between("got", "hello").values())
        screen.step(f"{screen.bold('each has greeted each')}: 20 greetings arrived", last)

        for name in NAMES:
            self.command(name, "measure")
        await self.until(everybody, lambda: [e["name"] for e in self.found("measured")], "measured no round-trip time")

        speaker, leaver = NAMES[0], NAMES[-1]
        self.command(speaker, "broadcast")
        audience = [(name, speaker) for name in NAMES if name != speaker]
        await self.until(audience, lambda: self.between("got", "news"), "the broadcast did not arrive")
        last = max(event["at"] for event in self.between("got", "news").values())
        screen.step(f"{screen.bold(f'{speaker} has sent to all')}: 4 of 4 received it", last)

        self.command(leaver, "")
        rest = [(name, leaver) for name in NAMES if name != leaver]
        await self.until(rest, lambda: self.between("lost"), "the leaving was not noticed")
        last = max(event["at"] for event in self.between("lost").values())
        screen.step(f"{screen.bold(f'{leaver} has left')}: 4 of 4 noticed", last)
        self.table(met, joined)

        for name in NAMES:
            if name != leaver:
                self.command(name, "")
        codes = await asyncio.wait_for(asyncio.gather(*(child.wait() for child in self.children.values())), PATIENCE)
        for name, code in zip(NAMES, codes):
            if code != 0:
                raise Failed(f"{name} ended with exit code {code}")

    def table(self, met: dict[tuple[str, str], dict[str, Any]], joined: dict[str, dict[str, Any]]) -> None:
        """Who met whom. The time counts from when the second of the two joined until both knew."""
        rtt = {(e["name"], self.names[peer]): ms for e in self.found("measured") for peer, ms in e["rtt"].items()}
        sessions = {(e["name"], self.names[peer]): s for e in self.found("measured") for peer, s in e["sessions"].items()}
        print()
        print(self.screen.bold("  who met whom    found by                  after   session               round trip"))
        for one, other in combinations(NAMES, 2):
            sides = met[one, other], met[other, one]
            after = 1000 * (max(s["at"] for s in sides) - max(joined[one]["at"], joined[other]["at"]))
            found = self.source(one, other, sides[0]["source"], sides[1]["source"])
            trip = min(rtt[one, other], rtt[other, one])
            print(f"  {one:>4} - {other:<7}  {found:<23} {max(after, 0):>5.0f} ms   {sessions[one, other]:<20} {trip:>7.2f} ms")
        print(self.screen.paint("2", "  after: from when the second of the two had joined until both knew"))
        print()

    @staticmethod
    def source(one: str, other: str, by_one: str, by_other: str) -> str:
        """How two found each other: one side or both had a source, for the rest the other was "incoming"."""
        if by_one == by_other:
            return f"{by_one}, heard by both"
        if by_other == "incoming":
            return f"{by_one}, heard by {one}"
        if by_one == "incoming":
            return f"{by_other}, heard by {other}"
        return f"{by_one} / {by_other}"

    async def stop(self) -> None:
        """Ends what still runs of the processes started here."""
        for child in self.children.values():
            if child.returncode is None:
                child.kill()
                await child.wait()


async def demo() -> int:
    screen = Screen()
    print()
    print(screen.bold("  Five programs find each other by a topic and talk."))
    print(f"  No server, no configuration, no internet: beacons on the loopback interface ({loopback()}) only.")
    print()
    show = Show(screen)
    try:
        await show.run()
    except Failed as failure:
        print(f"\n  {screen.paint('31', 'FAILED')}: {failure}\n", file=sys.stderr)
        return 1
    finally:
        await show.stop()
    screen.step(screen.paint("32", "done: everything happened as it should"))
    print()
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        asyncio.run(peer_main(sys.argv[2], bytes.fromhex(sys.argv[3])))
    else:
        sys.exit(asyncio.run(demo()))
