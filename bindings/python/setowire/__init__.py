"""Programs find each other by topic and talk directly: no broker, no account, no server.

    import asyncio, hashlib, setowire

    async def main():
        async with setowire.Swarm() as swarm:
            topic = await swarm.join(hashlib.sha256(b"my topic").digest())
            swarm.on("connection", lambda peer: peer.write(b"hello"))
            async for message in topic:
                print(message.peer.id, message.data)

    asyncio.run(main())

`setowire.Swarm` is for asyncio, `setowire.sync.Swarm` for everything else.
"""

from . import errors, events, sync
from ._native import version as library_version
from ._manage import SwarmState
from ._options import SwarmOptions
from ._source import Announced, Directory
from .aio import Datagram, Lookup, Message, Peer, Stream, Swarm, Topic
from .errors import *  # noqa: F403
from .errors import __all__ as _error_names
from .known import Candidate, PeerInfo
from .topic import TopicInfo

__version__ = "0.1.0"

__all__ = [
    "Announced",
    "Candidate",
    "Datagram",
    "Directory",
    "Lookup",
    "Message",
    "Peer",
    "PeerInfo",
    "Stream",
    "Swarm",
    "SwarmOptions",
    "SwarmState",
    "Topic",
    "TopicInfo",
    "errors",
    "events",
    "library_version",
    "sync",
    *_error_names,
]
