"""The asyncio swarm with the real library, on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import socket
from typing import Any

import pytest

import setowire
from conftest import DEADLINE, ROOT, local, quiet
from waiting import Next, asyncio_test, until


async def pair(one: setowire.Swarm, other: setowire.Swarm) -> tuple[setowire.Peer, setowire.Peer]:
    """Connects two swarms; how each sees the other."""
    met = Next(other, "connection")
    peer = await one.connect(f"127.0.0.1:{other.port}")
    return peer, await met()


@asyncio_test
async def test_two_swarms_meet_by_topic_and_talk(topic: bytes) -> None:
    async with setowire.Swarm(local()) as one, setowire.Swarm(local()) as other:
        met = [Next(one, "connection"), Next(other, "connection")]
        first, second = await one.join(topic), await other.join(topic)
        peers = [await met[0](), await met[1]()]
        await until(lambda: peers[0].key == other.key and peers[1].key == one.key, "a modern session")
        assert "lan" in {peer.source for peer in peers}
        for peer, joined in zip(peers, (first, second)):
            assert (peer.session, peer.security, peer.suite) == ("setowire/13", "tls1.3", "TLS_CHACHA20_POLY1305_SHA256")
            assert peer.connected and peer.in_mesh and peer.address == "127.0.0.1"
            assert peer.topics == [joined] and not peer.explicit
        await peers[0].send(b"question")
        message = await anext(aiter(second))
        assert (message.peer, message.data, message.clear) == (peers[1], b"question", False)
        assert message.peer.write(b"answer")
        message = await anext(aiter(first))
        assert (message.peer, message.data) == (peers[0], b"answer")


@asyncio_test
async def test_connect_by_address_and_messages_of_each_size() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        there, back = await pair(one, other)
        assert there.client and not back.client
        assert there.source == "connect" and back.source == "incoming"
        assert there.remote_address == f"127.0.0.1:{other.port}"
        incoming = aiter(other)
        for size in (0, 1, 1_163, 1_164, 10_000, there.max_message):
            for data in (bytes(size), bytearray(b"x" * size), memoryview(b"y" * size)):
                await there.send(data)
                assert (await anext(incoming)).data == bytes(data)
        with pytest.raises(setowire.MessageTooLargeError):
            await there.send(bytes(there.max_message + 1))
        with pytest.raises(setowire.MessageTooLargeError):
            there.write(bytes(there.max_message + 1))
        await until(lambda: there.rtt is not None and there.confirmed is not None, "a round-trip time")
        assert there.stats().messages_sent >= 18 and back.stats().messages_received >= 18
        assert one.stats().connections == 1


@asyncio_test
async def test_broadcast_reaches_everybody_once(topic: bytes) -> None:
    swarms = [setowire.Swarm(quiet()) for _ in range(4)]
    try:
        for other in swarms[1:]:
            await pair(swarms[0], other)
        assert swarms[0].size == 3 and swarms[0].mesh_peers == swarms[0].peers
        assert swarms[0].broadcast(b"to all") == 3
        for other in swarms[1:]:
            message = await anext(aiter(other))
            assert (message.peer.key, message.data) == (swarms[0].key, b"to all")
    finally:
        for swarm in swarms:
            await swarm.destroy()


@asyncio_test
async def test_a_departure_is_noticed() -> None:
    one, other = setowire.Swarm(quiet()), setowire.Swarm(quiet())
    there, back = await pair(one, other)
    gone, closed = Next(one, "disconnect"), Next(there, "close")
    await other.destroy()
    assert await gone() == there.id
    await closed()
    assert not there.connected and one.size == 0
    assert there.write(b"anybody there?") is False
    with pytest.raises(ConnectionError):
        await there.send(b"anybody there?")
    with pytest.raises(setowire.PeerClosedError):
        there.stats()
    there.close()
    await one.destroy()


@asyncio_test
async def test_closing_a_peer() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        there, back = await pair(one, other)
        gone = [Next(one, "disconnect"), Next(other, "disconnect")]
        there.close()
        assert [await gone[0](), await gone[1]()] == [there.id, back.id]


@asyncio_test
async def test_nobody_answers_within_the_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        async with setowire.Swarm(quiet()) as swarm:
            with pytest.raises((TimeoutError, setowire.UnreachableError)):
                await swarm.connect(f"127.0.0.1:{deaf.getsockname()[1]}", timeout=0.2)
            with pytest.raises(setowire.InvalidArgumentError):
                await swarm.connect("no port")


@asyncio_test
async def test_connect_is_cancellable_and_ends_with_the_swarm() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        swarm = setowire.Swarm(quiet())
        connecting = asyncio.create_task(swarm.connect(address, timeout=math.inf))
        await until(lambda: swarm.stats().ops == 1)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await until(lambda: swarm.stats().ops == 0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(swarm.connect(address, timeout=math.inf), 0.05)
        connecting = asyncio.create_task(swarm.connect(address, timeout=math.inf))
        await until(lambda: swarm.stats().ops == 1)
        await swarm.destroy()
        with pytest.raises(setowire.ClosedError):
            await connecting
        with pytest.raises(setowire.ClosedError):
            await swarm.connect(address)


@asyncio_test
async def test_every_await_can_be_cancelled(topic: bytes) -> None:
    """Each is cancelled after no turn of the loop, one, two and so on; the swarm works after each."""
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        there, back = await pair(one, other)
        received = aiter(other)

        async def iterate() -> None:
            async for _ in one:
                pass

        awaits = [
            lambda: one.join(topic),
            lambda: one.leave(topic),
            lambda: there.send(b"cancelled or not"),
            lambda: one.connect(f"127.0.0.1:{other.port}"),
            iterate,
        ]
        for make in awaits:
            for turns in range(6):
                task = asyncio.ensure_future(make())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled() or task.exception() is None
        await until(lambda: not one._operations and one.stats().ops == 0)
        await there.send(b"the end")
        while (await anext(received)).data != b"the end":
            pass

    swarm = setowire.Swarm(quiet())
    task = asyncio.ensure_future(swarm.destroy())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await swarm.destroy()


@asyncio_test
async def test_a_flood_does_not_starve_the_loop() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        there, back = await pair(one, other)
        count = 20_000
        got: list[int] = []
        most_in_a_turn = 0

        async def tick() -> None:
            nonlocal most_in_a_turn
            while True:
                before = len(got)
                await asyncio.sleep(0)
                most_in_a_turn = max(most_in_a_turn, len(got) - before)

        async def send() -> None:
            for number in range(count):
                if not there.write(number.to_bytes(100, "big")):
                    await there.send(number.to_bytes(100, "big"))

        ticking, sending = asyncio.create_task(tick()), asyncio.create_task(send())
        messages = aiter(other)
        while len(got) < count:
            got.append(int.from_bytes((await anext(messages)).data, "big"))
        await sending
        ticking.cancel()
        assert got == list(range(count))
        assert most_in_a_turn < count / 5


@asyncio_test
async def test_more_sends_at_once_than_the_library_keeps_track_of() -> None:
    async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
        there, back = await pair(one, other)
        count = 5_000
        sends = asyncio.gather(*(there.send(number.to_bytes(4, "big")) for number in range(count)))
        messages = aiter(other)
        got = [int.from_bytes((await anext(messages)).data, "big") for _ in range(count)]
        await sends
        assert got == list(range(count))


@asyncio_test
async def test_the_identity_comes_from_the_seed() -> None:
    vectors = json.loads((ROOT / "tests" / "vectors" / "identity.json").read_text())["vectors"]
    checked = 0
    for vector in vectors:
        seed = vector["inputs"]["seed"]
        if isinstance(seed, str) and len(seed) == 64:
            for given in (seed, bytes.fromhex(seed)):
                async with setowire.Swarm(quiet(seed=given)) as swarm:
                    assert swarm.id == vector["expected"]["id"]
                    checked += 1
    assert checked >= 2


@asyncio_test
async def test_topics(topic: bytes) -> None:
    async with setowire.Swarm(quiet()) as swarm:
        first, second = await swarm.join(topic), await swarm.join(topic.hex())
        assert first.topic == second.topic == topic and first.number != second.number
        other = await swarm.join(hashlib.sha256(topic).digest())
        assert swarm.stats().topics == 3
        await first.close()
        await first.close()
        assert swarm.stats().topics == 2
        await swarm.leave(topic)
        await swarm.leave(topic)
        assert second.closed and not other.closed and swarm.stats().topics == 1
        assert [message async for message in second] == []
        with pytest.raises(setowire.InvalidArgumentError):
            await swarm.join(b"short")


@asyncio_test
async def test_the_peer_cache_goes_out_and_in(topic: bytes) -> None:
    saved: list[list[dict[str, Any]]] = []
    async with setowire.Swarm(quiet()) as other:
        await other.join(topic)
        async with setowire.Swarm(quiet(on_save_peers=saved.append)) as one:
            await one.join(topic)
            await pair(one, other)
        assert saved, "nothing was handed out at the end"
        (entry,) = saved[-1]
        assert entry["ip"] == "127.0.0.1" and entry["port"] == other.port and entry["key"] == other.key.hex()
        again = Next(other, "connection")
        async with setowire.Swarm(quiet(on_load_peers=lambda: saved[-1])) as late:
            known = Next(late, "connection")
            await late.join(topic)
            assert (await known()).source == "cache"
            assert (await again()).key == late.key


@asyncio_test
async def test_seeds_are_dialled_at_join(topic: bytes) -> None:
    async with setowire.Swarm(quiet()) as other:
        async with setowire.Swarm(quiet(seeds=[f"127.0.0.1:{other.port}"])) as one:
            met = Next(one, "connection")
            await one.join(topic)
            assert (await met()).source == "seed"


@asyncio_test
async def test_closed_swarms_say_so(topic: bytes) -> None:
    swarm = setowire.Swarm(quiet())
    closed = Next(swarm, "close")
    await swarm.destroy()
    await closed()
    for call in (lambda: swarm.broadcast(b"x"), swarm.stats, swarm.network_changed):
        with pytest.raises(setowire.ClosedError):
            call()
    with pytest.raises(setowire.ClosedError):
        await swarm.join(topic)
    assert [message async for message in swarm] == []


def test_a_swarm_made_outside_a_loop_works_in_the_first_one(topic: bytes) -> None:
    swarm = setowire.Swarm(quiet())

    async def main() -> None:
        async with swarm, setowire.Swarm(quiet()) as other:
            there, _ = await pair(swarm, other)
            await there.send(b"x")
            assert (await anext(aiter(other))).data == b"x"

    asyncio.run(asyncio.wait_for(main(), DEADLINE), debug=True)


def test_a_forgotten_swarm_is_closed_and_warns() -> None:
    import gc
    import warnings

    swarm = setowire.Swarm(quiet())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del swarm
        gc.collect()
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert "destroy()" in str(caught[0].message)
