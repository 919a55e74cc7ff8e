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
from conftest import quiet
from fake import FakeNative, description, install
from setowire import _gather, _records
from setowire._gather import ALONE, BATCH, SMALL
from waiting import Next, asyncio_test, until


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    natives = install(monkeypatch)
    yield natives
    for native in natives:
        native.dispose()
    assert not _gather._unsent


@asynccontextmanager
async def connected(made: list[FakeNative], **fields: Any) -> AsyncIterator[tuple[FakeNative, setowire.Peer]]:
    async with setowire.Swarm() as swarm:
        made[-1].peer(7, **fields)
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
        assert peer._gather.buffered == 20 * 100
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
            assert peer._gather.buffered <= 4 * BATCH
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
async def test_a_full_queue_refuses_and_loses_nothing(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        told = []
        peer._swarm.on("writable", told.append)
        native.room = ALONE + 10
        accepted = 0
        while peer.write(message(accepted)):
            accepted += 1
            assert accepted < 1_000
        assert accepted == ALONE + 10 + BATCH
        assert peer.write(bytes(SMALL)) is False and peer.write(message(accepted)) is False
        await asyncio.sleep(0)
        assert sent(native) == list(range(ALONE + 10))
        # Room for a part only: who was refused is not told yet.
        native.room = 20
        native.queue(_records.WRITABLE, subject=7)
        await until(lambda: len(sent(native)) == ALONE + 30)
        await asyncio.sleep(0)
        assert not told and peer._gather.buffered == 4 * (BATCH - 20)
        native.room = None
        native.queue(_records.WRITABLE, subject=7)
        await until(lambda: told)
        assert sent(native) == list(range(accepted))
        assert peer.write(message(accepted))
        await until(lambda: len(sent(native)) == accepted + 1)


@asyncio_test
async def test_a_send_waits_behind_what_found_no_room(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        native.room = ALONE + 1
        for number in range(ALONE + 3):
            peer.write(message(number))
        sending = asyncio.create_task(peer.send(message(ALONE + 3)))
        await until(lambda: peer._swarm._room)
        native.room = None
        native.queue(_records.WRITABLE, subject=7)
        await until(lambda: len(sent(native)) == ALONE + 4)
        assert sent(native) == list(range(ALONE + 4))
        native.queue(_records.OP_DONE, tag=native.named("send")[-1][3])
        await sending


@asyncio_test
async def test_a_peer_that_left_takes_nothing(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        native.gone = True
        await asyncio.sleep(0)
        assert peer.write(message(99)) is False and peer._gather.buffered == 0
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        native.gone = True
        native.queue(_records.DISCONNECTION, {**description(7), "reason": ""}, subject=7, code=-3)
        await until(lambda: not peer.connected)
        assert peer.write(message(99)) is False and peer._gather.buffered == 0


@asyncio_test
async def test_what_turns_out_too_large_is_reported_and_the_rest_is_sent(made: list[FakeNative]) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context))
    async with connected(made) as (native, peer):
        native.largest = 10
        for number in range(ALONE + 5):
            peer.write(message(number, 20 if number == ALONE + 2 else 4))
        await asyncio.sleep(0)
        (report,) = reports
        assert isinstance(report["exception"], setowire.MessageTooLargeError) and report["message"].startswith("1 mess")
        assert sent(native) == [number for number in range(ALONE + 5) if number != ALONE + 2]


@asyncio_test
async def test_the_end_of_the_peer_and_of_the_swarm_hand_over(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        peer.close()
        assert sent(native) == list(range(ALONE + 5)) and native.calls[-1] == ("close_peer", 7)
        for number in range(ALONE + 5):
            peer.write(message(number))
    assert len(sent(native)) == 2 * (ALONE + 5) and native.calls[-1] == ("close",)


@asyncio_test
async def test_the_end_of_the_program_hands_over(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        _gather._at_exit()
        assert sent(native) == list(range(ALONE + 5))


@asyncio_test
async def test_a_child_process_sends_nothing_of_its_parent(made: list[FakeNative]) -> None:
    async with connected(made) as (native, peer):
        for number in range(ALONE + 5):
            peer.write(message(number))
        _gather._after_fork_in_child()
        await asyncio.sleep(0)
        assert sent(native) == list(range(ALONE)) and not native.named("send_many")


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
    for number in range(60):
        assert peer.write(number.to_bytes(4, "big"))
    assert peer._gather._waiting
    sys.exit(3)

loop.run_until_complete(begin())
loop.call_soon(end)
loop.run_forever()
"""


@asyncio_test
async def test_a_program_that_exits_in_the_middle_of_a_turn_has_sent_what_it_wrote(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    async with setowire.Swarm(quiet()) as swarm:
        got: list[int] = []
        swarm.on("data", lambda data, peer: got.append(int.from_bytes(data, "big")))
        left = Next(swarm, "disconnect")
        ended = await asyncio.to_thread(run_python, ENDING, f"127.0.0.1:{swarm.port}")
        assert ended.returncode == 3, ended.stderr
        await left()
        assert got == list(range(60))
