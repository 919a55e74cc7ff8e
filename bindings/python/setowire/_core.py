"""What the asyncio and the synchronous `Swarm` share: peers, listeners, calls.

Records of the native queue come in through `_take`, which keeps the peer table
and returns the event they mean; `_notify` calls the listeners of one event. How
events are waited for is the subclasses' matter.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar
from weakref import WeakValueDictionary

from . import _records, events
from ._emitter import Emitter, Listener
from ._handle import Data, NativeSwarm
from ._manage import NEWS, Managed
from ._options import merge
from ._records import Record
from .errors import CLOSED, ClosedError, SetowireError, error
from .events import Event, PeerT, StreamT
from .topic import TopicBase

TopicT = TypeVar("TopicT", bound=TopicBase)


@dataclass(frozen=True)
class SwarmStats:
    """Counters since the swarm began, and what it holds now (`peers` to `reassembly_bytes`, and `mesh_bytes`)."""

    datagrams_sent: int
    datagrams_received: int
    bytes_sent: int
    bytes_received: int
    messages_sent: int
    messages_received: int
    #: Given up: they could not be repeated, or their receiver left.
    messages_lost: int
    #: Not a frame, not for us, replayed or over a limit.
    datagrams_rejected: int
    dials_started: int
    dials_refused_by_budget: int
    connections: int
    disconnections: int
    #: Messages that nobody read in time.
    events_lost: int
    peers: int
    unconfirmed: int
    dials: int
    ops: int
    topics: int
    buffered_bytes: int
    reassembly_bytes: int
    #: Broadcasts that came over modern sessions, each counted once; copies of those; copies that left.
    mesh_received: int
    mesh_duplicates: int
    mesh_sent: int
    #: Broadcasts refused: forged, replayed, not for us, or more than their author may say.
    mesh_rejected: int
    mesh_bytes: int


class SwarmBase(Managed, Generic[PeerT, StreamT, TopicT]):
    """The swarm without its way of waiting."""

    #: `connection`, `update`, `writable` with the peer, `disconnect` with the peer's id, `data` and `datagram` with the
    #: bytes and the peer, `message` with a `Message`, `stream` with the stream, `peers` with the list, `lost` with a
    #: count, `close` with nothing; `changed` with nothing, `peer` and `peer-rejected` with a `Candidate`, `updated` with the
    #: topic and whether its round worked, `topic` with a `PeerInfo` and the topic's bytes, `ban` with a `PeerInfo` and why.
    EVENTS: ClassVar[tuple[str, ...]] = (
        "connection",
        "data",
        "message",
        "datagram",
        "stream",
        "disconnect",
        "update",
        "writable",
        "peers",
        "lost",
        "close",
        "changed",
        "peer",
        "peer-rejected",
        "updated",
        "topic",
        "ban",
    )

    def __init__(
        self,
        opts: Mapping[str, Any] | None,
        keywords: Mapping[str, Any],
        make_peer: Callable[[NativeSwarm, Mapping[str, Any]], PeerT],
        make_stream: Callable[[NativeSwarm, PeerT, int], StreamT],
    ) -> None:
        super().__init__()
        options = self._options = merge(opts, keywords)
        self._make_peer = make_peer
        self._make_stream = make_stream
        self._peers: dict[int, PeerT] = {}
        self._topics: dict[int, TopicT] = {}
        self._begin_to_manage()
        #: Those that somebody holds.
        self._streams: WeakValueDictionary[int, StreamT] = WeakValueDictionary()
        self._tags = itertools.count(1)
        self._native = NativeSwarm(options)
        info = self._native.info()
        self._id = bytes(info.legacy_id).hex()
        self._key = bytes(info.key)
        self._port_v4: int | None = info.port_v4 or None
        self._port_v6: int | None = info.port_v6 or None
        save: Listener | None = options.get("on_save_peers")
        if save is not None:
            self.on("peers", save)

    @property
    def id(self) -> str:
        """Our id on the old network, 40 hexadecimal digits; to others we are a peer with the first 16 as its `id`."""
        return self._id

    @property
    def key(self) -> bytes:
        """Our Ed25519 public key."""
        return self._key

    @property
    def port(self) -> int | None:
        """The UDP port for IPv4, or for IPv6 if there is no IPv4."""
        return self._port_v4 or self._port_v6

    @property
    def port_v4(self) -> int | None:
        return self._port_v4

    @property
    def port_v6(self) -> int | None:
        return self._port_v6

    @property
    def peers(self) -> list[PeerT]:
        """The connected peers."""
        return list(self._peers.values())

    @property
    def connections(self) -> set[PeerT]:
        """The connected peers, as a set."""
        return set(self._peers.values())

    @property
    def topics(self) -> list[TopicT]:
        """The joined topics in the order they were joined, each by its first session."""
        return self._discoveries()

    def status(self, topic: bytes | bytearray | str) -> TopicT | None:
        """The first session of a joined topic, else None. Its `info` says what it does."""
        session: TopicT | None = self._session_of(topic)
        return session

    @property
    def size(self) -> int:
        """How many peers are connected."""
        return len(self._peers)

    @property
    def mesh_peers(self) -> list[PeerT]:
        """The peers that broadcasts reach directly; in this version all that are connected."""
        return self.peers

    def broadcast(self, data: Data) -> int:
        """Sends a message to the members of every public topic we joined, and to all peers of the older packages.

        Members pass it on to each other. Returns the number of peers it was queued for: one whose queue is full, or that
        cannot take so much, is left out and not counted. `Topic.broadcast` sends to one topic.
        """
        return self._native.broadcast(data)

    def _flush_all(self) -> None:
        for peer in self._peers.values():
            peer._flush()

    def stats(self) -> SwarmStats:
        """Counters of the whole swarm."""
        native = self._native.stats()
        return SwarmStats(**{field.name: getattr(native, field.name) for field in fields(SwarmStats)})

    def network_changed(self) -> None:
        """Tells the swarm that the machine has moved to another network."""
        self._native.network_changed()

    def _take(self, record: Record) -> Event[PeerT] | None:
        """Takes a record into the tables; the event it means, if it is one for the application."""
        kind, data = record.kind, record.data
        if kind == _records.MESSAGE:
            peer = self._peers.get(record.subject)
            return None if peer is None else self._message(peer, record)
        if kind == _records.DATAGRAM:
            peer = self._peers.get(record.subject)
            return None if peer is None else events.Datagram(peer, data)
        if kind in _STREAM_EVENTS:
            return self._take_stream(record)
        if kind == _records.CONNECTION:
            return events.Connection(self._described(record))
        if kind == _records.UPDATE:
            return events.Update(self._described(record))
        if kind == _records.DISCONNECTION:
            peer = self._described(record)
            reason = str(data.get("reason", ""))
            peer.connected, peer.reason = False, reason
            del self._peers[record.subject]
            for stream in list(self._streams.values()):
                if stream.peer is peer:
                    stream._on_peer_gone()
            return events.Disconnection(peer, reason, error(record.code, reason) if record.code else None)
        if kind == _records.WRITABLE:
            peer = self._peers.get(record.subject)
            return None if peer is None else events.Writable(peer)
        if kind == _records.OP_DONE:
            self._completed(record)
            return None
        if kind in NEWS:
            return self._take_news(record)
        if kind == _records.PEERS:
            return events.PeerCache(data)
        if kind == _records.LOST:
            return events.Lost(int(data.get("messages", 0)))
        return events.Closed(error(record.code, data) if record.code else None)

    def _message(self, peer: PeerT, record: Record) -> events.Message[PeerT]:
        topic = self._topics.get(record.tag) if record.flags & _records.MESSAGE_BROADCAST else None
        return events.Message(peer, record.data, bool(record.flags & _records.MESSAGE_CLEAR), topic, record.author)

    def _take_stream(self, record: Record) -> events.IncomingStream[StreamT] | None:
        """Tells a stream what happened to it; a new one is an event of its own."""
        if record.kind == _records.STREAM:
            opener = self._peers.get(record.tag)
            return None if opener is None else events.IncomingStream(self._add_stream(opener, record.subject))
        stream = self._streams.get(record.subject)
        if stream is not None:
            if record.kind == _records.STREAM_READABLE:
                stream._on_readable()
            elif record.kind == _records.STREAM_WRITABLE:
                stream._on_writable()
            else:
                del self._streams[record.subject]
                stream._on_closed(record.code)
        return None

    def _add_stream(self, peer: PeerT, number: int) -> StreamT:
        stream = self._streams[number] = self._make_stream(self._native, peer, number)
        return stream

    def _forget_all(self, failure: SetowireError | None) -> None:
        """The last event was read: the peers are gone, the streams over, the topics closed."""
        self._destroyed = True
        self._native.release()
        gone = failure or ClosedError(CLOSED, "the swarm was closed")
        for stream in list(self._streams.values()):
            stream._on_swarm_closed(gone)
        for peer in self._peers.values():
            peer.connected = False
        for topic in self._topics.values():
            topic.closed = True
        self._peers.clear()
        self._topics.clear()

    def _sessions_of(self, topic: TopicBase) -> list[TopicT]:
        """All sessions of the topic that one of them is of: the library names the first."""
        return [one for one in self._topics.values() if one._name == topic._name]

    def _topics_of(self, numbers: Iterable[int]) -> list[TopicT]:
        """The sessions with these numbers that are still there."""
        return [self._topics[number] for number in numbers if number in self._topics]

    def _described(self, record: Record) -> PeerT:
        peer = self._peers.get(record.subject)
        if peer is None:
            peer = self._peers[record.subject] = self._make_peer(self._native, {**record.data, "peer": record.subject})
        else:
            peer._describe(record.data)
        return peer

    @abstractmethod
    def _completed(self, record: Record) -> None:
        """An operation of ours ended; `record.tag` says which."""

    def _notify(self, event: Event[PeerT]) -> None:
        """Calls the listeners of an event."""
        if isinstance(event, events.Message):
            self._emit(event.peer, "data", event.data)
            self._emit(self, "data", event.data, event.peer)
            self._emit(self, "message", event)
        elif isinstance(event, events.Datagram):
            self._emit(event.peer, "datagram", event.data)
            self._emit(self, "datagram", event.data, event.peer)
        elif isinstance(event, events.IncomingStream):
            self._emit(event.stream.peer, "stream", event.stream)
            self._emit(self, "stream", event.stream)
        elif isinstance(event, events.Connection):
            self._emit(self, "connection", event.peer)
            self._emit(event.peer, "open")
        elif isinstance(event, events.Disconnection):
            self._emit(event.peer, "close")
            self._emit(self, "disconnect", event.peer.id)
        elif isinstance(event, events.Update):
            self._emit(self, "update", event.peer)
        elif isinstance(event, events.Writable):
            self._emit(self, "writable", event.peer)
        elif isinstance(event, events.PeerCache):
            self._emit(self, "peers", event.peers)
        elif isinstance(event, events.Lost):
            self._emit(self, "lost", event.messages)
        elif isinstance(event, events.Changed):
            self._emit(self, "changed")
        elif isinstance(event, (events.PeerFound, events.PeerRejected)):
            self._emit(self, "peer" if isinstance(event, events.PeerFound) else "peer-rejected", event.candidate)
        elif isinstance(event, events.TopicUpdated):
            self._emit(self, "updated", event.topic, event.ok)
        elif isinstance(event, events.PeerTopic):
            self._emit(event.info, "topic", event.topic)
            self._emit(self, "topic", event.info, event.topic)
        elif isinstance(event, events.Banned):
            self._emit(self, "ban", event.info, event.reason)
        else:
            self._emit(self, "close")

    def _emit(self, emitter: Emitter, event: str, *arguments: object) -> None:
        for callback in emitter._take_listeners(event):
            self._call(callback, arguments)

    @abstractmethod
    def _call(self, callback: Listener, arguments: tuple[object, ...]) -> None:
        """Calls one listener, and deals with what it raises."""

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.Swarm {self._id[:16]} port {self.port}, {len(self._peers)} peers>"


_STREAM_EVENTS = frozenset(
    (_records.STREAM, _records.STREAM_READABLE, _records.STREAM_WRITABLE, _records.STREAM_CLOSED)
)


def connected_peer(record: Record) -> int:
    """The peer of a connect that succeeded."""
    return int(record.data["peer"])


def outcome(record: Record) -> SetowireError | None:
    """The failure of a finished operation, if it is one."""
    return error(record.code, str(record.data)) if record.code < 0 else None
