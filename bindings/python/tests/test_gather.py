"""`Peer.write` of asyncio hands small messages to the library together, in order, and keeps none back."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import setowire
from conftest import DEADLINE, quiet
from fake import FakeNative, description, install, modern
from setowire import _gather, _records
from setowire._gather import ALONE, BATCH, SMALL
from waiting import Next, asyncio_test, until


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    natives = install(monkeypatch)
    yield natives
    for native in natives:
        native.dispose()
    assert not any(gather._waiting for gather in _gather._gathers)


@asynccontextmanager
async def connected(made: list[FakeNative], **fields: Any) -> AsyncIterator[tuple[FakeNative, setowire.Peer]]:
    async with setowire.Swarm() as swarm:
        made[-1].peer(7, **{**modern(7), **fields})
        await until(lambda: swarm.size)
        yield made[-1], swarm.peers[0]


def message(number: int, size: int = 4) -> bytes:
    return number.to_bytes(4, "big").ljust(size, b".")


def sent(native: FakeNative) -> list[int]:
    return [int.from_bytes(call[2][:4], "big") for call in native.named("send")]


@asyncio_test
async def test_few_messages_go_at_once(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE):
            assert peer.write(message(number))
            assert sent(native) == list(range(number + 1))
        assert not native.named("send_many")


@asyncio_test
async def test_many_go_together_when_the_turn_ends(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        count = ALONE + 20
        assert all([peer.write(message(number, 100)) for number in range(count)])
        assert sent(native) == list(range(ALONE))
        assert len(peer._gather._waiting) == 20
        await asyncio.sleep(0)
        assert sent(native) == list(range(count)) and native.named("send_many") == [("send_many", 20)]
        # It goes on so while many are written.
        assert all([peer.write(message(number)) for number in range(count, 2 * count)])
        assert len(sent(native)) == count
        await asyncio.sleep(0)
        assert sent(native) == list(range(2 * count)) and len(native.named("send_many")) == 2


@asyncio_test
async def test_after_a_turn_with_few_they_go_at_once_again(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 1):
            peer.write(message(number))
        assert len(sent(native)) == ALONE
        await asyncio.sleep(0)
        peer.write(message(ALONE + 1))
        assert sent(native) == list(range(ALONE + 2))


@asyncio_test
async def test_no_more_than_a_batch_is_held(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        count = ALONE + 3 * BATCH + 1
        for number in range(count):
            peer.write(message(number))
            assert len(peer._gather._waiting) <= BATCH
        assert native.named("send_many") == [("send_many", BATCH)] * 3
        assert peer.buffered == 0, "who asks hands over"
        assert sent(native) == list(range(count))


@asyncio_test
async def test_large_messages_and_views_keep_their_place(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        peer.write(message(ALONE + 5, SMALL))
        assert sent(native) == list(range(ALONE + 6))
        peer.write(message(ALONE + 6))
        peer.write(bytearray(message(ALONE + 7)))
        assert sent(native) == list(range(ALONE + 8))
        sending = asyncio.create_task(peer.send(message(ALONE + 9)))
        peer.write(message(ALONE + 8))
        await until(lambda: len(sent(native)) == ALONE + 10)
        assert sent(native) == list(range(ALONE + 10))
        native.queue(_records.OP_DONE, tag=native.named("send")[-1][3])
        await sending


@asyncio_test
async def test_a_full_queue_takes_what_was_written_and_refuses_more(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        told: list[setowire.Peer] = []
        peer._swarm.on("writable", told.append)
        native.room = ALONE + 10
        accepted = 0
        while peer.write(message(accepted)):
            accepted += 1
            assert accepted < 1_000
        # Nobody asked between two batches; nothing is kept here.
        assert accepted == ALONE + BATCH and not peer._gather._waiting
        assert peer.write(bytes(SMALL)) is False and peer.write(message(accepted)) is False
        assert sent(native) == list(range(accepted))
        native.room = 20
        native.queue(_records.WRITABLE, subject=7)
        await until(lambda: told)
        # The next one tells whether there is room, and the others are gathered behind it.
        assert all([peer.write(message(accepted + number)) for number in range(20)])
        assert len(sent(native)) == accepted + 1
        await asyncio.sleep(0)
        assert sent(native) == list(range(accepted + 20))
        assert all([peer.write(message(accepted + number)) for number in range(20, 30)])
        await asyncio.sleep(0)
        assert len(sent(native)) == accepted + 30 and peer.write(b"") is False


@asyncio_test
async def test_a_full_queue_at_the_end_of_a_turn_is_known_in_the_next(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        native.room = ALONE + 3
        assert all([peer.write(message(number)) for number in range(ALONE + 5)])
        await asyncio.sleep(0)
        assert sent(native) == list(range(ALONE + 5))
        assert peer.write(message(0)) is False


@pytest.mark.parametrize("how", ["send", "large"])
@asyncio_test
async def test_what_goes_beside_may_have_filled_the_queue(made: list[FakeNative], how: str) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 1):
            peer.write(message(number))
        if how == "send":
            sending = asyncio.create_task(peer.send(message(ALONE + 1)))
            await until(lambda: len(sent(native)) == ALONE + 2)
            native.queue(_records.OP_DONE, tag=native.named("send")[-1][3])
            await sending
        else:
            peer.write(message(ALONE + 1, SMALL))
        native.room = 0
        assert peer.write(message(ALONE + 2)) is False, "it was not asked for"
        assert sent(native) == list(range(ALONE + 2))


@asyncio_test
async def test_a_send_that_waits_for_room_stops_the_gathering(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 1):
            peer.write(message(number))
        await asyncio.sleep(0)
        native.room = 0
        sending = asyncio.create_task(peer.send(message(ALONE + 1)))
        await until(lambda: peer._swarm._room)
        assert peer.write(message(99)) is False
        native.room = 100
        native.queue(_records.WRITABLE, subject=7)
        await until(lambda: len(sent(native)) == ALONE + 2)
        native.queue(_records.OP_DONE, tag=native.named("send")[-1][3])
        await sending


@asyncio_test
async def test_what_another_thread_left_no_room_for_goes_when_there_is(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        told: list[setowire.Peer] = []
        peer._swarm.on("writable", told.append)
        for number in range(ALONE + 5):
            peer.write(message(number))
        native.room = -1
        await asyncio.sleep(0)
        assert sent(native) == list(range(ALONE)) and peer.write(message(99)) is False
        native.queue(_records.WRITABLE, subject=7)
        await until(lambda: len(native.named("send_many")) >= 3)
        await asyncio.sleep(0)
        assert not told, "there is no room for others"
        native.room = 100
        native.queue(_records.WRITABLE, subject=7)
        await until(lambda: told)
        assert sent(native) == list(range(ALONE + 5))


@asyncio_test
async def test_a_peer_that_left_takes_nothing(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        native.gone = True
        await asyncio.sleep(0)
        assert peer.write(message(99)) is False and not peer._gather._waiting
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        native.gone = True
        native.queue(_records.DISCONNECTION, {**description(7), "reason": ""}, subject=7, code=-3)
        await until(lambda: not peer.connected)
        assert peer.write(message(99)) is False and not peer._gather._waiting


@asyncio_test
async def test_an_old_peer_gets_every_message_at_once(made: list[FakeNative]) -> None:
    async with connected(made, session="p2p-v12") as (native, peer):
        for number in range(3 * ALONE):
            peer.write(message(number))
            assert len(sent(native)) == number + 1
        assert not native.named("send_many")


@asyncio_test
async def test_what_turns_out_too_large_is_reported_and_the_rest_is_sent(made: list[FakeNative]) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context))
    async with connected(made) as (native, peer):
        native.largest = 10
        for number in range(ALONE + 5):
            peer.write(message(number, 20 if number == ALONE + 2 else 4))
        await until(lambda: reports)
        (report,) = reports
        assert isinstance(report["exception"], setowire.MessageTooLargeError)
        assert sent(native) == [number for number in range(ALONE + 5) if number != ALONE + 2]


@asyncio_test
async def test_the_end_of_the_peer_and_of_the_swarm_hand_over(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        peer.close()
        assert sent(native) == list(range(ALONE + 5)) and native.calls[-1] == ("close_peer", 7)
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        await peer._swarm.destroy()
        assert sent(native) == list(range(ALONE + 5)) and native.calls[-1] == ("close",)


@asyncio_test
async def test_to_suspend_hands_over(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        suspending = asyncio.create_task(peer._swarm.suspend())
        await until(lambda: native.named("suspend"))
        assert sent(native) == list(range(ALONE + 5)) and native.calls[-1] == ("suspend",)
        native.queue(_records.DISCONNECTION, {**description(7), "reason": ""}, subject=7, code=-3)
        await suspending


@asyncio_test
async def test_a_signal_handler_may_write(made: list[FakeNative], monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(made) as (native, peer):
        send_many = native.send_many
        written = 0

        def interrupted(*arguments: Any) -> Any:
            nonlocal written
            result = send_many(*arguments)
            while written < 3:  # after the call, before its result is known
                written += 1
                assert peer.write(message(1_000 + written))
            return result

        monkeypatch.setattr(native, "send_many", interrupted)
        for number in range(ALONE + BATCH + 5):
            peer.write(message(number))
        await asyncio.sleep(0)
        assert sorted(sent(native)) == [*range(ALONE + BATCH + 5), 1_001, 1_002, 1_003]
        assert len(set(sent(native))) == len(sent(native))


@asyncio_test
async def test_an_exception_in_the_middle_doubles_nothing(made: list[FakeNative], monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(made) as (native, peer):
        send_many = native.send_many

        def interrupted(*arguments: Any) -> Any:
            send_many(*arguments)
            raise KeyboardInterrupt

        for number in range(ALONE + 5):
            peer.write(message(number))
        with monkeypatch.context() as patch:
            patch.setattr(native, "send_many", interrupted)
            with pytest.raises(KeyboardInterrupt):
                peer._flush()
        peer.write(message(ALONE + 5))
        await asyncio.sleep(0)
        assert sent(native) == list(range(ALONE + 6))


@asyncio_test
async def test_the_end_of_the_program_hands_over(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        assert peer._native is native
        _gather._at_exit()
        assert sent(native) == list(range(ALONE + 5))
        # Written after something was handed over in the same turn.
        peer.write(message(ALONE + 5))
        _gather._at_exit()
        assert sent(native) == list(range(ALONE + 6))


@asyncio_test
async def test_a_child_process_sends_nothing_of_its_parent(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        _gather._after_fork_in_child()
        await asyncio.sleep(0)
        assert sent(native) == list(range(ALONE)) and not native.named("send_many")
        peer.write(message(99))
        assert sent(native) == [*range(ALONE), 99], "the library itself answers in the child"


@asyncio_test
async def test_any_thread_may_write_and_keeps_its_order(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        each, threads = 2_000, 4

        def write(thread: int) -> None:
            for number in range(each):
                assert peer.write(message(thread * each + number))

        writers = [threading.Thread(target=write, args=(thread,)) for thread in range(threads)]
        for writer in writers:
            writer.start()
        # The loop has nothing to do but what the threads give it.
        await until(lambda: len(sent(native)) == each * threads)
        for writer in writers:
            writer.join()
        got = sent(native)
        for thread in range(threads):
            mine = [number for number in got if number // each == thread]
            assert mine == list(range(thread * each, (thread + 1) * each))


def test_a_loop_that_is_closed_holds_nothing_back(made: list[FakeNative]) -> None:
    peers = []

    async def main() -> None:
        swarm = setowire.Swarm()
        made[0].peer(7)
        await until(lambda: swarm.size)
        peers.extend(swarm.peers)

    asyncio.run(main())
    for number in range(ALONE + 5):
        peers[0].write(message(number))
    assert sent(made[0]) == list(range(ALONE + 5))


@asyncio_test
async def test_over_the_network_everything_arrives_once_and_in_order() -> None:
    async with setowire.Swarm(quiet(send_buffer=1 << 16)) as one, setowire.Swarm(quiet()) as other:
        got: list[bytes] = []
        other.on("data", lambda data, peer: got.append(data))
        peer = await one.connect(f"127.0.0.1:{other.port}")
        room = asyncio.Event()
        one.on("writable", lambda _: room.set())
        count, refused = 30_000, 0
        for number in range(count):
            data = message(number, 3_000 if number % 101 == 0 else 4 + number % 300)
            while not peer.write(bytearray(data) if number % 89 == 0 else data):
                refused += 1
                room.clear()
                await room.wait()
            if number % 1_009 == 0:
                await peer.send(message(number, 7))
        await until(lambda: len(got) >= count + count // 1_009 + 1)
        assert refused > 0, "the queue was never full"
        expected = [number for each in range(count) for number in [each] * (2 if each % 1_009 == 0 else 1)]
        assert [int.from_bytes(data[:4], "big") for data in got] == expected


#: Writes more than goes at once, and ends in the middle of a turn.
ENDING = """
import asyncio, sys, warnings
import setowire
warnings.simplefilter("ignore", ResourceWarning)
loop = asyncio.new_event_loop()

