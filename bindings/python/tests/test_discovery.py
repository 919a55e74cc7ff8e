"""Topics as client and as server: sessions, rounds of discovery, flushes, look-ups without joining."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

import setowire
from conftest import local, quiet
from setowire._manage import roles
from waiting import Next, asyncio_test, until

#: Waits before a peer is dialled again that a test can wait for.
FAST: dict[str, Any] = {"backoffs": [100, 200, 300, 400], "jitter": 0}


@pytest.mark.parametrize(
    "preset, said, expected",
    [
        ("setowire", {}, 0),
        ("v4", {}, 0),
        ("v2", {}, 0),
        ("setowire", {"client": True}, 3),
        ("setowire", {"client": False}, 2),
        ("v2", {"server": True}, 3),
        ("v4", {"server": False}, 1),
        ("setowire", {"announce": True}, 3),
        ("setowire", {"lookup": False}, 2),
        ("setowire", {"announce": False}, 1),
        ("v4", {"lookup": True}, 1),
        ("v2", {"lookup": True}, 1),
        ("v2", {"announce": True}, 3),
        ("v2", {"announce": True, "lookup": False}, 2),
    ],
)
def test_what_is_not_said_has_the_default_of_the_words_used(preset: str, said: dict[str, bool], expected: int) -> None:
    names = ("announce", "lookup", "client", "server")
    assert roles(preset, *(said.get(name) for name in names)) == expected


@pytest.mark.parametrize(
    "preset, said",
    [
        ("setowire", {"client": False, "server": False}),
        ("setowire", {"announce": False, "lookup": False}),
        ("v2", {"lookup": False}),
        ("setowire", {"announce": True, "server": True}),
    ],
)
@asyncio_test
async def test_a_topic_for_nothing_is_refused(preset: Any, said: dict[str, bool]) -> None:
    async with setowire.Swarm(quiet(), preset=preset) as swarm:
        with pytest.raises(ValueError, match="neither client nor server|say either"):
            await swarm.join(bytes(32), **said)
        assert not swarm.topics


@asyncio_test
async def test_a_client_finds_a_server_and_not_the_other_way_round(topic: bytes) -> None:
    async with setowire.Swarm(local()) as one, setowire.Swarm(local()) as other:
        met, back = Next(one, "connection"), Next(other, "connection")
        served = await other.join(topic, server=True, client=False)
        assert await served.flushed() and await served.ready()
        looking = await one.join(topic, client=True, server=False)
        assert await one.flush()
        assert one.size == 1, "flush came before the connection"
        there, here = await met(), await back()
        assert (there.client, here.client) == (True, False)
        assert there.info.topics == [topic] and there.info.client and not there.info.server
        assert here.info.topics == [], "of a peer that dialled us the topic is not known"
        assert (looking.info.client, looking.info.server, looking.info.announced) == (True, False, False)
        assert (served.info.lookup, served.info.announce, served.info.announced) == (False, True, True)
        assert other.listening and not one.listening


@pytest.mark.parametrize("said", [{"client": True, "server": False}, {"announce": True, "lookup": False}])
@asyncio_test
async def test_two_of_the_same_do_not_meet(said: dict[str, bool], topic: bytes) -> None:
    """A third, which is both, meets them: there was time for it."""
    async with setowire.Swarm(local()) as one, setowire.Swarm(local()) as other, setowire.Swarm(local()) as third:
        for swarm in (one, other):
            assert await (await swarm.join(topic, **said)).flushed()
        await third.join(topic)
        await until(lambda: third.size == 2)
        assert await one.flush() and await other.flush()
        assert one.peers[0].key == other.peers[0].key == third.key
        assert one.size == other.size == 1


@asyncio_test
async def test_sessions_of_a_topic_have_their_own_wishes(topic: bytes) -> None:
    async with setowire.Swarm(local()) as swarm:
        other = await swarm.join(os.urandom(32))
        first = await swarm.join(topic, client=True, server=False, limit=3)
        second = await swarm.join(topic, server=True, client=False)
        assert swarm.topics == [other, first] and swarm.status(topic) is first and swarm.status(bytes(32)) is None
        assert (first.info.limit, second.info.limit) == (3, None)
        assert (first.info.client_in_all, first.info.server_in_all) == (True, True)
        assert (first.info.client, first.info.server) == (True, False)
        await first.close()
        assert (second.status.client_in_all, second.info.server_in_all) == (False, True)
        assert swarm.status(topic) is second
        await second.destroy()
        assert swarm.topics == [other]
        with pytest.raises(setowire.NotFoundError):
            second.info
        assert not await second.flushed()


@asyncio_test
async def test_refresh_changes_what_is_said(topic: bytes) -> None:
    async with setowire.Swarm(local()) as one, setowire.Swarm(local()) as other:
        met = Next(other, "connection")
        joined = await one.join(topic, client=True, server=False, limit=2)
        await other.join(topic, client=True, server=False)
        assert await joined.refresh(server=True)
        assert (joined.info.client, joined.info.server, joined.info.limit) == (True, True, 2)
        assert (await met()).key == one.key
        assert await joined.refresh(lookup=False, limit=float("inf"))
        assert (joined.info.client, joined.info.server, joined.info.limit) == (False, True, None)
        assert await joined.refresh()
        assert (joined.info.client, joined.info.server) == (False, True)
        with pytest.raises(ValueError, match="neither"):
            await joined.refresh(announce=False)
        for bad in (0, -1):
            with pytest.raises(ValueError, match="limit"):
                await joined.refresh(limit=bad)


@asyncio_test
async def test_rounds_are_told(topic: bytes) -> None:
    async with setowire.Swarm(local()) as swarm:
        updated = Next(swarm, "updated")
        joined = await swarm.join(topic)
        assert await updated() == (joined, True)


@asyncio_test
async def test_where_no_source_works_nothing_is_flushed(topic: bytes) -> None:
    async with setowire.Swarm(quiet()) as swarm:
        joined = await swarm.join(topic)
        assert await joined.flushed() is False
        assert await swarm.flush() is True, "nobody was found, so everybody was tried"
        with pytest.raises(setowire.UnreachableError):
            await swarm.lookup(topic)
        assert await swarm.announce(topic) is False


@asyncio_test
async def test_flush_when_nobody_is_there(topic: bytes) -> None:
    async with setowire.Swarm(local()) as swarm:
        assert await swarm.flush()
        await swarm.join(topic)
        assert await swarm.flush() and not swarm.peers


@asyncio_test
async def test_flush_when_there_is_no_place(topic: bytes) -> None:
    """As in the reference: a server, and two clients that may have one peer each."""
    async with setowire.Swarm(local()) as server:
        assert await (await server.join(topic, server=True, client=False)).flushed()
        async with setowire.Swarm(local(preset="v4", max_peers=1)) as one, setowire.Swarm(local(preset="v4", max_peers=1)) as two:
            for swarm in (one, two):
                await swarm.join(topic, client=True, server=False)
            assert await asyncio.gather(one.flush(), two.flush()) == [True, True]
            assert await one.flush()


@asyncio_test
async def test_flush_after_join_peer() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        one.join_peer(other.key, f"127.0.0.1:{other.port}")
        assert await one.flush()
        assert [peer.key for peer in one.peers] == [other.key]
        # To one that is not there: it was tried.
        one.join_peer(os.urandom(32), f"127.0.0.1:{other.port}")
        assert await one.flush()


@asyncio_test
async def test_the_end_of_the_swarm_ends_what_waits_for_a_round(topic: bytes) -> None:
    swarm = setowire.Swarm(local())
    joined = await swarm.join(topic)
    waiting = [asyncio.ensure_future(one) for one in (joined.flushed(), swarm.flush(), joined.refresh(server=False))]
    await asyncio.sleep(0)
    await swarm.destroy(force=True)
    assert await asyncio.gather(*waiting) == [False, False, False]
    assert await swarm.flush() is False and await joined.flushed() is False
    assert swarm.destroyed and swarm.known == {} and swarm.state.connections == 0


@asyncio_test
async def test_a_flush_that_is_cancelled(topic: bytes) -> None:
    async with setowire.Swarm(local()) as swarm:
        await swarm.join(topic)
        waiting = asyncio.ensure_future(swarm.flush())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not swarm._operations and swarm.stats().ops == 0


@asyncio_test
async def test_the_limit_of_a_topic(topic: bytes) -> None:
    servers = [setowire.Swarm(local()) for _ in range(3)]
    try:
        for server in servers:
            assert await (await server.join(topic, server=True, client=False)).flushed()
        async with setowire.Swarm(local()) as one:
            joined = await one.join(topic, client=True, server=False, limit=1)
            assert await one.flush() and one.size == 1
            assert await joined.refresh(limit=float("inf"))
            assert await one.flush() and one.size == 3
    finally:
        for server in servers:
            await server.destroy()


@asyncio_test
async def test_a_lookup_finds_who_is_there_without_joining(topic: bytes) -> None:
    # One that also speaks the old protocol is found by its id there, too.
    async with setowire.Swarm(local(legacy=False)) as one, setowire.Swarm(local(legacy=False)) as other:
        joined = await other.join(topic, server=True, client=False)
        assert await joined.flushed()
        found = await one.lookup(topic)
        assert [(peer.key, peer.source, peer.local, peer.topic) for peer in found] == [(other.key, "lan", True, None)]
        assert (found[0].address, found[0].port, found[0].id) == ("127.0.0.1", other.port, other.key.hex()[:16])
        assert [candidate async for candidate in one.lookup(topic.hex())] == found
        async for _ in one.lookup(topic):
            break
        await until(lambda: not one._operations and not one._finds, "the end of a look-up that was left")
        assert not one.peers and not one.topics and not one.known
        for bad in (b"short", "zz"):
            with pytest.raises(ValueError):
                await one.lookup(bad)
        await joined.close()
        assert await one.lookup(topic) == []


@asyncio_test
async def test_an_announcement_without_joining(topic: bytes) -> None:
    async with setowire.Swarm(local()) as one, setowire.Swarm(local()) as other:
        secret = os.urandom(32)
        for name in ({}, {"secret": secret}):
            assert await other.announce(topic, **name)
            other.unannounce(topic, **name)
        assert not other.topics and not other.peers and not one.peers


@asyncio_test
async def test_a_topic_left_and_joined_again_is_found(topic: bytes) -> None:
    async with setowire.Swarm(local(**FAST)) as one, setowire.Swarm(local(**FAST)) as other:
        met = Next(one, "connection")
        await other.join(topic, server=True, client=False)
        await other.leave(topic)
        joined = await other.join(topic, server=True, client=False)
        assert await joined.flushed()
        await one.join(topic, client=True, server=False)
        peer = await met()
        await one.leave(topic)
        assert peer.connected and one.topics == []


@asyncio_test
async def test_a_further_topic_of_a_peer_is_told(topic: bytes) -> None:
    async with setowire.Swarm(local(legacy=False)) as one, setowire.Swarm(local(legacy=False)) as other:
        met, of_swarm = Next(one, "connection"), Next(one, "topic")
        more = os.urandom(32)
        for name in (topic, more):
            await (await other.join(name, server=True, client=False)).flushed()
        await one.join(topic, client=True, server=False)
        info = (await met()).info
        assert await of_swarm() == (info, topic)
        of_info = Next(info, "topic")
        await one.join(more, client=True, server=False)
        assert await of_info() == more and await of_swarm() == (info, more)
        assert sorted(info.topics) == sorted([topic, more]) and one.size == 1
