"""What a swarm reports, as small value objects.

`setowire.sync.Swarm.poll` returns them; the asyncio class hands `Message` to
`async for`. The names for `on` are listed with each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union

from .errors import SetowireError

if TYPE_CHECKING:
    from .known import Candidate, PeerInfo
    from ._stream import StreamBase
    from .peer import PeerBase
    from .topic import TopicBase

PeerT = TypeVar("PeerT", bound="PeerBase")
StreamT = TypeVar("StreamT", bound="StreamBase")


@dataclass(slots=True)
class Connection(Generic[PeerT]):
    """A peer answered: messages can be exchanged. `connection`, and `open` of the peer."""

    peer: PeerT


@dataclass(slots=True)
class Update(Generic[PeerT]):
    """`peer.confirmed`, its address, its family or its topics changed. `update`."""

    peer: PeerT


@dataclass(slots=True)
class Disconnection(Generic[PeerT]):
    """The last event about this peer. `disconnect`, and `close` of the peer."""

    peer: PeerT
    #: Why it left, in words.
    reason: str
    #: The same as an exception; its `code` is the number of the C library.
    error: SetowireError | None


@dataclass(slots=True)
class Message(Generic[PeerT]):
    """A message of a peer. `data` (bytes and peer) and `message` (this object)."""

    peer: PeerT
    data: bytes
    #: True: it came unencrypted, anyone on the way may have written it.
    clear: bool = False
    #: The topic it was sent to with `broadcast`; None: it was sent to us alone, or its topic is not known.
    topic: TopicBase | None = None
    #: The Ed25519 key that signed a broadcast, whoever passed it on (`peer`); None: nobody did, as over p2p-v12.
    author: bytes | None = None


@dataclass(slots=True)
class Datagram(Generic[PeerT]):
    """A datagram of a peer. `datagram`."""

    peer: PeerT
    data: bytes


@dataclass(slots=True)
class IncomingStream(Generic[StreamT]):
    """A peer opened a stream. `stream`."""

    stream: StreamT


@dataclass(slots=True)
class Writable(Generic[PeerT]):
    """A `write` to this peer returned false; there is room again. `writable`."""

    peer: PeerT


@dataclass(slots=True)
class PeerCache:
    """Peers to keep for the next run: `{id, ip, port, lastSeen}` each. `peers`."""

    peers: list[dict[str, Any]]


@dataclass(slots=True)
class Lost:
    """Messages were dropped because nobody read them in time. `lost`."""

    #: Since the last such event.
    messages: int


@dataclass(slots=True)
class Changed:
    """The number of dials, of connections or of known peers changed: for what shows them. `changed`."""

    connecting: int
    connections: int
    known: int


@dataclass(slots=True)
class PeerFound:
    """Discovery found a peer, which waits to be dialled now. `peer`."""

    candidate: Candidate


@dataclass(slots=True)
class PeerRejected:
    """Discovery found a peer that the option `validate` did not want. `peer-rejected`."""

    candidate: Candidate


@dataclass(slots=True)
class TopicUpdated:
    """A round of discovery ended. `updated`."""

    topic: TopicBase
    #: A source worked.
    ok: bool


@dataclass(slots=True)
class PeerTopic:
    """A peer was found by one more topic of ours. `topic`, and `topic` of the `PeerInfo`."""

    info: PeerInfo
    topic: bytes


@dataclass(slots=True)
class Banned:
    """The option `firewall` rejected a peer. `ban`."""

    info: PeerInfo
    reason: str


@dataclass(slots=True)
class Closed:
    """The swarm ended; nothing follows. `close`."""

    #: None: it was closed by the application.
    error: SetowireError | None


#: What there is to know beside connections and what comes over them.
News = Union[Changed, PeerFound, PeerRejected, TopicUpdated, PeerTopic, Banned]

Event = Union[
    Connection[PeerT],
    Update[PeerT],
    Disconnection[PeerT],
    Message[PeerT],
    Datagram[PeerT],
    IncomingStream[Any],
    Writable[PeerT],
    PeerCache,
    Lost,
    News,
    Closed,
]
