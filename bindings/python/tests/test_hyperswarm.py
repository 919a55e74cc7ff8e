"""The names of Hyperswarm 4: connections as duplex streams, what the swarm shows of itself."""

from __future__ import annotations

import asyncio
import io
import os
from typing import Any

import pytest

import setowire
from conftest import local
from setowire import _duplex
from setowire.hyperswarm import Duplex, Hyperswarm, KeyPair, PeerInfo
from test_discovery import FAST
from waiting import Next, asyncio_test, until


async def pair(topic: bytes, **options: Any) -> tuple[Hyperswarm, Hyperswarm, Duplex, Duplex]:
    """A server and a client, and their connection from both sides."""
    server, client = Hyperswarm(local(**FAST, **options)), Hyperswarm(local(**FAST, **options))
    served, met = Next(server, "connection"), Next(client, "connection")
    assert await server.join(topic, server=True, client=False).flushed()
    client.join(topic, {"server": False, "client": True})
    assert await client.flush()
    return server, client, (await served())[0], (await met())[0]


async def end(*swarms: Hyperswarm) -> None:
    for swarm in swarms:
        await swarm.destroy()


@asyncio_test
async def test_the_usage_example(topic: bytes) -> None:
    server, client = Hyperswarm(local(**FAST)), Hyperswarm(local(**FAST))
    got: list[bytes] = []
    served, closed = asyncio.Event(), asyncio.Event()

    @server.on("connection")
    def serve(conn: Duplex, info: PeerInfo) -> None:
        assert not conn.is_initiator and info.topics == [] and conn.remote_public_key == client.key_pair.public_key
        conn.write("this is a server connection")
        conn.end()
        served.set()

    @client.on("connection")
    def meet(conn: Duplex, info: PeerInfo) -> None:
        assert conn.is_initiator and info.topics == [topic] and conn.public_key == client.key_pair.public_key
        info.reconnect(False)
        conn.on("data", got.append)
        conn.on("end", lambda: got.append(b"end"))
        conn.on("close", closed.set)
        conn.on("error", got.append)

    discovery = server.join(topic, server=True, client=False)
    assert await discovery.flushed()
    client.join(topic, server=False, client=True)
    assert await client.flush()
    await asyncio.wait_for(served.wait(), 10)
    await asyncio.wait_for(closed.wait(), 10)
    await client.leave(topic)
    # Who has closed may be found again before the topic is left.
    assert got[:2] == [b"this is a server connection", b"end"]
    await until(lambda: not client.connections and not server.connections)
    await until(lambda: not client.peers, "the end of the connection below")
    await end(server, client)


@asyncio_test
async def test_data_flows_both_ways_and_each_ends_by_itself(topic: bytes) -> None:
    server, client, there, here = await pair(topic)
    ended = Next(there, "end")
    received: list[bytes] = []
    there.on("data", received.append)
    big = os.urandom(3_000_000)
    assert here.write(big) is False, "more than the peer takes at once"
    drained = Next(here, "drain")
    await drained()
    here.end(b"the last")
    await ended()
    assert b"".join(received) == big + b"the last"
    await here.flush()
    with pytest.raises(setowire.ClosedError):
        here.write(b"more")
    here.end()
    await until(lambda: there.destroyed and here.destroyed, "both closed")
    await end(server, client)


@asyncio_test
async def test_what_is_written_before_the_stream_is_there_is_kept_in_bounds(topic: bytes) -> None:
    server, client = Hyperswarm(local(**FAST)), Hyperswarm(local(**FAST))
    refused: list[bool] = []

    @server.on("connection")
    def serve(conn: Duplex, info: PeerInfo) -> None:
        refused.append(conn.write(bytes(1000)))
        refused.append(conn.write(bytes(100_000)))
        with pytest.raises(setowire.WouldBlockError):
            conn.write(bytes(_duplex.MOST_UNSENT))

    met = Next(client, "connection")
    await server.join(topic, server=True, client=False).flushed()
    client.join(topic, client=True, server=False)
    conn, _ = await met()
    size = 0
    async for data in conn:
        size += len(data)
        if size == 101_000:
            break
    assert refused == [True, False]
    await end(server, client)


@asyncio_test
async def test_a_slow_reader_holds_the_writer_back(topic: bytes) -> None:
    server, client, there, here = await pair(topic)
    received: list[bytes] = []
    there.once("data", lambda data: there.pause())
    there.on("data", received.append)
    piece, count = bytes(1 << 20), 40

    async def fill() -> None:
        for _ in range(count):
            here.write(piece)
            await here.drain()
        here.end()

    filling = asyncio.ensure_future(fill())
    await until(lambda: received)
    message = Next(there, "message")
    for _ in range(20):  # time in which nothing more comes
        await here.send(b"are you there?")
        await message()
    assert len(received) == 1 and not filling.done()
    ended = Next(there, "end")
    there.resume()
    await filling
    await ended()
    assert len(b"".join(received)) == count * len(piece)
    await end(server, client)


@asyncio_test
async def test_pipes(topic: bytes) -> None:
    """An echo: what comes is written back; at the other end it goes into a file."""
    server, client, there, here = await pair(topic)
    assert there.pipe(there) is there
    file = io.BytesIO()
    kept = bytearray()
    here.on("data", kept.extend)
    here.pipe(file)
    data = os.urandom(500_000)
    here.end(data)
    await Next(here, "close")()
    assert bytes(kept) == data and file.closed
    await end(server, client)


