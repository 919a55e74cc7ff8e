"""Peers by key: what is known of them, keeping them connected, bans, connecting without an address."""

from __future__ import annotations

import os
from typing import Any

import pytest

import setowire
from conftest import local, quiet
from setowire.known import whom_of
from test_discovery import FAST
from waiting import Next, asyncio_test, until


def at(swarm: setowire.Swarm) -> str:
    return f"127.0.0.1:{swarm.port}"


@asyncio_test
async def test_what_is_known_of_a_peer() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        met = Next(other, "connection")
        peer = await one.connect(at(other))
        back = await met()
        info = one.known[other.key.hex()]
        assert info is peer.info and one.known == {other.key.hex(): info}
        assert (info.key, info.public_key, info.id) == (other.key, other.key, peer.id)
        assert (info.connected, info.client, info.proven, info.prioritized) == (True, True, True, True)
        assert (info.attempts, info.banned, info.explicit, info.topics) == (0, False, False, [])
        assert info.reconnecting and not info.queued and not info.waiting and not info.connecting
        assert info.address == at(other) and info.addresses == [at(other)] and info.source == "connect"
        assert not back.info.client and back.info.server
        assert one.connections == {peer} and one.connecting == 0
        peer.close()
        await until(lambda: not one.known, "the peer forgotten")
        assert (info.attempts, info.connected, info.address, info.priority, info.source) == (0, False, None, None, None)
        with pytest.raises(setowire.PeerClosedError):
            info.deduplicate(b"a", b"b")
        with pytest.raises(setowire.NotFoundError):
            info.reconnect(False)


def test_a_peer_of_the_old_protocol_is_named_by_its_id() -> None:
    assert whom_of({"key": None, "id": "00112233445566778"[:16]}) == bytes.fromhex("0011223344556677")


@asyncio_test
async def test_join_peer_connects_again_and_again() -> None:
    async with setowire.Swarm(quiet(**FAST)) as one, setowire.Swarm(quiet(**FAST)) as other:
        met = Next(other, "connection")
        one.join_peer(other.key.hex(), at(other))
        peer = await met()
        info = one.known[other.key.hex()]
        assert info.explicit and peer.explicit
        peer.close()
        again = await met()
        assert again is not peer and again.key == one.key and info.explicit
        one.leave_peer(other.key)
        await until(lambda: one.size == 1)
        assert info.connected and not info.explicit
        again.close()
        await until(lambda: not one.known, "the peer forgotten")
        one.leave_peer(other.key)
        one.join_peer(one.key, at(one))
        assert not one.known and one.state.explicit_peers == 0


@asyncio_test
async def test_join_peer_finds_the_address_by_the_key() -> None:
    async with setowire.Swarm(local()) as one, setowire.Swarm(local()) as other:
        await other.listen()
        assert other.listening
        met = Next(other, "connection")
        one.join_peer(other.key)
        assert (await met()).key == one.key


@asyncio_test
async def test_connect_by_key_alone() -> None:
    async with setowire.Swarm(local()) as one, setowire.Swarm(local()) as other:
        await other.listen()
        peer = await one.connect(key=other.key)
        assert peer.key == other.key and await one.connect(key=other.key.hex()) is peer
        with pytest.raises(setowire.SetowireError):
            await one.connect(key=os.urandom(32), timeout=0.2)
        with pytest.raises(ValueError, match="an address or a key"):
            await one.connect()


@pytest.mark.parametrize("bad", [b"short", bytes(33), "zz"])
@asyncio_test
async def test_keys_that_are_none(bad: Any) -> None:
    async with setowire.Swarm(quiet()) as swarm:
        for call in (swarm.join_peer, swarm.leave_peer, swarm.ban, swarm.unban):
            with pytest.raises(ValueError, match="key"):
                call(bad)
        with pytest.raises(ValueError, match="addr"):
            swarm.join_peer(bytes(32), "nowhere")
        with pytest.raises(TypeError, match="key"):
            swarm.ban(7)  # type: ignore[arg-type]


