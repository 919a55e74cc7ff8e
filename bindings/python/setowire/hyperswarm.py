"""The names of Hyperswarm 4 (and 3, and p2pswarm), in Python's spelling, for asyncio.

    swarm = Hyperswarm()

    @swarm.on("connection")
    def connected(conn, info):
        conn.write("hello")
        conn.on("data", print)

    swarm.join(topic, server=True, client=True)

It is a thin layer: `swarm.swarm` is the `setowire.Swarm` below, with the preset
`v4`. It speaks with programs that use this module, in whichever language, and
not with Hyperswarm itself. Peers of the older setowire packages are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from ._compat import Compatible, in_python, port_to_bind, refuse
from ._duplex import Duplex
from ._emitter import Listener
from ._options import secret_key
from .aio import Topic
from .known import PeerInfo

__all__ = ["Duplex", "Hyperswarm", "KeyPair", "PeerInfo"]


class KeyPair(NamedTuple):
    """An Ed25519 key pair, as the option `key_pair` takes it."""

    public_key: bytes
    #: The seed and the public key, 64 bytes; None when the swarm made it itself.
    secret_key: bytes | None


class Hyperswarm(Compatible):
    """A swarm that hands out connections as duplex streams: `Hyperswarm(**options)`, or with a mapping."""

    #: `connection` (connection, `PeerInfo`), `update`, `ban` (`PeerInfo`, why), `close`.
    EVENTS: ClassVar[tuple[str, ...]] = ("connection", "update", "ban", "close")

    def __init__(self, opts: Mapping[str, Any] | None = None, /, **options: Any) -> None:
        given = in_python(opts, options)
        refuse(given, ("nodes", "relay_through", "random_punch_interval", "defer_random_punch"))
        port_to_bind(given)
        super().__init__({"preset": "v4", **given})
        pair, seed = given.get("key_pair"), given.get("seed")
        self._secret: bytes | None = None
        if pair is not None:
            self._secret = bytes(secret_key(pair))
        elif seed is not None:
            self._secret = (bytes.fromhex(seed) if isinstance(seed, str) else bytes(seed)) + self.swarm.key
        self.swarm.on("ban", lambda info, reason: self._emit("ban", info, reason))

    @property
    def key_pair(self) -> KeyPair:
        return KeyPair(self.swarm.key, self._secret)

    @property
    def connecting(self) -> int:
        """Dials in progress."""
        return self.swarm.connecting

    @property
    def peers(self) -> dict[str, PeerInfo]:
        """The known peers by the hexadecimal digits of their keys."""
        return self.swarm.known

    @property
    def explicit_peers(self) -> set[PeerInfo]:
        """Those of `join_peer`."""
        return {info for info in self.swarm.known.values() if info.explicit}

    @property
    def listening(self) -> bool:
        return self.swarm.listening

    @property
    def suspended(self) -> bool:
        return self.swarm.suspended

    @property
    def stats(self) -> dict[str, Any]:
        """Counters since it began."""
        state = self.swarm.state
        return {
            "updates": state.updates,
            "connects": {
                "client": {
                    "attempted": state.client_attempted,
                    "opened": state.client_opened,
                    "closed": state.client_closed,
                },
                "server": {"opened": state.server_opened, "closed": state.server_closed},
            },
            "banned_peers": state.banned,
        }

    def join(
        self,
        topic: bytes | bytearray | str,
        opts: Mapping[str, Any] | None = None,
        *,
        server: bool | None = None,
        client: bool | None = None,
        limit: float | None = None,
    ) -> Topic:
        """Announces (server) and looks for (client) a topic of 32 bytes; both are the default.

        Returns the session: `await flushed()`, `await refresh(client=..., server=...)`, `await destroy()`.
        """
        said: dict[str, Any] = {"server": server, "client": client, "limit": limit}
        said.update(opts or {})
        roles = self.swarm._roles(None, None, said.pop("client"), said.pop("server"))
        return self.swarm._join(topic, roles, said.pop("limit"), said.pop("secret", None))

    async def leave(self, topic: bytes | bytearray | str) -> None:
        """Ends all sessions of a topic; connections stay."""
        await self.swarm.leave(topic)

    async def clear(self) -> None:
        """Leaves every topic."""
        for topic in self.swarm.topics:
            await self.swarm.leave(topic.topic)

    def status(self, topic: bytes | bytearray | str) -> Topic | None:
        """The session of a joined topic."""
        return self.swarm.status(topic)

    def topics(self) -> Iterator[Topic]:
        """The joined topics, in that order."""
        return iter(self.swarm.topics)

    def join_peer(self, key: bytes | bytearray | str) -> None:
        """Connects to the peer with this key, and again whenever it is gone."""
        self.swarm.join_peer(key)

    def leave_peer(self, key: bytes | bytearray | str) -> None:
        """Ends what `join_peer` began; the connection stays."""
        self.swarm.leave_peer(key)

    async def listen(self) -> None:
        """Can be found by its key from now on; joining as a server does that, too."""
        await self.swarm.listen()

    async def flush(self) -> bool:
        """Waits until everybody was tried who is found by now."""
        return await self.swarm.flush()

    async def suspend(self) -> None:
        """Ends all connections; nothing is dialled, announced or let in until `resume`."""
        await self.swarm.suspend()

    async def resume(self) -> None:
        await self.swarm.resume()

    async def destroy(self, *, force: bool = False) -> None:
        """Leaves all topics, lets what was written leave, and ends everything; forced: at once."""
        await self._destroy(force)

    def _add(self, event: str, callback: Listener, once: bool) -> None:
        if event == "update" and "update" not in self._listeners:
            self.swarm.on("changed", lambda: self._emit("update"))
        super()._add(event, callback, once)

    def _opened(self, connection: Duplex) -> None:
        self._emit("connection", connection, connection.peer.info)
