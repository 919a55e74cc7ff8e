#!/usr/bin/env python3
"""A peer of this library behind JSON lines.

Reads one command per line from stdin and writes one event per line to stdout;
README.md beside this file lists both. Diagnostics go to stderr. Run it with
PYTHONPATH=bindings/python and SETOWIRE_LIBRARY naming the built library.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from typing import Any

import setowire

IMPLEMENTATION = os.environ.get("PEER_NAME", "setowire")
EVENTS = sys.stdout
sys.stdout = sys.stderr  # a stray print must not end up between the events

# Values up to this size are shown in full.
HEX_LIMIT = 256 * 1024
# Options of `start` that the library takes.
OPTIONS = (
    "seed", "max_peers", "seeds", "bind", "lan", "lan_interfaces", "peer_cache", "clear_fragments", "send_buffer",
    "cipher", "legacy", "max_message", "accept_explicit",
)
# Options of `start` that the protocol of the driver has and this version does not use yet.
UNUSED = ("storage", "relay", "bootstrap", "bootstrap_http", "piping_servers", "exclusive_piping", "store_cache_max")

Command = dict[str, Any]
Answer = tuple[str, dict[str, Any]]


def emit(event: str, /, **fields: Any) -> None:
    EVENTS.write(json.dumps({"ev": event, **fields}, separators=(",", ":")) + "\n")
    EVENTS.flush()


def content(data: bytes) -> dict[str, Any]:
    """Length and SHA-256 of some bytes, and the bytes if there are not too many."""
    fields: dict[str, Any] = {"len": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if len(data) <= HEX_LIMIT:
        fields["hex"] = data.hex()
    return fields


def topic_bytes(command: Command) -> bytes | None:
    if command.get("name"):
        return hashlib.sha256(command["name"].encode()).digest()
    return bytes.fromhex(command["topic"]) if command.get("topic") else None


def local_address(interfaces: str | list[str] | None) -> str:
    """The IPv4 address of the first interface that beacons leave by (Linux; elsewhere loopback)."""
    wanted = interfaces.split(",") if isinstance(interfaces, str) else interfaces
    names = [name.strip() for name in wanted or []] or [name for _, name in socket.if_nameindex() if name != "lo"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for name in names:
            try:
                siocgifaddr = 0x8915
                answer = fcntl.ioctl(probe, siocgifaddr, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # it has no IPv4 address
            return socket.inet_ntoa(answer[20:24])
    return "127.0.0.1"


class Flow:
    """Numbered messages to and from one peer, with the times at which they were sent and received."""

    HEAD = struct.Struct(">4sBQd")
    MAGIC = b"FLOW"
    SMALL, BULK, LAST = range(3)
    SMALL_BYTES = 100

    def __init__(self) -> None:
        self.sending = False
        self.sent = 0
        #: Number, time sent, time received: of all that came.
        self.log: list[tuple[int, float, float]] = []
        self.waiting: list[tuple[float, asyncio.Future[float]]] = []

    async def send(self, peer: setowire.Peer, rate: float, bulk: int, bulk_period: float) -> None:
        """Sends small messages at a rate and large ones in a period until `sending` is false, then the last one."""
        self.sending = True
        next_small = next_bulk = time.monotonic()
        while self.sending:
            await self.write(peer, self.SMALL, self.SMALL_BYTES)
            next_small += 1 / rate
            if bulk and next_bulk <= time.monotonic():
                await self.write(peer, self.BULK, bulk)
                next_bulk += bulk_period
            await asyncio.sleep(max(0.0, next_small - time.monotonic()))
        await self.write(peer, self.LAST, self.SMALL_BYTES)

    async def write(self, peer: setowire.Peer, kind: int, size: int) -> None:
        while not peer.write(self.HEAD.pack(self.MAGIC, kind, self.sent, time.monotonic()).ljust(size, b"\0")):
            if not peer.connected:
                raise ConnectionError(f"the peer is gone after {self.sent} messages")
            await asyncio.sleep(0.005)
        self.sent += 1

    def receive(self, data: bytes) -> bool:
        """Takes a message of a flow; false: it is none."""
        if len(data) < self.HEAD.size or not data.startswith(self.MAGIC):
            return False
        _, kind, number, sent = self.HEAD.unpack_from(data)
        received = time.monotonic()
        self.log.append((number, sent, received))
        for at, future in self.waiting:
            if sent >= at and not future.done():
                future.set_result(received)
        self.waiting = [entry for entry in self.waiting if not entry[1].done()]
        if kind == self.LAST:
            emit("flowed", log=self.log)
            self.log = []
        return True

    async def after(self, at: float) -> float:
        """When the first message came that was sent after this time."""
        for _, sent, received in self.log:
            if sent >= at:
                return received
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.waiting.append((at, future))
        return await future


class Driver:
    """One swarm and the commands for it."""

    def __init__(self) -> None:
        self.swarm: setowire.Swarm | None = None
        self.ip = ""
        self.ended = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.flow = Flow()

    # -- commands -----------------------------------------------------------

    async def cmd_start(self, command: Command) -> Answer:
        if self.swarm is not None:
            raise RuntimeError("already started")
        for name in UNUSED:
            if command.get(name):
                print(f"driver: {name} is not used in this version", file=sys.stderr)
        options = {name: command[name] for name in OPTIONS if command.get(name) is not None}
        swarm = self.swarm = setowire.Swarm(options)
        self.ip = local_address(command.get("lan_interfaces"))
        swarm.on("connection", self.on_connection)
        swarm.on("message", self.on_message)
        swarm.on("datagram", lambda data, peer: emit("datagram", peer=peer.id, **content(data)))
        swarm.on("stream", self.on_stream)
        swarm.on("close", self.on_close)
        topic = topic_bytes(command)
        if topic is not None:
            await swarm.join(topic, secret=command.get("secret"))
        return "ready", self.description()

    async def cmd_join(self, command: Command) -> Answer:
        topic = topic_bytes(command)
        if topic is None:
            raise ValueError("join takes a topic or a name")
        await self.started.join(topic, secret=command.get("secret"))
        return "joined", {"topic_hash": hashlib.sha1(topic.hex().encode()).hexdigest()[:12]}

    async def cmd_leave(self, command: Command) -> Answer:
        topic = topic_bytes(command)
        if topic is None:
            raise ValueError("leave takes a topic or a name")
        await self.started.leave(topic)
        return "left_topic", {}

    async def cmd_dial(self, command: Command) -> Answer:
        ip, port = command["ip"], int(command["port"])
        self.spawn(self.dial(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}", command.get("key")))
        return "dialing", {"ip": ip, "port": port}

    async def cmd_write(self, command: Command) -> Answer:
        sent = self.find(command["peer"]).write(bytes.fromhex(command["hex"]))
        return "wrote", {"peer": command["peer"], "ok": sent}

    async def cmd_datagram(self, command: Command) -> Answer:
        sent = self.find(command["peer"]).send_datagram(bytes.fromhex(command["hex"]))
        return "wrote", {"peer": command["peer"], "ok": sent}

    async def cmd_stream(self, command: Command) -> Answer:
        """Sends something on a stream of its own, reads what comes back."""
        stream = await self.find(command["peer"]).open_stream()
        stream.write(bytes.fromhex(command["hex"]))
        stream.write_eof()
        return "streamed", {"peer": command["peer"], **content(await stream.read())}

    async def cmd_broadcast(self, command: Command) -> Answer:
        return "broadcasted", {"sent": self.started.broadcast(bytes.fromhex(command["hex"]))}

    async def cmd_flow(self, command: Command) -> Answer:
        (peer,) = self.started.peers
        bulk, period = int(command.get("bulk", 0)), float(command.get("bulk_period", 1))
        self.spawn(self.flow.send(peer, float(command["rate"]), bulk, period))
        return "flowing", {"peer": peer.id, "session": peer.session}

    async def cmd_flow_after(self, command: Command) -> Answer:
        return "flow_passed", {"received": await self.flow.after(float(command["at"]))}

    async def cmd_flow_end(self, command: Command) -> Answer:
        self.flow.sending = False
        return "flow_ending", {}

    async def cmd_close(self, command: Command) -> Answer:
        self.find(command["peer"]).close()
        return "closing", {"peer": command["peer"]}

    async def cmd_store(self, command: Command) -> Answer:
        raise NotImplementedError("values are not available in this version")

    async def cmd_fetch(self, command: Command) -> Answer:
        raise NotImplementedError("values are not available in this version")

    async def cmd_peers(self, command: Command) -> Answer:
        peers = [
            {
                "id": peer.id,
                "address": peer.address,
                "port": peer.port,
                "rtt": peer.rtt,
                "mesh": peer.in_mesh,
                "open": peer.connected,
            }
            for peer in self.started.peers
        ]
        return "peers", {"peers": peers}

    async def cmd_info(self, command: Command) -> Answer:
        return "info", self.description()

    async def cmd_destroy(self, command: Command) -> Answer:
        if self.swarm is not None:
            await self.swarm.destroy()
        self.ended.set()
        return "destroyed", {}

    # -- what they share ----------------------------------------------------

    @property
    def started(self) -> setowire.Swarm:
        if self.swarm is None:
            raise RuntimeError("not started")
        return self.swarm

    def description(self) -> dict[str, Any]:
        swarm = self.started
        return {
            "id": swarm.id,
            "key": swarm.key.hex(),
            "ip": self.ip,
            "port": swarm.port,
            "impl": IMPLEMENTATION,
            "nat": "unknown",
            "public": None,
        }

    def find(self, name: str) -> setowire.Peer:
        """The peer whose id begins with this, or is the beginning of it."""
        for peer in self.started.peers if name else ():
            if peer.id.startswith(name) or name.startswith(peer.id):
                return peer
        raise KeyError(f"no such peer: {name}")

    async def dial(self, address: str, key: str | None) -> None:
        try:
            await self.started.connect(address, key=key)
        except setowire.SetowireError as failure:
            emit("dial_failed", address=address, message=str(failure))

    def on_connection(self, peer: setowire.Peer) -> None:
        emit("connection", peer=peer.id, address=peer.address, port=peer.port, session=peer.session, topics=len(peer.topics))
        peer.on("close", lambda: emit("disconnect", peer=peer.id, reason=peer.reason))

    def on_message(self, message: setowire.Message) -> None:
        if not self.flow.receive(message.data):
            signed = {"author": message.author.hex()} if message.author else {}
            emit("data", peer=message.peer.id, **content(message.data), **signed)

    async def on_stream(self, stream: setowire.Stream) -> None:
        """Sends back what comes."""
        async with stream:
            data = await stream.read()
            emit("stream", peer=stream.peer.id, **content(data))
            stream.write(data)
            stream.write_eof()
            await stream.drain()

    def on_close(self) -> None:
        print("driver: the swarm is closed", file=sys.stderr)

    # -- dispatch -----------------------------------------------------------

    async def handle(self, line: str) -> None:
        name, request = None, {}
        try:
            command = json.loads(line)
            name = command["cmd"]
            if command.get("req") is not None:
                request = {"req": command["req"]}
            run = getattr(self, f"cmd_{name}", None)
            if run is None:
                raise ValueError(f"unknown command: {name}")
            if self.swarm is None and name not in ("start", "destroy"):
                raise RuntimeError("not started")
            event, fields = await run(command)
            emit(event, **fields, **request)
        except Exception as failure:
            emit("error", cmd=name, message=f"{type(failure).__name__}: {failure}", **request)
            traceback.print_exc()

    def submit(self, line: str) -> None:
        self.spawn(self.handle(line))

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def read_commands(loop: asyncio.AbstractEventLoop, driver: Driver) -> None:
    try:
        for line in sys.stdin:
            if line.strip():
                loop.call_soon_threadsafe(driver.submit, line)
        loop.call_soon_threadsafe(driver.submit, '{"cmd":"destroy"}')
    except RuntimeError:
        pass  # the loop has ended: so has this program


async def main() -> None:
    driver = Driver()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, driver.ended.set)
    threading.Thread(target=read_commands, args=(loop, driver), daemon=True).start()
    await driver.ended.wait()
    while others := driver.tasks - {asyncio.current_task()}:
        await asyncio.wait(others)


if __name__ == "__main__":
    asyncio.run(main())
