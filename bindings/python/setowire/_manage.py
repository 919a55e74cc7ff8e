"""What the asyncio and the synchronous `Swarm` share about topics, known peers and the swarm as a whole.

All of it is decided by the library; here it gets names. Events of the library
that nobody listens to are left as bytes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from . import _records, events
from ._asking import Question
from ._control import CLIENT, FOR_EVER, SERVER
from ._emitter import Emitter
from ._handle import milliseconds
from ._native import StateDetails
from ._source import Round
from ._text import key_bytes, topic_bytes
from .errors import INVALID, ClosedError, InvalidArgumentError, NotFoundError
from .known import Candidate, PeerInfo, whom_of

if TYPE_CHECKING:
    from ._handle import NativeSwarm
    from ._records import Record

#: What `join` means where it is not said, announce and lookup, by preset: Hyperswarm 2 does not announce by itself, and the
#: older setowire packages do both.
_UNSAID = {"setowire": (True, True), "v4": (False, True), "v2": (False, True)}


@dataclass(frozen=True)
class SwarmState:
    """How far the swarm is, and counters since it began."""

    #: Dials in progress, open connections, peers that are known, waiting to be dialled, joined by key.
    connecting: int
    connections: int
    known: int
    queued: int
    explicit_peers: int
    #: There is a place for one more dial.
    open: bool
    #: A topic is announced, or `listen` was called.
    listening: bool
    suspended: bool
    #: `changed` events; dials begun, opened and ended; connections of others opened and ended; bans.
    updates: int
    client_attempted: int
    client_opened: int
    client_closed: int
    server_opened: int
    server_closed: int
    banned: int


def roles(
    preset: str, announce: bool | None, lookup: bool | None, client: bool | None, server: bool | None
) -> int:
    """The flags of a join; 0: what the preset has.

    Client is to look for others, server to be found by them. With the words announce and lookup what is not said has the
    default of those packages that have them.
    """
    if (announce is not None or lookup is not None) and (client is not None or server is not None):
        raise InvalidArgumentError(INVALID, "join: say either announce and lookup, or server and client")
    if announce is not None or lookup is not None:
        unsaid = _UNSAID.get(preset, (True, True))
        server = unsaid[0] if announce is None else announce
        client = unsaid[1] if lookup is None else lookup
    elif client is None and server is None:
        return 0
    return roles_of(True if client is None else client, True if server is None else server)


def roles_of(client: bool, server: bool) -> int:
    """The flags."""
    if not client and not server:
        raise InvalidArgumentError(INVALID, "topic: neither client nor server is wanted, which is neither lookup nor announce")
    return (CLIENT if client else 0) | (SERVER if server else 0)


def limit_of(limit: float | None) -> int:
    """As the library takes it: 0 is no limit."""
    if limit is None or limit == float("inf"):
        return 0
    if limit < 1:
        raise InvalidArgumentError(INVALID, f"limit: {limit} is not a number of peers; it is 1 or more, or None")
    return int(limit)


class Managed(Emitter):
    """The part of a swarm that is not about sending and receiving."""

    _native: NativeSwarm
    _options: Mapping[str, Any]
    _peers: dict[int, Any]
    #: Sessions by number, in the order they were joined.
    _topics: dict[int, Any]

    def _begin_to_manage(self) -> None:
        #: Of peers that are connected, or that somebody holds.
        self._infos: WeakValueDictionary[bytes, PeerInfo] = WeakValueDictionary()
        #: Look-ups by their tag.
        self._finds: dict[int, Callable[[Candidate], object]] = {}
        self._destroyed = False

    @property
    def state(self) -> SwarmState:
        """How far it is; all zero once it is closed."""
        try:
            native = self._native.state()
        except ClosedError:
            native = StateDetails()
        return SwarmState(**{field.name: getattr(native, field.name) for field in fields(SwarmState)})

    @property
    def connecting(self) -> int:
        """Dials in progress."""
        return self.state.connecting

    @property
    def listening(self) -> bool:
        """Others can find it: a topic is announced, or `listen` was called."""
        return self.state.listening

    @property
    def suspended(self) -> bool:
        return self.state.suspended

    @property
    def destroyed(self) -> bool:
        """`destroy` was called, or it has ended by itself."""
        return self._destroyed

    @property
    def known(self) -> dict[str, PeerInfo]:
        """The peers that are known by the hexadecimal digits of their keys: connected, queued, waiting, explicit or banned."""
        try:
            known = self._native.known_peers()
        except ClosedError:
            return {}
        whoms = map(whom_of, known)
        return {whom.hex(): self._info(whom) for whom in whoms}

    def join_peer(self, key: bytes | bytearray | str, address: str | None = None) -> None:
        """Keeps the peer with this key connected, whatever topics are joined: dials it until it answers, and again.

        Without an address ("ip:port") the network is asked for it. Our own key is ignored.
        """
        self._native.join_peer(_key(key), address)

    def leave_peer(self, key: bytes | bytearray | str) -> None:
        """Ends what `join_peer` began; the connection stays. A peer that was not joined is no error."""
        self._native.leave_peer(_key(key))

    def ban(self, key: bytes | bytearray | str, duration: float | None = None, *, close: bool = False) -> None:
        """Bans a peer, for some seconds or for the life of the swarm; an open connection stays, unless `close` is said."""
        self._native.ban(_key(key), milliseconds(duration, FOR_EVER), close)

    def unban(self, key: bytes | bytearray | str) -> None:
        """Lifts a ban; one that there is not is no error."""
        self._native.unban(_key(key))

    def unannounce(self, topic: bytes | bytearray | str, *, secret: bytes | bytearray | str | None = None) -> None:
        """Takes back what `announce` said. A joined topic stays announced."""
        self._native.unannounce(topic_bytes(topic), key_bytes("secret", secret))

    def _roles(self, announce: bool | None, lookup: bool | None, client: bool | None, server: bool | None) -> int:
        return roles(self._options.get("preset", "setowire"), announce, lookup, client, server)

    def _left_for(self, name: tuple[bytes, bytes | None]) -> None:
        """A topic is about to be joined: under the preset v2 the library leaves it first, if it is joined already."""
        if self._options.get("preset") == "v2":
            for session in [one for one in self._topics.values() if one._name == name]:
                session._left()

    def _session_of(self, topic: bytes | bytearray | str) -> Any:
        name = topic_bytes(topic)
        return next((session for session in self._topics.values() if session.topic == name), None)

    def _discoveries(self) -> list[Any]:
        """The first session of each topic."""
        first: dict[tuple[bytes, bytes | None], Any] = {}
        for session in self._topics.values():
            first.setdefault(session._name, session)
        return list(first.values())

    def _names_of(self, numbers: Iterable[int]) -> list[bytes]:
        return [self._topics[number].topic for number in numbers if number in self._topics]

    def _info(self, whom: bytes) -> PeerInfo:
        info = self._infos.get(whom)
        if info is None:
            info = self._infos[whom] = PeerInfo(self, self._native, whom)
        return info

    # -- events -------------------------------------------------------------

    @abstractmethod
    def _wanted(self, event: str) -> bool:
        """Whether anybody would get such an event."""

    @abstractmethod
    def _asked(self, question: Question) -> None:
        """The library waits for an answer of the application."""

    @abstractmethod
    def _round_begins(self, asked: Round) -> None:
        """The source is asked."""

    @abstractmethod
    def _round_ends(self, query: int) -> None:
        """Nobody waits for its answer any more."""

    @abstractmethod
    def _takes_back(self, name: bytes, key: bytes) -> None:
        """The source is to remove an announcement."""

    def _take_news(self, record: Record) -> events.News | None:
        """The event that a record means, if anybody wants it."""
        kind = record.kind
        if kind == _records.ASK:
            self._asked(self._question(record))
        elif kind == _records.FOUND:
            find = self._finds.get(record.tag)
            if find is not None:
                find(self._candidate(record))
        elif kind == _records.ROUND:
            self._round_begins(Round.read(record.subject, record.data))
        elif kind == _records.ROUND_CANCELLED:
            self._round_ends(record.subject)
        elif kind == _records.UNANNOUNCE:
            self._takes_back(bytes.fromhex(record.data["name"]), bytes.fromhex(record.data["key"]))
        elif kind == _records.PEER_TOPIC:
            return self._topic_of_peer(record)
        elif not self._wanted(_NAMES[kind]):
            pass
        elif kind == _records.CHANGED:
            return events.Changed(**_records.json_object(record))
        elif kind == _records.PEER:
            return events.PeerFound(self._candidate(record))
        elif kind == _records.PEER_REJECTED:
            return events.PeerRejected(self._candidate(record))
        elif kind == _records.TOPIC_UPDATED:
            session = self._topics.get(record.subject)
            return None if session is None else events.TopicUpdated(session, record.code == 0)
        else:
            data = _records.json_object(record)
            return events.Banned(self._info(whom_of(data)), str(data["reason"]))
        return None

    def _topic_of_peer(self, record: Record) -> events.PeerTopic | None:
        whom = whom_of(_records.json_object(record))
        info = self._infos.get(whom)
        listened = self._wanted("topic") or (info is not None and info._listens("topic"))
        names = self._names_of([record.tag])
        return events.PeerTopic(info or self._info(whom), names[0]) if listened and names else None

    def _candidate(self, record: Record) -> Candidate:
        data = _records.json_object(record)
        key, topics = data["key"], self._names_of([record.tag] if record.kind != _records.FOUND else [])
        return Candidate(
            key=None if key is None else bytes.fromhex(key),
            legacy_id=data["id"],
            address=data["address"],
            port=data["port"],
            source=data["source"],
            local=data["local"],
            topic=topics[0] if topics else None,
        )

    def _question(self, record: Record) -> Question:
        data = _records.json_object(record)
        topics = self._names_of([record.tag])
        data["topic"] = topics[0] if topics else None
        return Question(record.subject, data["purpose"], whom_of(data), data)

    def _ask(self, question: Question) -> Any:
        """What the application's callable says, or something that can be awaited for it."""
        return question.put_to(self._options["validate" if question.purpose == "candidate" else "firewall"])

    def _source_done(self, query: int, ok: bool) -> None:
        try:
            self._native.round_done(query, ok)
        except ClosedError:
            pass  # too late

    def _source_took_back(self, name: bytes) -> None:
        try:
            self._native.unannounced(name)
        except ClosedError:
            pass  # too late

    def _answer(self, question: Question, verdict: object) -> None:
        try:
            self._native.answer(question.number, question.allowed(verdict))
        except (NotFoundError, ClosedError):
            pass  # too late


_NAMES = {
    _records.CHANGED: "changed",
    _records.PEER: "peer",
    _records.PEER_REJECTED: "peer-rejected",
    _records.TOPIC_UPDATED: "updated",
    _records.BANNED: "ban",
}
_FOR_SOURCES = (_records.ROUND, _records.ROUND_CANCELLED, _records.UNANNOUNCE)
#: Kinds of records for `_take_news`.
NEWS = frozenset((*_NAMES, *_FOR_SOURCES, _records.PEER_TOPIC, _records.ASK, _records.FOUND))


def _key(key: bytes | bytearray | str) -> bytes:
    return key_bytes("key", key) or b""
