"""What only modern sessions have: keys, private topics, datagrams, broadcasts with an author."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

import setowire
from conftest import local, quiet
from fake import FakeNative, install, modern
from setowire import _records, events, sync
from test_sync import next_of
from waiting import Next, asyncio_test, until


@asyncio_test
async def test_a_connection_says_what_it_is() -> None:
    async with setowire.Swarm(quiet(cipher="fastest")) as one, setowire.Swarm(quiet(cipher="fastest")) as other:
        met = Next(other, "connection")
        there = await one.connect(f"127.0.0.1:{other.port}")
        back = await met()
        assert (there.key, back.key) == (other.key, one.key)
        assert there.id == other.key.hex()[:16] and there.confirmed and there.explicit
        assert (there.session, there.security, there.suite) == ("setowire/13", "tls1.3", "TLS_AES_128_GCM_SHA256")
        assert there.addresses[0] == there.remote_address == f"127.0.0.1:{other.port}"
        assert there.topics == [] and there.max_message == 16 << 20
        await there.send(bytes(100))
        await until(lambda: there.rtt is not None)
        stats = there.stats()
        assert stats.bytes_sent > 100 and stats.messages_sent == 1 and stats.loss == 0 and stats.datagrams_dropped == 0


@asyncio_test
async def test_the_id_stays_when_the_old_one_is_proved() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        there = await one.connect(f"127.0.0.1:{other.port}")
        before = there.id
        await until(lambda: there.legacy_id is not None, "the proof of its old id")
        assert there.legacy_id == other.id and there.id == before


@asyncio_test
async def test_without_the_old_protocol_nothing_is_said_of_the_old_id() -> None:
    options = quiet(legacy=False, max_message=5_000)
    async with setowire.Swarm(options) as one, setowire.Swarm(options) as other:
        there = await one.connect(f"127.0.0.1:{other.port}")
        assert there.max_message == 5_000
        await there.send(bytes(5_000))
        with pytest.raises(setowire.MessageTooLargeError):
            await there.send(bytes(5_001))
        assert there.legacy_id is None


@asyncio_test
async def test_only_the_peer_with_the_key_will_do() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        address = f"127.0.0.1:{other.port}"
        for wrong in (one.key, os.urandom(32)):
            with pytest.raises(setowire.SetowireError):
                await one.connect(address, timeout=1, key=wrong)
        assert not one.peers and not other.peers
        there = await one.connect(address, key=other.key)
        assert there.key == other.key and await one.connect(address, key=other.key.hex()) is there
        for bad in (b"short", "zz"):
            with pytest.raises(ValueError, match="key"):
                await one.connect(address, key=bad)
        with pytest.raises(TypeError, match="key"):
            await one.connect(address, key=7)  # type: ignore[arg-type]


@asyncio_test
async def test_a_peer_that_accepts_only_members() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet(accept_explicit=False)) as other:
        with pytest.raises(setowire.SetowireError):
            await one.connect(f"127.0.0.1:{other.port}", timeout=2, key=other.key)
        assert not other.peers


@asyncio_test
async def test_an_outsider_does_not_meet_the_members_of_a_private_topic(topic: bytes) -> None:
    secret = os.urandom(32)
    swarms = [setowire.Swarm(local(legacy=False)) for _ in range(4)]
    one, two, outsider, guesser = swarms
    try:
        met = [Next(one, "connection"), Next(two, "connection")]
        await outsider.join(topic)
        await guesser.join(topic, secret=os.urandom(32))
        private = await one.join(topic, secret=secret)
        assert private.private and "private" in repr(private) and secret.hex() not in repr(vars(private))
        other = await two.join(topic, secret=secret.hex())
        peers = [await met[0](), await met[1]()]
        assert [peer.key for peer in peers] == [two.key, one.key]
        assert peers[0].topics == [private] and peers[1].topics == [other]
        # Long enough for the outsiders too: they meet a third who has joined both their topics.
        async with setowire.Swarm(local(legacy=False)) as third:
            met_third = Next(third, "connection")
            await third.join(topic)
            assert (await met_third()).key == outsider.key
        assert private.broadcast(b"among us") == 1
        message = await anext(aiter(other))
        assert (message.data, message.author, message.topic) == (b"among us", one.key, other)
        assert [peer.key for peer in one.peers] == [two.key] and [peer.key for peer in two.peers] == [one.key]
        assert not guesser.peers
        for bad in (b"short", "zz"):
            with pytest.raises(ValueError, match="secret"):
                await one.join(topic, secret=bad)
    finally:
        for swarm in swarms:
            await swarm.destroy()


@asyncio_test
async def test_a_broadcast_reaches_members_that_are_not_connected_and_names_its_author(topic: bytes) -> None:
    """A line: the first is connected to the second alone, the second to the third."""
    swarms = [setowire.Swarm(quiet(legacy=False)) for _ in range(3)]
    first, second, third = swarms
    try:
        joined = [await swarm.join(topic) for swarm in swarms]
        await first.connect(f"127.0.0.1:{second.port}", key=second.key)
        last = await third.connect(f"127.0.0.1:{second.port}", key=second.key)
        await until(lambda: last.topics == [joined[2]] and second.size == 2, "the topic proved")
        messages = aiter(joined[2])
        assert joined[0].broadcast(b"to all members") == 1
        message = await anext(messages)
        assert (message.data, message.author, message.topic) == (b"to all members", first.key, joined[2])
        assert message.peer is last and message.peer.key == second.key and not message.clear
        assert first.broadcast(b"to all") == 1
        assert (await anext(messages)).data == b"to all"
        await joined[0].close()
        with pytest.raises(setowire.SetowireError):
            joined[0].broadcast(b"x")
    finally:
        for swarm in swarms:
            await swarm.destroy()


@asyncio_test
async def test_datagrams() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        met = Next(other, "connection")
        there = await one.connect(f"127.0.0.1:{other.port}")
        back = await met()
        heard, heard_of_peer = Next(other, "datagram"), Next(back, "datagram")
        datagrams = other.datagrams()
        for data in (b"", b"x", bytearray(b"y" * 1_000), memoryview(b"z" * 1_150)):
            assert there.send_datagram(data)
            assert await heard() == (bytes(data), back) and await heard_of_peer() == bytes(data)
            datagram = await anext(datagrams)
            assert (datagram.peer, datagram.data) == (back, bytes(data))
        with pytest.raises(setowire.MessageTooLargeError, match="1150|1,150"):
            there.send_datagram(bytes(1_151))
        gone = Next(one, "disconnect")
        await other.destroy()
        await gone()
        assert there.send_datagram(b"x") is False
        assert [datagram async for datagram in datagrams] == []


def test_datagrams_broadcasts_and_private_topics_without_a_loop(topic: bytes) -> None:
    secret = os.urandom(32)
    with sync.Swarm(local(legacy=False)) as one, sync.Swarm(local(legacy=False)) as other:
        ours, theirs = one.join(topic, secret=secret), other.join(topic, secret=secret)
        there, back = next_of(one, events.Connection).peer, next_of(other, events.Connection).peer
        assert there.topics == [ours] and back.topics == [theirs] and ours.private
        assert there.send_datagram(b"quick")
        datagram = next_of(other, events.Datagram)
        assert (datagram.peer, datagram.data) == (back, b"quick")
        assert ours.broadcast(b"to members") == 1
        message = next_of(other, events.Message)
        assert (message.data, message.author, message.topic, message.peer) == (b"to members", one.key, theirs, back)
        other.leave(topic)
        assert theirs.closed and not other._topics
        assert one.connect(f"127.0.0.1:{other.port}", key=other.key) is there


# -- over a stand-in for the library ------------------------------------------


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    natives = install(monkeypatch)
    yield natives
    for native in natives:
        native.dispose()


@asyncio_test
async def test_a_loop_over_a_topic_gets_what_is_meant_for_it(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        first, again = await swarm.join(bytes(32)), await swarm.join(bytes(32))
        private = await swarm.join(bytes(32), secret=bytes(range(32)))
        assert native.named("join")[2] == ("join", bytes(32), bytes(range(32)), 0, 0)
        loops = {topic: aiter(topic) for topic in (first, again, private)}
        native.peer(7, **modern(7, first.number))
        native.peer(8)
        native.queue(_records.MESSAGE, b"of a member", subject=7)
        native.queue(_records.MESSAGE, b"of an old peer", subject=8)
        for topic in (first, private):
            native.queue(
                _records.MESSAGE, b"to all", subject=7, tag=topic.number, flags=_records.MESSAGE_BROADCAST, author=b"a" * 32
            )
        native.queue(_records.MESSAGE, b"to one that was left", subject=7, tag=99, flags=_records.MESSAGE_BROADCAST)
        await until(lambda: not native.records)
        await asyncio.sleep(0)
        got = {topic: [message.data for message in loop._inbox._messages] for topic, loop in loops.items()}
        assert got == {
            first: [b"of a member", b"of an old peer", b"to all"],
            again: [b"of a member", b"of an old peer", b"to all"],
            private: [b"of an old peer", b"to all"],
        }


@asyncio_test
async def test_datagrams_that_nobody_reads_in_time_go(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        native.peer(7)
        native.queue(_records.DATAGRAM, b"before", subject=7)
        await until(lambda: not native.records)
        datagrams = swarm.datagrams()
        for number in range(5_000):
            native.queue(_records.DATAGRAM, number.to_bytes(4, "big"), subject=7)
        await until(lambda: not native.records)
        left = [int.from_bytes(datagram.data, "big") for datagram in datagrams._inbox._messages]
        assert left == list(range(5_000))[-len(left) :] and 100 < len(left) < 2_000
