"""Greets everyone on the same topic. With `lo` as argument it stays on this machine."""

import asyncio
import sys

import setowire

TOPIC = b"any 32 bytes, better a SHA-256\0\0"


async def main() -> None:
    async with setowire.Swarm(lan_interfaces=sys.argv[1:]) as swarm:
        swarm.on("connection", lambda peer: peer.write(b"hello"))
        print("waiting for others; Ctrl-C ends", flush=True)
        async for message in await swarm.join(TOPIC):
            print(f"{message.peer.remote_address} says {message.data.decode(errors='replace')}", flush=True)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