@asyncio_test
async def test_messages_beside_the_stream(topic: bytes) -> None:
    server, client, there, here = await pair(topic)
    message, back = Next(there, "message"), Next(here, "message")
    await here.send("a message")
    assert await message() == b"a message" and there.try_send(b"another")
    assert await back() == b"another"
    await end(server, client)


@asyncio_test
async def test_destroy_is_an_error_on_the_other_side(topic: bytes) -> None:
    server, client, there, here = await pair(topic)
    here.peer.info.reconnect(False)
    error, closed = Next(there, "error"), Next(there, "close")
    there.resume()
    here.destroy()
    here.destroy()
    assert here.destroyed and "closed" in repr(here)
    assert isinstance(await error(), setowire.SetowireError)
    await closed()
    await until(lambda: not server.connections and not client.connections)
    # Without a listener for errors it only closes.
    await end(server, client)


@asyncio_test
async def test_a_reader_that_pauses_gets_what_came_before_the_other_side_left(topic: bytes) -> None:
    server, client, there, here = await pair(topic)
    here.peer.info.reconnect(False)
    data = os.urandom(300_000)
    received: list[bytes] = []
    ended, gone = Next(there, "end"), Next(server.swarm, "disconnect")
    there.on("data", received.append)
    there.pause()
    here.end(data)
    await here.flush()
    await client.swarm.destroy()
    await gone()
    assert not there.destroyed
    there.resume()
    await ended()
    assert b"".join(received) == data
    await until(lambda: there.destroyed, "the end")
    await server.destroy()


@asyncio_test
async def test_a_connection_that_nobody_reads_closes_with_the_other_side(topic: bytes) -> None:
    server, client, there, here = await pair(topic)
    here.peer.info.reconnect(False)
    error, closed = Next(there, "error"), Next(there, "close")
    here.write(b"not wanted")
    await here.flush()
    await client.swarm.destroy()
    assert isinstance(await error(), setowire.PeerClosedError)
    await closed()
    await server.destroy()


@asyncio_test
async def test_a_connection_that_ends_comes_again(topic: bytes) -> None:
    server, client, there, here = await pair(topic)
    again = Next(client, "connection")
    there.destroy()
    conn, info = await again()
    assert conn is not here and info.key == here.remote_public_key and conn.peer.client
    await end(server, client)


@asyncio_test
async def test_what_the_swarm_shows(topic: bytes) -> None:
    server, client, there, here = await pair(topic)
    assert server.connections == {there} and client.connecting == 0
    info = client.peers[there.public_key.hex()]
    assert info.connected and info.topics == [topic] and info.prioritized
    assert client.stats["connects"]["client"] == {"attempted": 1, "opened": 1, "closed": 0}
    assert server.stats["connects"]["server"] == {"opened": 1, "closed": 0} and server.stats["banned_peers"] == 0
    assert server.listening and not client.listening and client.stats["updates"] > 0
    assert [one.topic for one in client.topics()] == [topic] and client.status(topic) in client.topics()
    updates = Next(client, "update")
    client.join_peer(there.public_key)
    assert client.explicit_peers == {info}
    client.leave_peer(there.public_key)
    more = os.urandom(32)
    client.join(more)
    await client.leave(more)
    assert client.status(more) is None and here.peer.connected
    await client.clear()
    assert list(client.topics()) == []
    await client.suspend()
    assert client.suspended and not client.connections
    await updates()
    await client.resume()
    await server.listen()
    closed = Next(client, "close")
    await end(server, client)
    await closed()
    assert client.destroyed and await client.flush() is False
    with pytest.raises(setowire.ClosedError):
        client.join(topic)


@asyncio_test
async def test_options() -> None:
    seed = os.urandom(32)
    async with Hyperswarm(local(), seed=seed, maxPeers=3, port=[20200, 20300]) as one:
        assert one.key_pair == KeyPair(one.swarm.key, seed + one.swarm.key)
        assert one.swarm.port is not None and 20200 <= one.swarm.port <= 20300
        async with Hyperswarm(local(keyPair={"publicKey": one.key_pair.public_key, "secretKey": one.key_pair.secret_key})) as other:
            assert other.key_pair == one.key_pair
    async with Hyperswarm(local()) as anybody:
        assert len(anybody.key_pair.public_key) == 32 and anybody.key_pair.secret_key is None
    for name in ("nodes", "relayThrough"):
        with pytest.raises(setowire.NotAvailableError):
            Hyperswarm({name: object()})
    with pytest.raises(ValueError, match="neither"):
        async with Hyperswarm(local()) as swarm:
            swarm.join(bytes(32), {"client": False, "server": False})


@asyncio_test
async def test_a_firewall(topic: bytes) -> None:
    server, client = Hyperswarm(local(firewall=lambda key: True)), Hyperswarm(local(**FAST))
    banned = Next(server, "ban")
    await server.join(topic, server=True, client=False).flushed()
    client.join(topic, client=True, server=False)
    assert await client.flush()
    info, reason = await banned()
    assert (info.public_key, reason) == (client.key_pair.public_key, "Peer is firewalled")
    assert not server.connections and server.stats["banned_peers"] == 1
    await end(server, client)


@asyncio_test
async def test_what_was_written_leaves_before_the_swarm_is_destroyed(topic: bytes) -> None:
    for n in range(10):
        server, client, served, met = await pair(bytes([n, *topic[1:]]))
        got: list[bytes] = []
        errors: list[object] = []
        closed = asyncio.Event()
        served.on("data", got.append)
        served.on("close", closed.set)
        for connection in (served, met):
            connection.on("error", errors.append)
        met.end(b"bye")
        await client.destroy()
        await closed.wait()
        await server.destroy()
        assert (b"".join(got), errors) == (b"bye", [])
