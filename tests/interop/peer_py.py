#!/usr/bin/env python3
"""A peer of the published package `py-setowire` 0.1.0 behind JSON lines.

Reads one command per line from stdin and writes one event per line to stdout;
README.md beside this file lists both. What the package prints goes to stderr.
Run it only inside a network namespace without a way out: the package multicasts
and asks public servers for its address whenever it can reach them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

EVENTS = sys.stdout
sys.stdout = sys.stderr

# Values up to this size are shown in full.
HEX_LIMIT = 256 * 1024
# Options of `start` handed to the package as they are.
OPTIONS = ("seed", "max_peers", "relay", "bootstrap", "bootstrap_http", "seeds", "piping_servers", "exclusive_piping", "store_cache_max")


def emit(event: str, /, **fields: Any) -> None:
    # One write per line: other threads of the package never write here.
    EVENTS.write(json.dumps({"ev": event, **fields}) + "\n")
    EVENTS.flush()


def content(data: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = {"len": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if len(data) <= HEX_LIMIT:
        fields["hex"] = data.hex()
    return fields


def place(text: str | None) -> dict[str, Any]:
    host, _, port = (text or ":0").rpartition(":")
    return {"address": host, "port": int(port)}


def topic_bytes(command: dict[str, Any]) -> bytes | None:
    if command.get("name") is not None:
        return hashlib.sha256(command["name"].encode()).digest()
    if command.get("topic") is not None:
        return bytes.fromhex(command["topic"])
    return None


class OldPeer:
    """One swarm of the package and the commands it understands."""

    def __init__(self) -> None:
        self.swarm: Any = None
        self.over = asyncio.Event()
        self.commands: dict[str, Callable[[dict[str, Any]], Any]] = {
            "start": self.start, "join": self.join, "dial": self.dial, "write": self.write, "broadcast": self.broadcast,
            "store": self.store, "fetch": self.fetch, "peers": self.peers, "info": self.info, "destroy": self.destroy,
        }

    async def run(self, line: str) -> None:
        """Answers one command; a command that fails answers `error` and ends nothing."""
        name, answer_to = None, {}
        try:
            command = json.loads(line)
            answer_to = {"req": command["req"]} if "req" in command else {}
            name = command["cmd"]
            if self.swarm is None and name not in ("start", "destroy"):
                raise RuntimeError("send start first")
            event, fields = await self.commands[name](command)
            emit(event, **fields, **answer_to)
        except Exception as error:
            emit("error", cmd=name, message=f"{type(error).__name__}: {error}", **answer_to)

    async def start(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if self.swarm is not None:
            raise RuntimeError("it is started already")
        from swarm import Swarm  # type: ignore[import-not-found]

        swarm = Swarm({name: command[name] for name in OPTIONS if command.get(name) is not None})
        swarm.on("connection", lambda peer, *_: emit("connection", peer=peer.id, **place(peer.remote_address)))
        swarm.on("disconnect", lambda peer_id, *_: emit("disconnect", peer=peer_id))
        swarm.on("data", lambda data, peer: emit("data", peer=peer.id, **content(bytes(data))))
        swarm.on("sync", lambda key, value: emit("sync", key=key, **content(bytes(value))))
        for event in ("nat", "nattype"):
            swarm.on(event, lambda *_, event=event: emit(event, public=swarm.public_address, type=swarm.nat_type))
        await swarm._init_task  # the socket is bound when this is done
        self.swarm = swarm
        if topic_bytes(command) is not None:
            await self.join(command)
        return "ready", self.state()

    async def join(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        topic = topic_bytes(command)
        if topic is None:
            raise ValueError("join takes topic or name")
        await self.swarm.join(topic)
        return "joined", {"topic_hash": self.swarm._topic_hash}

    async def dial(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        ip, port = command["ip"], int(command["port"])
        self.swarm._dial(ip, port, command.get("id"), None, None)
        return "dialing", {"ip": ip, "port": port}

    async def write(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        taken = self.find(command["peer"]).write(bytes.fromhex(command["hex"]))
        return "wrote", {"peer": command["peer"], "ok": bool(taken)}

    async def broadcast(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "broadcasted", {"sent": self.swarm.broadcast(bytes.fromhex(command["hex"]))}

    async def store(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        value = bytes.fromhex(command["hex"])
        self.swarm.store(command["key"], value)
        return "stored", {"key": command["key"], "len": len(value)}

    async def fetch(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        value = await self.swarm.fetch(command["key"], timeout=command.get("timeout", 30_000))
        return "fetched", {"key": command["key"], **content(bytes(value))}

    async def peers(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "peers", {"peers": [
            {"id": peer.id, **place(peer.remote_address), "rtt": peer.rtt, "mesh": bool(peer.in_mesh), "open": bool(peer._open)}
            for peer in self.swarm.peers
        ]}

    async def info(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "info", self.state()

    async def destroy(self, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if self.swarm is not None:
            await self.swarm.destroy()
        self.over.set()
        return "destroyed", {}

    def state(self) -> dict[str, Any]:
        swarm = self.swarm
        return {"id": swarm._id, "ip": swarm._lip, "port": swarm._lport, "impl": "py-setowire-0.1.0",
                "nat": swarm.nat_type, "public": swarm.public_address}

    def find(self, wire_id: str) -> Any:
        for peer in self.swarm.peers:
            if wire_id[:16] == peer.id[:16]:
                return peer
        raise KeyError(f"no peer {wire_id} is connected")


async def main() -> None:
    loop = asyncio.get_running_loop()
    peer = OldPeer()
    running: set[asyncio.Task[None]] = set()

    def begin(line: str) -> None:
        task = loop.create_task(peer.run(line))
        running.add(task)
        task.add_done_callback(running.discard)

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(begin, line)
        loop.call_soon_threadsafe(begin, '{"cmd":"destroy"}')

    threading.Thread(target=read, daemon=True).start()
    await peer.over.wait()
    await asyncio.gather(*running, return_exceptions=True)


if __name__ == "__main__":
    asyncio.new_event_loop().run_until_complete(main())
    # Threads of the package may wait for a server for minutes.
    os._exit(0)
