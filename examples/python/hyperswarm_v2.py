#!/usr/bin/env python3
# mypy: allow-untyped-defs, allow-untyped-calls
"""The usage example of Hyperswarm 2, line for line. Run it twice; with `lo` as argument it stays on this machine. Ctrl-C ends it."""

import asyncio
import hashlib
import sys

from setowire.hyperswarm2 import hyperswarm


async def main():
    swarm = hyperswarm(lan_interfaces=sys.argv[1:])

    # look for peers listed under this topic
    topic = hashlib.sha256(b"my-hyperswarm-topic").digest()

    swarm.join(
        topic,
        lookup=True,  # find & connect to peers
        announce=True,  # optional- announce self as a connection target
    )

    @swarm.on("connection")
    def on_connection(socket, info):
        print("new connection!", info)

        # you can now use the socket as a stream, eg:
        # socket.pipe(sys.stdout)

    await asyncio.Event().wait()  # Node goes on by itself


asyncio.run(main())
