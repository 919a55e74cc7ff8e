"""What the asyncio and the synchronous `Swarm` share: peers, listeners, calls.

Records of the native queue come in through `_take`, which keeps the peer table
and returns the event they mean; `_notify` calls the listeners of one event. How
events are waited for is the subclasses' matter.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic

from . import _records, events
from ._emitter import Emitter, Listener
from ._handle import Data, NativeSwarm
from ._options import merge
from ._records import Record
from .errors import INVALID, InvalidArgumentError, NotAvailableError, SetowireError, error
from .events import Event, PeerT


@dataclass(frozen=True)
class SwarmStats:
    """Counters since the swarm began, and what it holds now (from `peers` on)."""

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


def topic_bytes(topic: bytes | bytearray | str) -> bytes:
    """A topic as bytes; text is taken as hexadecimal digits. The library checks the length."""
    if not isinstance(topic, (bytes, bytearray, memoryview, str)):
        raise TypeError(f"topic: bytes or hexadecimal text are wanted, not {type(topic).__name__}")
    if isinstance(topic, str):
        try:
            return bytes.fromhex(topic)
        except ValueError:
            raise InvalidArgumentError(
                INVALID, f"topic: {topic!r} is not hexadecimal; a name becomes a topic with hashlib.sha256(name).digest()"
            ) from None
    return bytes(topic)


def check_roles(announce: bool, lookup: bool) -> None:
    """Topics are always announced and looked up in this version."""
    for name, value in (("announce", announce), ("lookup", lookup)):
        if not value:
            raise NotAvailableError(INVALID, f"option '{name}=False' is not available in this version")


class SwarmBase(Emitter, Generic[PeerT]):
    """The swarm without its way of waiting."""

    #: `connection`, `update`, `writable` with the peer, `disconnect` with the peer's id, `data` with the bytes
    #: and the peer, `message` with a `Message`, `peers` with the list, `lost` with a count, `close` with nothing.
    EVENTS: ClassVar[tuple[str, ...]] = (
        "connection",
        "data",
        "message",
        "disconnect",
        "update",
        "writable",
        "peers",
        "lost",
        "close",
    )

    def __init__(
        self,
        opts: Mapping[str, Any] | None,
        keywords: Mapping[str, Any],
        make_peer: Callable[[NativeSwarm, Mapping[str, Any]], PeerT],
    ) -> None:
        super().__init__()
        options = merge(opts, keywords)
        self._make_peer = make_peer
        self._peers: dict[int, PeerT] = {}
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
    def size(self) -> int:
        """How many peers are connected."""
        return len(self._peers)

    @property
    def mesh_peers(self) -> list[PeerT]:
        """The peers that broadcasts reach directly; in this version all that are connected."""
        return self.peers

    def broadcast(self, data: Data) -> int:
        """Queues a message to every connected peer, whichever topic it was met by; for how many it was queued.

        A peer whose queue is full, or that cannot take so much, is left out and not counted.
        """
        return self._native.broadcast(data)

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
            return None if peer is None else events.Message(peer, data, bool(record.flags & _records.MESSAGE_CLEAR))
        if kind == _records.CONNECTION:
            return events.Connection(self._described(record))
        if kind == _records.UPDATE:
            return events.Update(self._described(record))
        if kind == _records.DISCONNECTION:
            peer = self._described(record)
            peer.connected = False
            del self._peers[record.subject]
            reason = str(data.get("reason", ""))
            return events.Disconnection(peer, reason, error(record.code, reason) if record.code else None)
        if kind == _records.WRITABLE:
            peer = self._peers.get(record.subject)
            return None if peer is None else events.Writable(peer)
        if kind == _records.OP_DONE:
            self._completed(record)
            return None
        if kind == _records.PEERS:
            return events.PeerCache(data)
        if kind == _records.LOST:
            return events.Lost(int(data.get("messages", 0)))
        return events.Closed(error(record.code, data) if record.code else None)

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


def connected_peer(record: Record) -> int:
    """The peer of a connect that succeeded."""
    return int(record.data["peer"])


def outcome(record: Record) -> SetowireError | None:
    """The failure of a finished operation, if it is one."""
    return error(record.code, str(record.data)) if record.code < 0 else None
