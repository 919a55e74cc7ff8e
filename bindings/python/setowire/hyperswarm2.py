"""The names of Hyperswarm 2, in Python's spelling, for asyncio.

    swarm = hyperswarm()
    swarm.join(topic, lookup=True, announce=True)

    @swarm.on("connection")
    def connected(socket, info):
        socket.write("hello")

It is a thin layer: `swarm.swarm` is the `setowire.Swarm` below, with the preset
`v2`. It speaks with programs that use this module, in whichever language, and
not with Hyperswarm itself. A connection is one of `setowire/13` (`info.type` is
"utp" always), encrypted, and one for all topics, as with `multiplex`.

Methods that took a callback still do, and return something that can be awaited.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ._compat import Compatible, in_python, port_to_bind, refuse
from ._duplex import Duplex
from ._emitter import Emitter
from ._text import topic_bytes
from .aio import Topic
from .errors import CLOSED, ClosedError, SetowireError, UnreachableError
from .known import Candidate

__all__ = ["ConnectionInfo", "Duplex", "Hyperswarm2", "Peer", "hyperswarm"]

Callback = Callable[..., Any]


@dataclass(frozen=True)
class Peer:
    """A peer that was found."""

    host: str | None
    port: int | None
    #: It is on this network.
    local: bool
    topic: bytes | None
    #: Its public key, which is what it is known by here.
    key: bytes | None
    #: There are none in this version.
    referrer: None = None


class ConnectionInfo(Emitter):
    """What the swarm knows of one connection."""

    #: `topic` with the 32 bytes of a further topic of ours by which the peer was found.
    EVENTS: ClassVar[tuple[str, ...]] = ("topic",)
    type = "utp"

    def __init__(self, swarm: Hyperswarm2, socket: Duplex, peer: Peer | None) -> None:
        super().__init__()
        self._socket = socket
        self._info = socket.peer.info
        self._topics: list[bytes] = self._info.topics
        #: We dialled.
        self.client: bool = socket.peer.client
        #: Who was dialled; None on the other side.
        self.peer = peer
        #: `deduplicate` found it to be one too many.
        self.duplicate = False
        self._info.on("topic", lambda topic: self._found(swarm, topic))

    @property
    def topics(self) -> list[bytes]:
        """Topics of ours that led to it; they only get more."""
        return list(self._topics)

    @property
    def banned(self) -> bool:
        return self._info.banned

    def ban(self, soft: bool = False) -> None:
        """Neither dials this peer again nor lets it in, and ends the connection; `soft`: gracefully."""
        self._info.ban()
        if soft:
            self._socket.end()
        else:
            self._socket.destroy(ClosedError(CLOSED, "Peer was banned"))

    def backoff(self) -> bool:
        """Counts one more failed attempt. False: it dialled us, or it is given up now."""
        return self.client and self._info.backoff()

    def reconnect(self, on: bool) -> None:
        """Whether it is dialled again when it goes."""
        self._info.reconnect(on)

    def deduplicate(self, local_id: bytes, remote_id: bytes = bytes(32)) -> bool:
        """Ends one of two connections with one program, by ids that both told each other. True: it is this one."""
        self.duplicate = self._info.deduplicate(local_id, remote_id)
        return self.duplicate

    def _found(self, swarm: Hyperswarm2, topic: bytes) -> None:
        if topic not in self._topics:
            self._topics.append(topic)
            swarm.swarm._emit(self, "topic", topic)

    def __repr__(self) -> str:
        topics = ", ".join(topic.hex()[:8] for topic in self._topics)
        return f"<ConnectionInfo {self.type} client={self.client} topics=[{topics}] peer={self.peer}>"


class Hyperswarm2(Compatible):
    """A swarm that hands out connections as duplex streams; `hyperswarm(**options)` makes one."""

    #: `connection` and `disconnection` (socket, `ConnectionInfo`), `peer` and `peer-rejected` (`Peer`), `updated` ({"key":
    #: topic}), `listening`, `join` and `leave` (topic), `close`.
    EVENTS: ClassVar[tuple[str, ...]] = (
        "connection",
        "disconnection",
        "peer",
        "peer-rejected",
        "updated",
        "listening",
        "join",
        "leave",
        "close",
    )

    def __init__(self, opts: Mapping[str, Any] | None = None, /, **options: Any) -> None:
        super().__init__({"preset": "v2", **_options(in_python(opts, options))})
        self._infos: dict[Duplex, ConnectionInfo] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listened = False
        self.swarm.on("peer", lambda found: self._emit("peer", _peer(found)))
        self.swarm.on("peer-rejected", lambda found: self._emit("peer-rejected", _peer(found)))
        self.swarm.on("updated", lambda topic, ok: self._emit("updated", {"key": topic.topic}))

    @property
    def peers(self) -> int:
        """Connections, with those in progress."""
        state = self.swarm.state
        return state.connections + state.connecting

    @property
    def open(self) -> bool:
        """There is a place for one more."""
        return self.swarm.state.open

    @property
    def client_sockets(self) -> int:
        return sum(socket.is_initiator for socket in self.connections)

    @property
    def server_sockets(self) -> int:
        return len(self.connections) - self.client_sockets

    def join(
        self,
        topic: bytes | bytearray | str,
        options: Mapping[str, Any] | None = None,
        onjoin: Callback | None = None,
        *,
        announce: bool | None = None,
        lookup: bool | None = None,
    ) -> Topic:
        """Looks a topic of 32 bytes up (lookup, the default), announces it (announce), or both.

        One that is joined already is left first. `onjoin(error)` is called when others can find us.
        """
        said = {"announce": announce, "lookup": lookup, **(options or {})}
        roles = self.swarm._roles(said["announce"] or False, said["lookup"], None, None)
        joined = self.swarm._join(topic, roles, None, None)
        self._listens_now(None)
        self._run(self._flushed(joined), onjoin)
        return joined

    def leave(self, topic: bytes | bytearray | str, onleave: Callback | None = None) -> asyncio.Task[None]:
        """Ends it; connections stay. `onleave` is called if the topic was joined."""
        joined = self.swarm.status(topic) is not None
        return self._run(self._leave(topic_bytes(topic)), onleave if joined else None)

    def status(self, topic: bytes | bytearray | str) -> dict[str, bool] | None:
        """`announce` and `lookup` of a joined topic."""
        session = self.swarm.status(topic)
        return None if session is None else {"announce": session.info.announce, "lookup": session.info.lookup}

    def connect(self, peer: Peer | Mapping[str, Any], callback: Callback | None = None) -> asyncio.Task[tuple[Duplex, ConnectionInfo]]:
        """Connects to a peer of the event `peer`, or to {"host", "port"}: `callback(error, socket, info)`. The event `connection` comes, too."""
        return self._run(self._connect(peer), callback)

    def listen(self, port: int | None = None, callback: Callback | None = None) -> asyncio.Task[None]:
        """Can be found from now on. The port is an option of the swarm: one that is named here must be that one."""
        if port not in (None, 0, self.swarm.port):
            raise UnreachableError(-100, f"port: the swarm is at {self.swarm.port}; make it with the option 'port'")
        self.swarm._native.listen()
        return self._listens_now(callback)

    def flush(self, callback: Callback | None = None) -> asyncio.Task[None]:
        """Waits until everybody was tried who is found by now."""
        return self._run(self._flush(), callback)

    def connectivity(self, callback: Callback | None = None) -> asyncio.Task[dict[str, bool]]:
        """How far we got: bound to a port, connected with a network of others, reachable through a router."""
        return self._run(self._connectivity(), callback)

    def address(self) -> dict[str, Any]:
        """Where we listen."""
        if self.destroyed:
            raise ClosedError(CLOSED, "swarm has been destroyed")
        v4 = self.swarm.port_v4 is not None
        return {"port": self.swarm.port, "family": "IPv4" if v4 else "IPv6", "address": "0.0.0.0" if v4 else "::"}

    def destroy(self, callback: Callback | None = None) -> asyncio.Task[None]:
        """Leaves all topics and ends everything."""
        return self._run(self._destroy(False), callback)

    # -- how ----------------------------------------------------------------

    def _opened(self, connection: Duplex) -> None:
        peer = None
        if connection.peer.client:
            topics = connection.peer.info.topics
            near = connection.peer.source == "lan"
            where = connection.peer.address, connection.peer.port
            peer = Peer(*where, near, topics[0] if topics else None, connection.peer.key)
        self._infos[connection] = ConnectionInfo(self, connection, peer)
        self._emit("connection", connection, self._infos[connection])

    def _closed(self, connection: Duplex) -> None:
        super()._closed(connection)
        self._emit("disconnection", connection, self._infos.pop(connection))

    def _listens_now(self, callback: Callback | None) -> asyncio.Task[None]:
        first, self._listened = not self._listened, True
        return self._run(self._tell_listening(first), callback)

    async def _tell_listening(self, first: bool) -> None:
        if first:
            self._emit("listening")

    async def _flushed(self, joined: Topic) -> None:
        ok = await joined.flushed()
        if not joined.closed:
            self._emit("join", joined.topic)
        if not ok:
            raise UnreachableError(-100, "no source of discovery worked")

    async def _leave(self, topic: bytes) -> None:
        joined = self.swarm.status(topic) is not None
        await self.swarm.leave(topic)
        if joined:
            self._emit("leave", topic)

    async def _connect(self, peer: Peer | Mapping[str, Any]) -> tuple[Duplex, ConnectionInfo]:
        if isinstance(peer, Mapping):
            host, port, key = peer["host"], peer["port"], peer.get("key")
        else:
            host, port, key = peer.host, peer.port, peer.key
        where = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
        met = await self.swarm.connect(where, key=key)
        socket = self._by_peer[met]
        return socket, self._infos[socket]

    async def _flush(self) -> None:
        if not await self.swarm.flush():
            raise ClosedError(CLOSED, "swarm has been destroyed")

    async def _connectivity(self) -> dict[str, bool]:
        if self.destroyed:
            raise ClosedError(CLOSED, "swarm has been destroyed")
        return {"bound": self.swarm.port is not None, "bootstrapped": bool(self.swarm.size), "holepunched": False}

    def _run(self, coroutine: Coroutine[Any, Any, Any], callback: Callback | None) -> asyncio.Task[Any]:
        """A task, whose end is told to the callback: the error or None, then the results."""
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, callback))
        return task

    def _done(self, task: asyncio.Task[Any], callback: Callback | None) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if callback is not None:
            result = task.result() if failure is None else ()
            results = result if isinstance(result, tuple) else () if result is None else (result,)
            self.swarm._call(callback, (failure, *results))


def hyperswarm(opts: Mapping[str, Any] | None = None, /, **options: Any) -> Hyperswarm2:
    """A new swarm."""
    return Hyperswarm2(opts, **options)


def _peer(found: Candidate) -> Peer:
    return Peer(found.address, found.port, found.local, found.topic, found.key)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Options of Hyperswarm 2 as ours."""
    refuse(given, ("id", "preferred_port", "announce_local_address"))
    port_to_bind(given)
    given.pop("ephemeral", None)  # it is about the DHT, and a source of the application's own decides that itself
    queue = in_python(given.pop("queue", None), {})
    given.pop("multiplex", queue.pop("multiplex", None))  # one connection serves all topics, whatever is said
    forget = {**queue.pop("forget", {}), **given.pop("forget", {})}
    requeue = given.pop("requeue", queue.pop("requeue", None))
    if requeue is not None:
        given["requeue"] = [*requeue, *_REQUEUE[len(requeue) :]][: len(_REQUEUE)]
    if "unresponsive" in forget:
        given["forget_unresponsive"] = forget["unresponsive"]
    if "banned" in forget:
        given["forget_banned"] = forget["banned"]
    servers = given.pop("max_server_sockets", None)
    if servers is not None:
        given["max_server_connections"] = {0: math.inf, -1: 0}.get(servers, servers)
    clients = given.pop("max_client_sockets", None)
    if clients is not None:
        given["max_client_connections"] = clients
    validate = given.pop("validate_peer", None)
    if validate is not None:
        given["validate"] = lambda key, info: validate(
            Peer(info["address"], info["port"], bool(info.get("local")), info["topic"], key)
        )
    return given


_REQUEUE = (1000, 5000, 15000)
