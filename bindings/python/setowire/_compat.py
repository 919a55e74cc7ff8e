"""What the modules with the names of Hyperswarm share: a swarm of our own below, its connections as duplex streams."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._duplex import Duplex
from ._emitter import Emitter
from .aio import Peer, Swarm
from .errors import INVALID, NotAvailableError

if TYPE_CHECKING:
    from typing_extensions import Self


#: What connections have to end on their own when the swarm is destroyed.
LEAVE_S = 0.5


def in_python(options: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Options with Python's names: `maxPeers` is `max_peers`."""
    return {re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower(): value for name, value in {**(options or {}), **more}.items()}


def refuse(options: dict[str, Any], names: tuple[str, ...]) -> None:
    """Options that ask for something that does not exist here are errors, so that nobody believes they work."""
    for name in names:
        if options.pop(name, None) is not None:
            raise NotAvailableError(INVALID, f"option {name!r} is not available in this version")


def port_to_bind(options: dict[str, Any]) -> None:
    """The option `port`, a number or a range of two, as addresses to bind."""
    port = options.pop("port", None)
    if port is not None:
        ports = str(port) if isinstance(port, int) else "-".join(map(str, port))
        options["bind"] = [f"0.0.0.0:{ports}", f"[::]:{ports}"]


class Compatible(Emitter):
    """The swarm below, and a connection for each peer of it."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        #: The swarm of this package below, for what else it can do.
        self.swarm = Swarm({"legacy": False, **options})
        self._by_peer: dict[Peer, Duplex] = {}
        #: The open connections.
        self.connections: set[Duplex] = set()
        self.swarm.on("connection", self._connected)
        self.swarm.on("disconnect", lambda _: self._forget_gone())
        self.swarm.on("close", lambda: self._emit("close"))

    @property
    def destroyed(self) -> bool:
        return self.swarm.destroyed

    async def __aenter__(self) -> Self:
        await self.swarm.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._destroy(False)

    async def _destroy(self, force: bool) -> None:
        """Ends everything. Unless forced, what was written leaves first: each connection is ended and closes when the other
        side has read all of it, or after half a second."""
        if not force and not self.destroyed:
            leaving = list(self.connections)
            closed = [connection.leave() for connection in leaving]
            if closed:
                await asyncio.wait(closed, timeout=LEAVE_S)
        await self.swarm.destroy(force=force)

    def _connected(self, peer: Peer) -> None:
        if peer.key is None:
            return  # the old protocol has no streams
        connection = self._by_peer[peer] = Duplex(self.swarm, peer)
        self.connections.add(connection)
        connection.on("close", lambda: self._closed(connection))
        self._opened(connection)

    def _opened(self, connection: Duplex) -> None:
        """There is a new connection."""

    def _closed(self, connection: Duplex) -> None:
        self.connections.discard(connection)

    def _forget_gone(self) -> None:
        for peer in [peer for peer in self._by_peer if not peer.connected]:
            del self._by_peer[peer]

    def _emit(self, event: str, *arguments: object) -> None:
        self.swarm._emit(self, event, *arguments)
