"""What the asyncio and the synchronous `Peer` have in common."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ._emitter import Emitter
from ._handle import Data
from .errors import ClosedError, PeerClosedError

if TYPE_CHECKING:
    from ._handle import NativeSwarm
    from ._manage import Managed
    from .known import PeerInfo


@dataclass(frozen=True)
class PeerStats:
    """Counters of one peer since its connection."""

    bytes_sent: int
    bytes_received: int
    messages_sent: int
    messages_received: int
    #: Bytes that wait to be sent.
    buffered: int
    #: Share of our probes that were not answered lately, 0 to 1.
    loss: float
    #: Its datagrams that were dropped here because nobody read them in time.
    datagrams_dropped: int


class PeerBase(Emitter):
    """A connected peer, or one that was.

    Made by the swarm: take it from `connection`, `connect` or a message. After
    the disconnection its description stays readable and `connected` is false.
    """

    #: `open` and `close` without arguments, `data` and `datagram` with the bytes, `stream` with the stream.
    EVENTS: ClassVar[tuple[str, ...]] = ("open", "data", "datagram", "stream", "close")

    def __init__(self, native: NativeSwarm, description: Mapping[str, Any]) -> None:
        super().__init__()
        self._native = native
        #: The library's number for this connection; never used again for another.
        self.number: int = description["peer"]
        # In the place of the method: a call less for each message.
        setattr(self, "write", self._writer())
        self.connected = True
        self._info: PeerInfo | None = None
        #: Why it left, in words, once it has.
        self.reason: str | None = None
        self._describe(description)
        #: 16 hexadecimal digits, of the key or, over p2p-v12, of the id on the old network. It stays the same while the peer
        #: is connected; who it is for good say `key` and `legacy_id`.
        self.id: str = ((self.key.hex() if self.key else self.legacy_id) or "")[:16]

    def _writer(self) -> Callable[[Data], bool]:
        return self._native.writer(self.number)

    def _flush(self) -> None:
        """Hands to the library what was written and is held back here."""

    def _describe(self, description: Mapping[str, Any]) -> None:
        """Takes in the JSON object of an event about this peer."""
        #: Ed25519 public key, proven; None for a peer that speaks only the old protocol.
        self.key: bytes | None = bytes.fromhex(description["key"]) if description.get("key") else None
        #: Id on the old network, 40 hexadecimal digits; None for a peer that is not on it, or has not proved it yet.
        self.legacy_id: str | None = description.get("id")
        #: IP address and port that messages go to.
        self.address: str = description["address"]
        self.port: int = description["port"]
        #: Every address it is known under, the one in use first.
        self.addresses: list[str] = list(description.get("addresses", ()))
        #: How it was found: "lan", "seed", "connect", "cache", "pex", "reconnect" or "incoming".
        self.source: str = description["source"]
        #: The protocol of the session ("setowire/13" or "p2p-v12"), how safe it is ("tls1.3" or "legacy"), and with what it
        #: is sealed (None over p2p-v12: ChaCha20-Poly1305).
        self.session: str = description["session"]
        self.security: str = description["security"]
        self.suite: str | None = description.get("suite")
        #: One of us asked for the connection by address or key, so that it needs no topic.
        self.explicit: bool = description.get("explicit", False)
        self._topic_numbers: list[int] = list(description.get("topics", ()))
        #: Which implementation it is, as far as its frames tell.
        self.family: str = description["family"]
        #: A message of this peer decrypted: it holds the key it claims.
        self.confirmed: bool = description["confirmed"]
        #: We dialled it (false: it dialled us).
        self.client: bool = description["client"]
        #: From the first hint to the connection, in milliseconds.
        self.connect_ms: int = description["connect_ms"]
        #: Bytes of the largest message it can take.
        self.max_message: int = description["max_message"]
        self._rtt_us: int | None = description.get("rtt_us")

    def _info_in(self, swarm: Managed) -> PeerInfo:
        # It lives at least as long as this, with the listeners that it has.
        if self._info is None or (self.key is not None and self._info.key is None):
            whom = self.key or bytes.fromhex((self.legacy_id or "")[:16])
            self._info = swarm._info(whom)
        return self._info

    @property
    def remote_address(self) -> str:
        """The address in use, as "ip:port" ("[ip]:port" for IPv6)."""
        try:
            bare = ipaddress.ip_address(self.address).version == 4
        except ValueError:
            bare = ":" not in self.address
        return f"{self.address}:{self.port}" if bare else f"[{self.address}]:{self.port}"

    @property
    def rtt(self) -> float | None:
        """Round-trip time in milliseconds; None before it was measured."""
        if self.connected:
            try:
                self._rtt_us = self._native.peer_info(self.number).rtt_us or None
            except (PeerClosedError, ClosedError):
                pass  # it has just left: the last value stands
        return None if self._rtt_us is None else self._rtt_us / 1000

    @property
    def in_mesh(self) -> bool:
        """Broadcasts reach it: every connected peer of a topic of ours, and every one of the older packages."""
        return self.connected

    @property
    def buffered(self) -> int:
        """Bytes that wait to be sent to it."""
        self._flush()
        try:
            return self._native.buffered(self.number)
        except (PeerClosedError, ClosedError):
            return 0

    def stats(self) -> PeerStats:
        """Its counters. Raises `PeerClosedError` when it has left."""
        self._flush()
        info = self._native.peer_info(self.number)
        return PeerStats(
            info.bytes_sent,
            info.bytes_received,
            info.messages_sent,
            info.messages_received,
            info.buffered,
            info.loss_permille / 1000,
            info.datagrams_dropped,
        )

    def write(self, data: Data) -> bool:
        """Queues a message without waiting; false when it cannot be sent now.

        That is when the queue to this peer is full (the swarm's `writable`
        event follows), or the peer has left. A message that can never be sent
        to this peer raises `MessageTooLargeError`.
        """
        return self._writer()(data)

    def send_datagram(self, data: Data) -> bool:
        """Sends at most 1,150 bytes that leave soon and once, in no order, and may get lost. False as for `write`.

        `MessageTooLargeError` for more bytes, `NotSupportedError` for a peer that speaks only p2p-v12.
        """
        try:
            return self._native.send_datagram(self.number, data)
        except (PeerClosedError, ClosedError):
            return False

    def close(self) -> None:
        """Ends the connection; one that has ended already is no error."""
        self._flush()
        try:
            self._native.close_peer(self.number)
        except (PeerClosedError, ClosedError):
            pass

    end = close
    destroy = close

    def __repr__(self) -> str:
        state = "" if self.connected else " closed"
        return f"<Peer {self.id} {self.remote_address} {self.session} {self.source}{state}>"