@asyncio_test
async def test_a_ban_keeps_the_connection_and_refuses_the_next(topic: bytes) -> None:
    async with setowire.Swarm(local(**FAST, legacy=False)) as one, setowire.Swarm(local(**FAST, legacy=False)) as other:
        met, left = Next(one, "connection"), Next(one, "disconnect")
        await other.join(topic)
        await one.join(topic)
        peer = await met()
        peer.info.ban()
        assert peer.info.banned and peer.connected and one.state.banned == 1
        peer.close()
        await left()
        with pytest.raises(setowire.SetowireError):
            await other.connect(at(one), timeout=1)
        assert await one.flush() and not one.peers
        assert one.known[other.key.hex()].banned
        peer.info.ban(False)
        assert not peer.info.banned
        assert (await other.connect(at(one))).key == one.key


@asyncio_test
async def test_a_ban_that_closes_and_ends() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        left = Next(one, "disconnect")
        await one.connect(at(other))
        one.ban(other.key, 0.3, close=True)
        await left()
        assert one.known[other.key.hex()].banned
        await until(lambda: not any(info.banned for info in one.known.values()), "the end of the ban")
        assert (await one.connect(at(other))).key == other.key
        one.ban(bytes(32))
        assert one.known[bytes(32).hex()].banned
        one.unban(bytes(32))
        one.unban(os.urandom(32))
        assert bytes(32).hex() not in one.known


@asyncio_test
async def test_a_peer_that_is_not_to_be_dialled_again(topic: bytes) -> None:
    async with setowire.Swarm(local(**FAST)) as server, setowire.Swarm(local(**FAST)) as client:
        await (await server.join(topic, server=True, client=False)).flushed()
        met, left = Next(client, "connection"), Next(client, "disconnect")
        await client.join(topic, client=True, server=False)
        peer = await met()
        peer.info.reconnect(False)
        assert not peer.info.reconnecting
        server.peers[0].close()
        await left()
        await until(lambda: not client.known, "the peer forgotten")


@asyncio_test
async def test_backoff_counts_attempts(topic: bytes) -> None:
    async with setowire.Swarm(local()) as server, setowire.Swarm(local()) as client:
        await (await server.join(topic, server=True, client=False)).flushed()
        met, served = Next(client, "connection"), Next(server, "connection")
        await client.join(topic, client=True, server=False)
        info = (await met()).info
        assert [info.backoff() for _ in range(5)] == [True, True, True, False, False]
        assert info.attempts == 3 and not info.prioritized
        assert (await served()).info.backoff() is False, "it dialled us"


@asyncio_test
async def test_two_connections_with_one_program(topic: bytes) -> None:
    """One program with two keys: of the two connections with it one stays, on both sides the same."""
    ids = b"program a", b"program b"
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as two, setowire.Swarm(quiet()) as other:
        first, second = await one.connect(at(other)), await two.connect(at(other))
        back = {peer.key: peer.info for peer in other.peers}
        await until(lambda: other.size == 2)
        back = {peer.key: peer.info for peer in other.peers}
        assert [back[one.key].deduplicate(*ids), back[two.key].deduplicate(*ids)].count(True) <= 1
        await until(lambda: other.size == 1, "the end of one of them")
        await until(lambda: first.connected != second.connected)
        left = one if first.connected else two
        assert other.peers[0].key == left.key
        with pytest.raises(ValueError, match="local"):
            back[left.key].deduplicate(b"", b"b")


@asyncio_test
async def test_the_key_pair() -> None:
    seed = os.urandom(32)
    async with setowire.Swarm(quiet(seed=seed)) as one:
        pair = seed + one.key
    for given in (pair, pair.hex(), {"secret_key": pair, "public_key": one.key}):
        async with setowire.Swarm(quiet(key_pair=given, seed=bytes(32))) as other:
            assert other.key == one.key
    for bad in (seed + bytes(32), b"short", "zz"):
        with pytest.raises(ValueError):
            setowire.Swarm(quiet(key_pair=bad))
    with pytest.raises(TypeError, match="secret_key"):
        setowire.Swarm(quiet(key_pair={}))
