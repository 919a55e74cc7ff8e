#!/usr/bin/env python3
# mypy: allow-untyped-defs, allow-untyped-calls
"""The quick start of the older Python package, line for line. Run it twice; with `lo` as argument it stays on this machine.

Its `store` and `fetch`, which the quick start does not use, do not exist yet.
"""

import asyncio
import hashlib
import sys

from setowire import Swarm


async def main():
    swarm = Swarm(lan_interfaces=sys.argv[1:])
    topic = hashlib.sha256(b"my-topic").digest()

    await swarm.join(topic, announce=True, lookup=True)

    swarm.on("connection", lambda peer: peer.write(b"hello"))
    swarm.on("data", lambda data, peer: print("got:", data))

    await asyncio.sleep(3600)


asyncio.run(main())
