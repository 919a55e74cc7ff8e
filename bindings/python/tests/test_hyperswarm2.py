"""The names of Hyperswarm 2."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

import setowire
from conftest import local, quiet
from setowire.hyperswarm2 import Hyperswarm2, Peer, hyperswarm
from waiting import Next, asyncio_test, until

FAST: dict[str, Any] = {"requeue": [100, 200, 300], "jitter": 0}


async def end(*swarms: Hyperswarm2) -> None:
    for swarm in swarms:
        await swarm.destroy()


@asyncio_test
async def test_the_usage_example(topic: bytes) -> None:
    one, other = hyperswarm(local(**FAST)), hyperswarm(local(**FAST))
    joined: list[Any] = []
    other.join(topic, {"lookup": False, "announce": True}, joined.append)
    await until(lambda: joined)
    assert joined == [None] and other.status(topic) == {"announce": True, "lookup": False}
    found, updated = Next(one, "peer"), Next(one, "updated")
    met, back = Next(one, "connection"), Next(other, "connection")
    one.join(topic)
    assert one.status(topic) == {"announce": False, "lookup": True} and one.status(bytes(32)) is None
    candidate = await found()
    assert candidate == Peer("127.0.0.1", other.swarm.port, True, topic, other.swarm.key)
    socket, info = await met()
    assert (info.type, info.client, info.topics, info.peer) == ("utp", True, [topic], candidate)
    there, their_info = await back()
    assert (their_info.client, their_info.topics, their_info.peer) == (False, [], None)
    assert await updated() == {"key": topic}
    assert (one.peers, one.client_sockets, one.server_sockets, other.server_sockets) == (1, 1, 0, 1)
    assert one.open and one.connections == {socket} and "client=True" in repr(info)
    gone, theirs = Next(one, "disconnection"), Next(other, "disconnection")
    there.end("hello")
    assert await Next(socket, "data")() == b"hello"
    assert await gone() == (socket, info) and await theirs() == (there, their_info)
    left: list[Any] = []
    await one.leave(topic, left.append)
    await one.leave(topic, left.append)
    await asyncio.sleep(0)
    assert left == [None] and one.status(topic) is None
    await end(one, other)


@asyncio_test
async def test_a_ban_closes(topic: bytes) -> None:
    one, other = hyperswarm(local(**FAST)), hyperswarm(local(**FAST))
    met = Next(one, "connection")
    other.join(topic, announce=True, lookup=False)
    one.join(topic, lookup=True)
    socket, info = await met()
    error, gone = Next(socket, "error"), Next(one, "disconnection")
    info.ban()
    assert "Peer was banned" in str(await error()) and await gone() == (socket, info) and info.banned
    await end(one, other)


@asyncio_test
async def test_backoff_and_a_soft_ban(topic: bytes) -> None:
    one, other = hyperswarm(local(**FAST)), hyperswarm(local(**FAST))
    met, back = Next(one, "connection"), Next(other, "connection")
    other.join(topic, announce=True, lookup=False)
    one.join(topic)
    (socket, info), (there, theirs) = await met(), await back()
    assert [info.backoff() for _ in range(4)] == [True, True, True, False] and theirs.backoff() is False
    more = Next(info, "topic")
    second = os.urandom(32)
    other.join(second, announce=True, lookup=False)
    one.join(second)
    assert await more() == second and info.topics == [topic, second]
    assert info.deduplicate(b"a", b"b") is False and not info.duplicate
    gone = Next(one, "disconnection")
    assert theirs.deduplicate(b"same", b"same") is True and theirs.duplicate
    await gone()
    await end(one, other)


@asyncio_test
async def test_connect_to_a_peer(topic: bytes) -> None:
    one, other = hyperswarm(quiet()), hyperswarm(quiet())
    results: list[Any] = []
    peer = Peer("127.0.0.1", other.swarm.port, True, None, other.swarm.key)
    socket, info = await one.connect(peer, lambda *arguments: results.append(arguments))
    await asyncio.sleep(0)
    assert results == [(None, socket, info)] and socket.remote_public_key == other.swarm.key
    failed: list[Any] = []
    one.connect(Peer("127.0.0.1", other.swarm.port, True, None, os.urandom(32)), lambda *arguments: failed.append(arguments))
    await until(lambda: failed)
    assert len(failed[0]) == 1 and isinstance(failed[0][0], setowire.SetowireError)
    await end(one, other)


@asyncio_test
async def test_validate_peer(topic: bytes) -> None:
    seen: list[Peer] = []

    def validate(peer: Peer) -> bool:
        seen.append(peer)
        return False

    one, other = hyperswarm(local(validate_peer=validate)), hyperswarm(local())
    rejected = Next(one, "peer-rejected")
    other.join(topic, announce=True)
    one.join(topic)
    peer = await rejected()
    assert peer.key == other.swarm.key and [one.key for one in seen] == [peer.key]
    await one.flush()
    assert not one.connections
    await end(one, other)


@asyncio_test
async def test_limits_of_sockets() -> None:
    none, some, any_ = (hyperswarm(quiet(max_server_sockets=count)) for count in (-1, 1, 0))
    clients = [hyperswarm(quiet()) for _ in range(2)]

    async def reaches(client: Hyperswarm2, server: Hyperswarm2) -> bool:
        try:
            await client.connect(Peer("127.0.0.1", server.swarm.port, True, None, server.swarm.key))
        except setowire.SetowireError:
            return False
        return True

    assert [await reaches(client, any_) for client in clients] == [True, True]
    assert [await reaches(client, some) for client in clients] == [True, False]
    assert [await reaches(client, none) for client in clients] == [False, False]
    await end(none, some, any_, *clients)


@asyncio_test
async def test_methods_with_callbacks(topic: bytes) -> None:
    swarm = hyperswarm(
        quiet(), queue={"requeue": [100], "forget": {"unresponsive": 100, "banned": 1000}, "multiplex": True}, ephemeral=True
    )
    listening, closed = Next(swarm, "listening"), Next(swarm, "close")
    called: list[Any] = []
    await swarm.listen(0, lambda error: called.append(("listen", error)))
    await listening()
    with pytest.raises(setowire.UnreachableError):
        swarm.listen(1)
    await swarm.flush(lambda error: called.append(("flush", error)))
    state = await swarm.connectivity()
    assert state == {"bound": True, "bootstrapped": False, "holepunched": False}
    assert swarm.address()["port"] == swarm.swarm.port and swarm.address()["family"] == "IPv4"
    swarm.join(topic, None, lambda error: called.append(("join", type(error))))
    await until(lambda: len(called) == 3)
    assert called == [("listen", None), ("flush", None), ("join", setowire.UnreachableError)]
    await swarm.destroy(lambda error: called.append(("destroy", error)))
    await closed()
    assert called[-1] == ("destroy", None) and swarm.destroyed
    for call in (swarm.flush, swarm.connectivity):
        with pytest.raises(setowire.ClosedError, match="destroyed"):
            await call()
    for later in (swarm.address, lambda: swarm.join(topic)):
        with pytest.raises(setowire.ClosedError):
            later()


@asyncio_test
async def test_a_topic_joined_twice_is_left_first(topic: bytes) -> None:
    swarm = hyperswarm(local())
    first = swarm.join(topic)
    swarm.join(topic, announce=True)
    assert first.closed and swarm.status(topic) == {"announce": True, "lookup": True}
    with pytest.raises(ValueError, match="neither"):
        swarm.join(topic, lookup=False)
    assert swarm.status(topic) == {"announce": True, "lookup": True}
    for name in ("announceLocalAddress", "preferredPort"):
        with pytest.raises(setowire.NotAvailableError):
            hyperswarm({name: 5})
    await swarm.destroy()


@asyncio_test
async def test_a_peer_at_an_ipv6_address() -> None:
    one, other = hyperswarm(quiet(bind="[::1]:0")), hyperswarm(quiet(bind="[::1]:0"))
    socket, info = await one.connect({"host": "::1", "port": other.swarm.port})
    assert socket.remote_public_key == other.swarm.key and info.client
    await end(one, other)
