"""Peers that a swarm knows, connected or not, and those that its discovery finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ._control import FOR_EVER
from ._emitter import Emitter
from ._handle import milliseconds
from .errors import NOT_FOUND, ClosedError, NotFoundError, PeerClosedError

if TYPE_CHECKING:
    from ._handle import NativeSwarm
    from ._manage import Managed


@dataclass(frozen=True)
class Candidate:
    """A peer that a source of discovery found."""

    #: Its Ed25519 key; None for a peer that speaks only p2p-v12.
    key: bytes | None
    #: The first 16 hexadecimal digits of the id of such a peer.
    legacy_id: str | None
    address: str | None
    port: int | None
    #: "lan", "seed", "cache" and so on.
    source: str
    #: It is on this network.
    local: bool
    #: The topic that led to it; None: of a `lookup`, or it is not known which.
    topic: bytes | None

    @property
    def id(self) -> str:
        """16 hexadecimal digits, as `peer.id` has them."""
        return (self.key.hex() if self.key else self.legacy_id or "")[:16]


def whom_of(description: Mapping[str, Any]) -> bytes:
    """By what a peer of the library's JSON is called: its key, or what is known of its id on the old network."""
    return bytes.fromhex(description["key"] or description["id"])


class PeerInfo(Emitter):
    """What the swarm knows of one peer, and decides about it: one for each key, whatever connections come and go.

    Its attributes say what holds now. Of a peer that is not known any more they say nothing: no attempts, no topics.
    """

    #: `topic` with the 32 bytes of a topic of ours by which it was found, too.
    EVENTS: ClassVar[tuple[str, ...]] = ("topic",)

    def __init__(self, swarm: Managed, native: NativeSwarm, whom: bytes) -> None:
        super().__init__()
        self._swarm = swarm
        self._native = native
        self._whom = whom

    @property
    def key(self) -> bytes | None:
        """Its Ed25519 public key; None for a peer that speaks only p2p-v12."""
        return self._whom if len(self._whom) == 32 else None

    public_key = key

    @property
    def id(self) -> str:
        """16 hexadecimal digits, as `peer.id` has them."""
        return self._whom.hex()[:16]

    @property
    def topics(self) -> list[bytes]:
        """Topics of ours that it was found by. Of a peer that dialled us none, until we find it, too."""
        return self._swarm._names_of(self._state("topics", ()))

    @property
    def attempts(self) -> int:
        """Dials that ended since the last good connection, one of at least 15 s."""
        return int(self._state("attempts", 0))

    @property
    def priority(self) -> int | None:
        """How soon it is dialled: 4 first, 0 last, of the preset v2 5 to 0. None: not by itself."""
        priority = self._state("priority", None)
        return None if priority is None else int(priority)

    @property
    def prioritized(self) -> bool:
        """Its priority is 2 or more."""
        return (self.priority or 0) >= 2

    @property
    def proven(self) -> bool:
        """A dial to it opened."""
        return bool(self._state("proven", False))

    @property
    def banned(self) -> bool:
        return bool(self._state("banned", False))

    @property
    def client(self) -> bool:
        """The last connection with it was dialled by us."""
        return bool(self._state("client", False))

    @property
    def server(self) -> bool:
        """The last connection with it was dialled by it."""
        return not self.client

    @property
    def explicit(self) -> bool:
        """It was added by `join_peer`."""
        return bool(self._state("explicit", False))

    @property
    def reconnecting(self) -> bool:
        """It is dialled again by itself."""
        return bool(self._state("reconnecting", False))

    @property
    def queued(self) -> bool:
        """It is about to be dialled."""
        return bool(self._state("queued", False))

    @property
    def waiting(self) -> bool:
        """It will be dialled again, later."""
        return bool(self._state("waiting", False))

    @property
    def connecting(self) -> bool:
        """It is being dialled."""
        return bool(self._state("dialling", False))

    @property
    def connected(self) -> bool:
        return bool(self._state("peer", 0))

    @property
    def source(self) -> str | None:
        """How it was found."""
        source = self._state("source", None)
        return None if source is None else str(source)

    @property
    def addresses(self) -> list[str]:
        """Where it may be, "ip:port", the newest first."""
        known: list[str] = list(self._state("addresses", ()))
        peer = None if known else self._swarm._peers.get(self._state("peer", 0))
        return known if peer is None else [peer.remote_address]

    @property
    def address(self) -> str | None:
        """The newest of its addresses."""
        return next(iter(self.addresses), None)

    def ban(self, on: bool = True, *, duration: float | None = None, close: bool = False) -> None:
        """Bans it, for some seconds or for the life of the swarm: it is neither dialled nor let in. False lifts the ban.

        An open connection stays, unless `close` is said.
        """
        if on:
            self._native.ban(self._whom, milliseconds(duration, FOR_EVER), close)
        else:
            self._native.unban(self._whom)

    def reconnect(self, on: bool) -> None:
        """Whether it is dialled again by itself when it goes."""
        self._native.set_reconnect(self._whom, on)

    def backoff(self) -> bool:
        """Counts one more failed attempt. False: it is a peer that dials us, or it is given up now."""
        return self._native.backoff(self._whom)

    def deduplicate(self, local: bytes, remote: bytes) -> bool:
        """Of two connections with one program ends one, found by ids that both told each other. True: it is this one.

        Both sides come to the same answer. Call it once for each connection.
        """
        number = self._state("peer", 0)
        if not number:
            raise PeerClosedError(NOT_FOUND, "the peer is not connected")
        return self._native.deduplicate(number, local, remote)

    def _state(self, name: str, default: Any) -> Any:
        try:
            return self._native.known_peer(self._whom).get(name, default)
        except (NotFoundError, ClosedError):
            return default

    def __repr__(self) -> str:
        return f"<PeerInfo {self.id}{' connected' if self.connected else ''}{' banned' if self.banned else ''}>"