async def begin():
    global swarm, peer
    swarm = setowire.Swarm(bind="127.0.0.1:0", lan=False)
    peer = await swarm.connect(sys.argv[1])

def end():
    for number in range(int(sys.argv[2])):
        assert peer.write(number.to_bytes(4, "big"))
    assert peer._gather._waiting
    sys.exit(3)

loop.run_until_complete(begin())
loop.call_soon(end)
loop.run_forever()
"""


@pytest.mark.parametrize("count", [60, 250])
@asyncio_test
async def test_a_program_that_exits_in_the_middle_of_a_turn_has_sent_what_it_wrote(
    run_python: Callable[..., subprocess.CompletedProcess[str]], count: int
) -> None:
    async with setowire.Swarm(quiet()) as swarm:
        got: list[int] = []
        swarm.on("data", lambda data, peer: got.append(int.from_bytes(data, "big")))
        left = Next(swarm, "disconnect")
        ended = await asyncio.to_thread(run_python, ENDING, f"127.0.0.1:{swarm.port}", str(count))
        assert ended.returncode == 3, ended.stderr
        await left()
        assert got == list(range(count))


@pytest.mark.parametrize("end", ["close", "destroy"])
@asyncio_test
async def test_what_was_accepted_arrives_whatever_ends_it(end: str) -> None:
    async with setowire.Swarm(quiet(send_buffer=1 << 16)) as one, setowire.Swarm(quiet()) as other:
        got: list[int] = []
        other.on("data", lambda data, peer: got.append(int.from_bytes(data[:4], "big")))
        left = Next(other, "disconnect")
        peer = await one.connect(f"127.0.0.1:{other.port}")
        accepted = 0
        while peer.write(message(accepted, 900)):
            accepted += 1
        if end == "close":
            peer.close()
            assert peer.write(b"late") is False
        else:
            await one.destroy()
            assert peer.write(b"late") is False
        await left()
        assert accepted >= ALONE + BATCH and got == list(range(accepted))


@asyncio_test
async def test_a_lagging_reader_holds_back_nothing_that_was_written() -> None:
    async with setowire.Swarm(quiet(send_buffer=1 << 16)) as one, setowire.Swarm(quiet()) as other:
        met, got = Next(other, "connection"), list[bytes]()
        other.on("data", lambda data, peer: got.append(data))
        peer = await one.connect(f"127.0.0.1:{other.port}")
        back, reading = await met(), aiter(one)
        for number in range(1_500):
            assert back.write(message(number))
        await until(lambda: one._inbox.full)
        accepted = 0
        while peer.write(message(accepted, 900)):
            accepted += 1
        await until(lambda: len(got) == accepted)
        assert (await anext(reading)).data == message(0)


def test_the_loop_may_run_in_another_thread() -> None:
    loop = asyncio.new_event_loop()

    async def begin() -> tuple[setowire.Swarm, setowire.Swarm, setowire.Peer, list[bytes]]:
        one, other = setowire.Swarm(quiet()), setowire.Swarm(quiet())
        got: list[bytes] = []
        other.on("data", lambda data, peer: got.append(data))
        return one, other, await one.connect(f"127.0.0.1:{other.port}"), got

    one, other, peer, got = loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        for number in range(ALONE + 4):
            assert peer.write(message(number))

        async def end() -> None:
            await until(lambda: len(got) == ALONE + 4)
            await one.destroy()
            await other.destroy()

        # Only now is the loop given something to do by somebody else.
        assert not peer._gather._waiting or peer._gather._scheduled
        asyncio.run_coroutine_threadsafe(end(), loop).result(DEADLINE)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert [int.from_bytes(data, "big") for data in got] == list(range(ALONE + 4))
