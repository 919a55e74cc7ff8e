#!/usr/bin/env python3
# mypy: allow-untyped-defs, allow-untyped-calls
"""The usage example of p2pswarm and of Hyperswarm, line for line. With `lo` as argument it stays on this machine; Ctrl-C ends it."""

import asyncio
import sys

from setowire.hyperswarm import Hyperswarm


async def main():
    swarm1 = Hyperswarm(lan_interfaces=sys.argv[1:])
    swarm2 = Hyperswarm(lan_interfaces=sys.argv[1:])

    @swarm1.on("connection")
    def serve(conn, info):
        # swarm1 will receive server connections
        conn.write("this is a server connection")
        conn.end()

    @swarm2.on("connection")
    def meet(conn, info):
        conn.on("data", lambda data: print("client got message:", data.decode()))

    topic = (b"hello world" * 3)[:32]  # A topic must be 32 bytes
    discovery = swarm1.join(topic, server=True, client=False)
    await discovery.flushed()  # Waits for the topic to be fully announced on the DHT

    swarm2.join(topic, server=False, client=True)
    await swarm2.flush()  # Waits for the swarm to connect to pending peers.

    # After this point, both client and server should have connections
    await asyncio.Event().wait()  # Node goes on by itself


asyncio.run(main())
