"""The asyncio swarm over a stand-in for the library: floods, full queues, awkward orders."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import setowire
from fake import FakeNative, description, install
from setowire import _inbox, _records
from waiting import Next, asyncio_test, until

TOPIC = bytes(32)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    natives = install(monkeypatch)
    yield natives
    for native in natives:
        native.dispose()


def flood(native: FakeNative, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        native.message(7, number.to_bytes(4, "big"))


def numbers(messages: list[setowire.Message]) -> list[int]:
    return [int.from_bytes(message.data, "big") for message in messages]


@asyncio_test
async def test_a_lagging_loop_stops_the_reading_and_loses_nothing(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        native.peer(7)
        messages = aiter(await swarm.join(TOPIC))
        flood(native, 5_000)
        await until(lambda: len(native.records) < 4_000)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(native.records) >= 5_000 - _inbox.INBOX_ITEMS - 100, "it reads on although nobody takes the messages"
        got = [await anext(messages) for _ in range(5_000)]
        assert numbers(got) == list(range(5_000))


@asyncio_test
async def test_bytes_count_too(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        native.peer(7)
        messages = aiter(swarm)
        for _ in range(300):
            native.message(7, bytes(60_000))
        await until(lambda: len(native.records) < 250)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(native.records) >= 300 - _inbox.INBOX_BYTES // 60_000 - 101
        for _ in range(300):
            await anext(messages)


@asyncio_test
async def test_a_loop_that_is_left_lets_the_reading_go_on(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        native.peer(7)
        flood(native, 3_000)
        topic = await swarm.join(TOPIC)
        async for message in topic:
            assert numbers([message]) == [0]
            await until(lambda: swarm._inbox.full or topic._inbox.full)
            break
        await until(lambda: not native.records)


@asyncio_test
async def test_while_an_operation_is_awaited_the_oldest_are_dropped_and_counted(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        lost = Next(swarm, "lost")
        native.peer(7)
        messages = aiter(swarm)
        limit = _inbox.INBOX_ITEMS * _inbox.OVERFLOW
        flood(native, limit + 500)
        connecting = asyncio.create_task(swarm.connect("10.0.0.1:1"))
        await until(lambda: native.named("connect"))
        native.queue(_records.OP_DONE, {"peer": 7}, tag=native.named("connect")[0][3])
        assert (await connecting).number == 7
        count = await lost()
        while count < 501:
            count += await lost()
        assert numbers([await anext(messages)]) == [count]


@asyncio_test
async def test_messages_before_the_loop_and_between_loops_wait_for_it(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        topic = await swarm.join(TOPIC)
        native.peer(7)
        flood(native, 2)
        await until(lambda: not native.records)
        async for message in topic:
            assert numbers([message]) == [0]
            break
        flood(native, 1, start=2)
        await until(lambda: not native.records)
        messages = aiter(topic)
        assert numbers([await anext(messages), await anext(messages)]) == [1, 2]


@asyncio_test
async def test_what_a_listener_took_is_not_kept(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        got: list[bytes] = []
        swarm.on("data", lambda data, peer: got.append(data))
        topic = await swarm.join(TOPIC)
        native.peer(7)
        flood(native, 5)
        await until(lambda: len(got) == 5)
        assert not topic._inbox._messages and not swarm._inbox._messages


@asyncio_test
async def test_the_loop_ends_with_topic_and_swarm_after_what_is_left(made: list[FakeNative]) -> None:
    swarm = setowire.Swarm()
    (native,) = made
    first, second = await swarm.join(TOPIC), await swarm.join(TOPIC)
    native.peer(7)
    ends = [aiter(first), aiter(second), aiter(swarm)]
    flood(native, 1)
    await until(lambda: not native.records)
    await first.close()
    assert native.named("close_topic") == [("close_topic", first.number)]
    assert len([message async for message in ends[0]]) == 1
    await swarm.destroy()
    assert len([message async for message in ends[1]]) == 1
    assert len([message async for message in ends[2]]) == 1
    assert second.closed and native.released


@asyncio_test
async def test_a_cancelled_connect_waits_for_its_end(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        connecting = asyncio.create_task(swarm.connect("10.0.0.1:1", timeout=3))
        await until(lambda: native.named("connect"))
        (_, _, timeout, tag, _) = native.named("connect")[0]
        assert timeout == 3
        connecting.cancel()
        await until(lambda: native.named("cancel"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not connecting.done(), "it returned before the library was done with it"
        native.queue(_records.OP_DONE, "cancelled by its caller", tag=tag, code=-6)
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert not swarm._operations


@asyncio_test
async def test_a_connect_that_wins_against_its_cancellation(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        connecting = asyncio.create_task(swarm.connect("10.0.0.1:1"))
        await until(lambda: native.named("connect"))
        connecting.cancel()
        await until(lambda: native.named("cancel"))
        native.peer(7)
        native.queue(_records.OP_DONE, {"peer": 7}, tag=native.named("connect")[0][3])
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert swarm.size == 1 and not swarm._operations


@pytest.mark.parametrize("code, kind", [(-5, TimeoutError), (-100, ConnectionError), (-102, setowire.ResolveError)])
def test_a_failed_connect_says_why(made: list[FakeNative], code: int, kind: type[Exception]) -> None:
    @asyncio_test
    async def test() -> None:
        async with setowire.Swarm() as swarm:
            connecting = asyncio.create_task(swarm.connect("10.0.0.1:1"))
            await until(lambda: made[0].named("connect"))
            made[0].queue(_records.OP_DONE, "nobody at 10.0.0.1:1", tag=1, code=code)
            with pytest.raises(kind, match="nobody at 10.0.0.1:1") as raised:
                await connecting
            assert isinstance(raised.value, setowire.SetowireError) and raised.value.code == code

    test()


@asyncio_test
async def test_sends_wait_for_room_and_keep_their_order(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        native.peer(7)
        await until(lambda: swarm.size)
        (peer,) = swarm.peers
        native.full = True
        assert peer.write(b"x") is False
        sends = [asyncio.create_task(peer.send(bytes([number]))) for number in range(5)]
        await until(lambda: swarm._room)
        native.full = False
        native.queue(_records.WRITABLE, subject=7)
        await until(lambda: len(native.named("send")) == 5)
        assert [call[2] for call in native.named("send")] == [bytes([number]) for number in range(5)]
        assert not any(send.done() for send in sends)
        for call in native.named("send"):
            native.queue(_records.OP_DONE, tag=call[3])
        await asyncio.gather(*sends)
        assert not swarm._operations and not swarm._room


@asyncio_test
async def test_a_send_cancelled_while_it_waits_for_room_sends_nothing(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        native.peer(7)
        await until(lambda: swarm.size)
        native.full = True
        sending = asyncio.create_task(swarm.peers[0].send(b"x"))
        await until(lambda: swarm._room)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        native.full = False
        native.queue(_records.WRITABLE, subject=7)
        await until(lambda: not native.records)
        assert not native.named("send") and not swarm._room and not swarm._operations


@asyncio_test
async def test_a_send_fails_when_the_peer_leaves(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        native.peer(7)
        await until(lambda: swarm.size)
        (peer,) = swarm.peers
        queued = asyncio.create_task(peer.send(b"x"))
        await until(lambda: native.named("send"))
        native.full = True
        waiting = asyncio.create_task(peer.send(b"y"))
        await until(lambda: swarm._room)
        gone = {**description(7), "reason": "it said goodbye"}
        native.queue(_records.DISCONNECTION, gone, subject=7, code=-3)
        with pytest.raises(ConnectionError, match="it said goodbye"):
            await waiting
        native.gone = True
        native.queue(_records.OP_DONE, "the peer left", tag=native.named("send")[0][3], code=-2)
        with pytest.raises(setowire.PeerClosedError, match="the peer left"):
            await queued
        assert not peer.connected and swarm.peers == []


@asyncio_test
async def test_a_send_refused_for_too_many_operations_goes_when_one_ends(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        native.peer(7)
        await until(lambda: swarm.size)
        (peer,) = swarm.peers
        first = asyncio.create_task(peer.send(b"1"))
        await until(lambda: native.named("send"))
        native.full = True
        second = asyncio.create_task(peer.send(b"2"))
        await until(lambda: swarm._room)
        native.full = False
        native.queue(_records.OP_DONE, tag=native.named("send")[0][3])
        await first
        await until(lambda: len(native.named("send")) == 2)
        native.queue(_records.OP_DONE, tag=native.named("send")[1][3])
        await second


@asyncio_test
async def test_a_cancelled_reader_hands_its_message_on(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        (native,) = made
        native.peer(7)
        first, second = aiter(swarm), aiter(swarm)
        waiting = [asyncio.ensure_future(anext(first)), asyncio.ensure_future(anext(second))]
        await until(lambda: len(swarm._inbox._waiters) == 2)
        flood(native, 1)
        await until(lambda: swarm._inbox._messages)
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
        assert numbers([await waiting[1]]) == [0]


@asyncio_test
async def test_a_listener_that_fails_stops_nothing(made: list[FakeNative]) -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    async with setowire.Swarm() as swarm:
        got: list[bytes] = []

        def fail(data: bytes, peer: setowire.Peer) -> None:
            raise ValueError("mine")

        async def later(data: bytes, peer: setowire.Peer) -> None:
            got.append(data)

        swarm.on("data", fail)
        swarm.on("data", later)
        made[0].peer(7)
        flood(made[0], 3)
        await until(lambda: len(got) == 3)
        assert [str(failure["exception"]) for failure in failures] == ["mine"] * 3


@asyncio_test
async def test_events_of_the_older_package(made: list[FakeNative]) -> None:
    saved: list[Any] = []
    loaded = [{"id": "00", "ip": "10.0.0.1", "port": 1}]
    swarm = setowire.Swarm({"max_peers": 5, "on_save_peers": saved.append, "on_load_peers": lambda: loaded})
    (native,) = made
    assert native.options is not None and native.options["peer_cache"] == loaded
    seen: list[tuple[Any, ...]] = []
    for event in ("connection", "data", "disconnect", "peers", "close"):
        swarm.on(event, lambda *arguments, event=event: seen.append((event, *arguments)))
    swarm.once("data", lambda data, peer: seen.append(("once", data)))

    def removed(*arguments: object) -> None:
        raise AssertionError("it was removed")

    swarm.on("data", removed)
    swarm.off("data", removed)
    swarm.off("data", removed)
    native.peer(7)
    await until(lambda: swarm.size == 1)
    (peer,) = swarm.peers
    peer.on("data", lambda data: seen.append(("peer data", data)))
    peer.on("close", lambda: seen.append(("peer close",)))
    flood(native, 2)
    native.queue(_records.PEERS, loaded)
    native.queue(_records.DISCONNECTION, {**description(7), "reason": ""}, subject=7, code=-3)
    await until(lambda: not swarm.size)
    await swarm.destroy()
    await swarm.destroy()
    zero, one = bytes(4), b"\0\0\0\1"
    assert seen == [
        ("connection", peer),
        ("peer data", zero),
        ("data", zero, peer),
        ("once", zero),
        ("peer data", one),
        ("data", one, peer),
        ("peers", loaded),
        ("peer close",),
        ("disconnect", peer.id),
        ("close",),
    ]
    assert saved == [loaded] and len(peer.id) == 16 and peer.remote_address == "127.0.0.1:40007"


@asyncio_test
async def test_a_swarm_that_fails_tells_everybody_who_waits(made: list[FakeNative]) -> None:
    swarm = setowire.Swarm()
    (native,) = made
    messages = aiter(await swarm.join(TOPIC))
    connecting = asyncio.create_task(swarm.connect("10.0.0.1:1"))
    await until(lambda: native.named("connect"))
    native.queue(_records.CLOSED, "a bug was caught", code=-10)
    with pytest.raises(setowire.InternalError, match="a bug was caught"):
        await connecting
    with pytest.raises(setowire.InternalError, match="a bug was caught"):
        await anext(messages)
    await swarm.destroy()
    assert native.released


def test_a_swarm_belongs_to_one_loop(made: list[FakeNative]) -> None:
    swarm = setowire.Swarm()
    asyncio.run(swarm.join(TOPIC))

    async def other() -> None:
        with pytest.raises(setowire.WrongLoopError):
            await swarm.join(TOPIC)

    asyncio.run(other())


class NoReaders(asyncio.SelectorEventLoop):
    """A loop that cannot watch descriptors, as the default one of Windows."""

    def add_reader(self, fd: Any, callback: Any, *arguments: Any) -> None:
        raise NotImplementedError

    def _add_reader(self, fd: Any, callback: Any, *arguments: Any) -> Any:
        return super()._add_reader(fd, callback, *arguments)  # type: ignore[misc]


def test_a_loop_that_cannot_watch_descriptors_gets_a_thread(made: list[FakeNative]) -> None:
    async def main() -> None:
        async with setowire.Swarm() as swarm:
            (native,) = made
            assert any(thread.name == "setowire events" for thread in threading.enumerate())
            native.peer(7)
            messages = aiter(swarm)
            flood(native, 3_000)
            await until(lambda: len(native.records) < 2_500)
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(native.records) >= 3_000 - _inbox.INBOX_ITEMS - 100
            assert numbers([await anext(messages) for _ in range(3_000)]) == list(range(3_000))

    loop = NoReaders()
    try:
        loop.run_until_complete(asyncio.wait_for(main(), 30))
    finally:
        loop.close()


@pytest.mark.parametrize(
    "options, name",
    [
        ({"relay": True}, "relay"),
        ({"bootstrap_http": ["http://a"]}, "bootstrap_http"),
        ({"piping_servers": ["a"]}, "piping_servers"),
        ({"exclusive_piping": True}, "exclusive_piping"),
        ({"storage": object()}, "storage"),
        ({"store_cache_max": 5}, "store_cache_max"),
    ],
)
def test_what_does_not_exist_yet_is_refused_by_name(made: list[FakeNative], options: dict[str, Any], name: str) -> None:
    with pytest.raises(setowire.NotAvailableError, match=f"'{name}' is not available in this version"):
        setowire.Swarm(options)
    assert not made


def test_names_that_never_existed(made: list[FakeNative]) -> None:
    with pytest.raises(setowire.InvalidArgumentError, match="no option 'maxPeers'.*max_peers"):
        setowire.Swarm({"maxPeers": 5})
    swarm = setowire.Swarm()
    with pytest.raises(ValueError, match="no 'message!'"):
        swarm.on("message!", print)
    with pytest.raises(setowire.NotAvailableError, match="'nat' is not available"):
        swarm.on("nat", print)


@asyncio_test
async def test_a_topic_that_is_none_is_refused(made: list[FakeNative]) -> None:
    async with setowire.Swarm() as swarm:
        with pytest.raises(setowire.InvalidArgumentError, match="not hexadecimal"):
            await swarm.join("my topic")
