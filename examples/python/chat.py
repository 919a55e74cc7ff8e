#!/usr/bin/env python3
"""Chat with everybody in a room: python3 chat.py <nick> [room]

Works with the chat programs of the older setowire packages. The identity is
kept in identity.json in the current directory, so that others know you again.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import os
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import setowire

IDENTITY = Path("identity.json")


def load_seed() -> str:
    """The seed of the identity file; the first time it is made, readable by nobody else."""
    try:
        return str(json.loads(IDENTITY.read_text())["seed"])
    except FileNotFoundError:
        seed = os.urandom(32).hex()
        file = os.open(IDENTITY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(file, "w") as out:
            json.dump({"seed": seed}, out)
        return seed


def printable(text: Any) -> str:
    """Text from the network without what would control the terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text))[:2000]


def show(line: str) -> None:
    print(f"[{datetime.now():%H:%M}] {line}", flush=True)


class Chat:
    """The room: who is in it, and what is said."""

    def __init__(self, swarm: setowire.Swarm, nick: str) -> None:
        self.swarm = swarm
        self.nick = nick
        self.nicks: dict[str, str] = {}
        swarm.on("connection", self.on_connection)
        swarm.on("data", self.on_data)
        swarm.on("disconnect", self.on_disconnect)

    def message(self, kind: str, **fields: str) -> bytes:
        return json.dumps({"type": kind, "nick": self.nick, **fields}).encode()

    def on_connection(self, peer: setowire.Peer) -> None:
        peer.write(self.message("JOIN"))

    def on_data(self, data: bytes, peer: setowire.Peer) -> None:
        try:
            message = json.loads(data)
            kind, nick = message["type"], printable(message["nick"])
        except (ValueError, KeyError, TypeError):
            return  # not of a chat: older peers also gossip about each other
        if kind == "JOIN" and peer.id not in self.nicks:
            self.nicks[peer.id] = nick
            show(f"* {nick} joined")
            peer.write(self.message("JOIN"))
        elif kind == "MSG":
            show(f"{nick}: {printable(message.get('text', ''))}")
        elif kind == "LEAVE" and self.nicks.pop(peer.id, None):
            show(f"* {nick} left")

    def on_disconnect(self, peer_id: str) -> None:
        nick = self.nicks.pop(peer_id, None)
        if nick is not None:
            show(f"* {nick} disconnected")

    def command(self, line: str) -> bool:
        """Does what a line of input says; false to end."""
        if line == "/quit":
            return False
        if line == "/peers":
            show(f"* {self.swarm.size} connected")
            for peer in self.swarm.peers:
                rtt = "?" if peer.rtt is None else f"{peer.rtt:.1f} ms"
                show(f"*   {peer.id} nick={self.nicks.get(peer.id, '?')} rtt={rtt} mesh={peer.in_mesh}")
        elif line == "/nat":
            show(f"* nat=unknown (this version does not look for it), port {self.swarm.port}")
        elif line.startswith("/"):
            show("* commands: /peers /nat /quit")
        elif line:
            self.swarm.broadcast(self.message("MSG", text=line))
            show(f"{self.nick}: {line}")
        return True


def lines_of_stdin() -> asyncio.Queue[str]:
    """Input lines, read by a thread: a terminal, a pipe or a file. "/quit" at the end."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        try:
            for line in itertools.chain(sys.stdin, ["/quit"]):
                loop.call_soon_threadsafe(lines.put_nowait, line.strip())
        except RuntimeError:
            pass  # the program has ended

    threading.Thread(target=read, daemon=True).start()
    return lines


async def main() -> None:
    parser = argparse.ArgumentParser(description="Chat with everybody in a room.")
    parser.add_argument("nick")
    parser.add_argument("room", nargs="?", default="general")
    parser.add_argument("--interfaces", help="interfaces to look on, such as lo (default: all)")
    arguments = parser.parse_args()

    options: dict[str, Any] = {"lan_interfaces": arguments.interfaces} if arguments.interfaces else {}
    async with setowire.Swarm(seed=load_seed(), **options) as swarm:
        chat = Chat(swarm, arguments.nick)
        await swarm.join(hashlib.sha256(f"chat:{arguments.room}".encode()).digest())
        show(f"* {arguments.nick} in {arguments.room}; commands: /peers /nat /quit")
        lines = lines_of_stdin()
        while chat.command(await lines.get()):
            pass
        for peer in swarm.peers:  # not a broadcast: who gets it is to know whose connection it is about
            peer.write(chat.message("LEAVE"))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
