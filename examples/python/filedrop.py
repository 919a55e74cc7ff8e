#!/usr/bin/env python3
"""Gives a file to somebody on the same network.

    python3 filedrop.py send FILE            prints a code
    python3 filedrop.py receive CODE [FOLDER]

The code is the secret of a private topic: only who has it finds the sender, or
learns that there is one. The file goes over one stream, encrypted, as fast as
the receiver writes it down; the receiver answers with its SHA-256.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import setowire

TOPIC = hashlib.sha256(b"setowire file drop").digest()
PIECE = 256 << 10


class Failed(Exception):
    """The file did not arrive; the text says why."""


async def send(swarm: setowire.Swarm, path: Path) -> None:
    code = secrets.token_hex(32)
    receiver: asyncio.Future[setowire.Peer] = asyncio.get_running_loop().create_future()

    def on_connection(peer: setowire.Peer) -> None:
        if not receiver.done():
            receiver.set_result(peer)

    swarm.on("connection", on_connection)
    await swarm.join(TOPIC, secret=code)
    print(f"on the other machine: python3 filedrop.py receive {code}", flush=True)

    peer = await receiver
    digest = hashlib.sha256()
    async with await peer.open_stream() as stream:
        with path.open("rb") as file:
            stream.write(json.dumps({"name": path.name, "size": path.stat().st_size}).encode() + b"\n")
            while data := file.read(PIECE):
                digest.update(data)
                stream.write(data)
                await stream.drain()
        stream.write_eof()
        # To its end: who leaves before that may leave the other side in doubt whether everything came.
        if await stream.read() != digest.hexdigest().encode():
            raise Failed("the receiver has something else than what was sent")
    print(f"sent {path.name} to {peer.remote_address}")


async def receive(swarm: setowire.Swarm, code: str, folder: Path) -> None:
    await swarm.join(TOPIC, secret=code)
    print("looking for the sender", flush=True)
    arrived = False
    try:
        async with await swarm.accept_stream() as stream:
            name, size = parse_header(await stream.readline())
            path = folder / name
            part = path.with_name(name + ".part")
            digest = hashlib.sha256()
            with part.open("xb") as file:  # never over something that is there
                try:
                    while data := await stream.read(PIECE):
                        digest.update(data)
                        file.write(data)
                    if file.tell() != size:
                        raise Failed(f"{file.tell():,} bytes came of {size:,}")
                    file.flush()
                    os.link(part, path)
                    arrived = True
                finally:
                    part.unlink()
            stream.write(digest.hexdigest().encode())
    except setowire.PeerClosedError:
        if not arrived:
            raise
        # The sender has read the answer and left at once.
    print(f"received {path} from {stream.peer.remote_address}, {size:,} bytes")


def parse_header(line: bytes) -> tuple[str, int]:
    """The name and size of a file, from a sender who may say anything."""
    try:
        header = json.loads(line)
        name, size = Path(header["name"]).name, int(header["size"])
    except (ValueError, TypeError, KeyError):
        raise Failed("the sender is no file drop") from None
    if not name.isprintable() or name in ("", ".", "..") or "\\" in name:
        raise Failed(f"the sender calls the file {name!r}, which is no name for one")
    return name, size


async def main() -> None:
    parser = argparse.ArgumentParser(description="Gives a file to somebody on the same network.")
    parser.add_argument("--interfaces", help="interfaces to look on, such as lo (default: all)")
    commands = parser.add_subparsers(dest="command", required=True)
    sending = commands.add_parser("send")
    sending.add_argument("file", type=Path)
    receiving = commands.add_parser("receive")
    receiving.add_argument("code")
    receiving.add_argument("folder", type=Path, nargs="?", default=Path("."))
    arguments = parser.parse_args()

    options: dict[str, Any] = {"lan_interfaces": arguments.interfaces} if arguments.interfaces else {}
    async with setowire.Swarm(legacy=False, **options) as swarm:
        if arguments.command == "send":
            await send(swarm, arguments.file)
        else:
            await receive(swarm, arguments.code, arguments.folder)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (Failed, OSError, ValueError, setowire.SetowireError) as failure:
        sys.exit(f"filedrop: {failure}")
    except KeyboardInterrupt:
        pass
