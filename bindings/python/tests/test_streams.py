"""Streams of the asyncio swarm with the real library, on loopback."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import warnings
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

import setowire
from conftest import quiet
from waiting import Next, asyncio_test, until

#: More than the windows and buffers on the way hold.
MUCH = 12 << 20


@asynccontextmanager
async def connected(**options: Any) -> AsyncIterator[tuple[setowire.Peer, setowire.Peer]]:
    """Two swarms; how each sees the other."""
    async with setowire.Swarm(quiet(**options)) as one, setowire.Swarm(quiet(**options)) as other:
        met = Next(other, "connection")
        there = await one.connect(f"127.0.0.1:{other.port}")
        yield there, await met()


async def pair(there: setowire.Peer, back: setowire.Peer) -> tuple[setowire.Stream, setowire.Stream]:
    """The two ends of a new stream."""
    ours = await there.open_stream()
    return ours, await back.accept_stream()


async def ended(*streams: setowire.Stream) -> None:
    for stream in streams:
        stream.close()
    for stream in streams:
        await stream.wait_closed()


async def send_all(stream: setowire.Stream, data: bytes) -> None:
    for at in range(0, len(data), 1 << 20):
        stream.write(data[at : at + (1 << 20)])
        await stream.drain()
    stream.write_eof()


@asyncio_test
async def test_both_ways_and_each_direction_ends_by_itself() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        assert ours.peer is there and theirs.peer is back
        ours.write(b"question")
        await ours.drain()
        ours.write_eof()
        ours.write_eof()
        assert await theirs.read() == b"question" and theirs.at_eof()
        assert not ours.is_closing() and ours.can_write_eof()
        with pytest.raises(setowire.ClosedError, match="end of our direction"):
            ours.write(b"more")
        theirs.writelines([b"an", bytearray(b"sw"), memoryview(b"er")])
        theirs.write_eof()
        assert await ours.read() == b"answer"
        assert await ours.read() == b"" and await ours.read(5) == b""
        await ours.wait_closed()
        await theirs.wait_closed()
        assert ours.is_closing()


@asyncio_test
async def test_bytes_of_any_length_arrive_as_they_were() -> None:
    async with connected() as (there, back):
        for size in (0, 1, 65_536, 262_145, MUCH):
            data = os.urandom(size)
            ours, theirs = await pair(there, back)
            received, _ = await asyncio.gather(theirs.read(), send_all(ours, data))
            assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()
            await ended(ours, theirs)


@asyncio_test
async def test_one_long_write_is_taken_piece_by_piece() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        data = bytearray(os.urandom(MUCH))
        ours.write(data)
        ours.write(b"the end")
        ours.write_eof()
        expected = bytes(data) + b"the end"
        data[:] = bytes(len(data))  # what was written is not looked at again
        with pytest.raises(setowire.ClosedError):
            ours.write(b"more")
        received, _ = await asyncio.gather(theirs.read(), ours.drain())
        assert received == expected
        await ended(ours, theirs)


@asyncio_test
async def test_a_slow_reader_holds_the_writer_back() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        piece, written = bytes(1 << 20), 0

        async def write() -> None:
            nonlocal written
            while written < 64:
                ours.write(piece)
                await ours.drain()
                written += 1
            ours.write_eof()

        writing = asyncio.create_task(write())
        await until(lambda: ours._drainers, "a writer that waits")
        assert written < 32
        held = written
        total = 0
        while total < MUCH:
            total += len(await theirs.read(65_536))
        await until(lambda: written > held, "the writer going on")
        while data := await theirs.read(1 << 20):
            total += len(data)
        await writing
        assert total == 64 << 20
        await ended(ours, theirs)


@asyncio_test
async def test_lines_and_exact_reads() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        ours.write(b"one\ntwo\n\nhead12345|tail")
        ours.write_eof()
        assert await theirs.readline() == b"one\n"
        assert await theirs.readuntil(b"\n\n") == b"two\n\n"
        assert await theirs.readexactly(4) == b"head"
        assert await theirs.read(2) == b"12"
        assert await theirs.readuntil(b"|") == b"345|"
        with pytest.raises(asyncio.IncompleteReadError) as raised:
            await theirs.readexactly(5)
        assert raised.value.partial == b"tail" and theirs.at_eof()
        with pytest.raises(ValueError):
            await theirs.readexactly(-1)
        for line in (b"a\n", b"b\n", b"c"):
            theirs.write(line)
        theirs.write_eof()
        assert [line async for line in ours] == [b"a\n", b"b\n", b"c"]
        await ended(ours, theirs)


@asyncio_test
async def test_a_line_without_an_end_is_refused_and_can_still_be_read() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        ours.write(bytes(100_000))
        ours.write_eof()
        with pytest.raises(ValueError, match="no separator within 65536 bytes"):
            await theirs.readline()
        with pytest.raises(asyncio.LimitOverrunError):
            await theirs.readuntil()
        assert len(await theirs.read()) == 100_000
        await ended(ours, theirs)


@asyncio_test
async def test_a_reset_tells_its_code_and_leaves_the_other_direction_alone() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        ours.write(b"x")
        ours.reset(77)
        ours.reset(78)
        with pytest.raises(setowire.StreamResetError, match="code 77") as raised:
            while await theirs.read(10):
                pass
        assert raised.value.reset_code == 77 and isinstance(raised.value, ConnectionResetError)
        with pytest.raises(setowire.StreamResetError):
            await theirs.read(10)
        with pytest.raises(setowire.ClosedError, match="reset"):
            ours.write(b"y")
        theirs.write(b"still here")
        theirs.write_eof()
        assert await ours.read() == b"still here"
        await ours.wait_closed()
        await theirs.wait_closed()


@asyncio_test
async def test_a_reset_gives_up_what_waits() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        ours.write(bytes(MUCH))
        draining = asyncio.create_task(ours.drain())
        await until(lambda: ours._drainers)
        ours.reset(1)
        with pytest.raises(setowire.ClosedError, match="reset"):
            await draining
        with pytest.raises(setowire.StreamResetError):
            while await theirs.read(1 << 20):
                pass
        await ended(ours, theirs)


@asyncio_test
async def test_a_reader_that_stops_fails_the_writer() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        ours.write(bytes(MUCH))
        ours.write_eof()
        theirs.stop_receiving(5)
        with pytest.raises(setowire.ClosedError, match="stopped"):
            await theirs.read(1)
        with pytest.raises(setowire.StreamStoppedError) as raised:
            await ours.drain()
        assert isinstance(raised.value, BrokenPipeError) and "5" in str(raised.value)
        with pytest.raises(setowire.StreamStoppedError):
            await ours.drain()
        theirs.write(b"the other direction")
        theirs.write_eof()
        assert await ours.read() == b"the other direction"
        await ours.wait_closed()


@asyncio_test
async def test_a_stopped_stream_whose_other_direction_has_ended_says_so_too() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        theirs.close()
        assert await ours.read() == b""
        await until(lambda: ours._over, "the stop")
        with pytest.raises(setowire.StreamStoppedError):
            ours.write(b"x")
        assert there.connected


@asyncio_test
async def test_closing_while_reading() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        reading = asyncio.create_task(ours.read(10))
        await until(lambda: ours._reader is not None)
        with pytest.raises(RuntimeError, match="another task"):
            await ours.read(10)
        ours.close()
        with pytest.raises(setowire.ClosedError, match="stopped"):
            await reading
        assert await theirs.read() == b""
        theirs.close()
        await ours.wait_closed()


@asyncio_test
async def test_every_await_can_be_cancelled_without_losing_a_byte() -> None:
    """The stream goes on afterwards as if nothing had been asked."""
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)

        async def cancelled(work: Coroutine[Any, Any, Any], turns: int) -> Any:
            task = asyncio.ensure_future(work)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            return None if task.cancelled() else task.result()

        expected, got = bytearray(), bytearray()
        for turns in range(30):
            data = os.urandom(300_000)
            expected += data
            ours.write(data)
            await cancelled(ours.drain(), turns % 5)
            got += await cancelled(theirs.read(100_000), turns % 7) or b""
            await cancelled(theirs.readexactly(1 << 30), turns % 4)
            await cancelled(theirs.wait_closed(), turns % 2)
            await cancelled(back.accept_stream(), turns % 3)
        ours.write_eof()
        got += await theirs.read()
        assert got == expected
        await ended(ours, theirs)


@asyncio_test
async def test_a_cancelled_accept_hands_the_stream_on() -> None:
    async with connected() as (there, back):
        first, second = asyncio.create_task(back.accept_stream()), asyncio.create_task(back.accept_stream())
        await until(lambda: len(back._swarm._incoming._waiters) == 2)
        ours = await there.open_stream()
        await until(lambda: any(waiter.done() for _, waiter in back._swarm._incoming._waiters))
        first.cancel()
        theirs = await second
        await ended(ours, theirs)
        with pytest.raises(asyncio.CancelledError):
            await first


@asyncio_test
async def test_many_at_once() -> None:
    count = 200
    async with connected() as (there, back):

        async def serve() -> None:
            async for stream in back.streams():
                tasks.add(asyncio.create_task(echo(stream)))

        async def echo(stream: setowire.Stream) -> None:
            async with stream:
                while data := await stream.read(65_536):
                    stream.write(data)
                    await stream.drain()

        async def ask(number: int) -> None:
            data = number.to_bytes(4, "big") * 10_000
            stream = await there.open_stream()
            received, _ = await asyncio.gather(stream.read(), send_all(stream, data))
            assert received == data
            await stream.wait_closed()

        tasks: set[asyncio.Task[None]] = set()
        serving = asyncio.create_task(serve())
        await asyncio.gather(*(ask(number) for number in range(count)))
        await asyncio.gather(*tasks)
        assert len(tasks) == count
        serving.cancel()
        assert not there._swarm._streams and not back._swarm._streams, "they are kept"


@asyncio_test
async def test_opening_waits_while_too_many_are_open() -> None:
    async with connected() as (there, back):
        held = []
        opening = None
        while opening is None:
            task = asyncio.ensure_future(there.open_stream())
            await asyncio.wait([task], timeout=0.2)
            if task.done():
                held.append(task.result())
            else:
                opening = task
            assert len(held) < 1000
        for ours in held[:64]:  # the other side allows new ones some at a time
            await ended(ours, await back.accept_stream())
        held.append(await opening)
        for stream in held:
            stream.reset()
            stream.stop_receiving()


@asyncio_test
async def test_streams_wait_for_accept_or_go_to_a_listener() -> None:
    async with connected() as (there, back):
        ours = [await there.open_stream() for _ in range(3)]
        ours[2].write(b"third")
        await until(lambda: len(back._swarm._incoming._streams) == 3)
        accepted = [await back._swarm.accept_stream(), await back.accept_stream(), await anext(back.streams())]
        assert await accepted[2].read(10) == b"third"
        listened = Next(back, "stream")
        ours.append(await there.open_stream())
        accepted.append(await listened())
        assert not back._swarm._incoming._streams
        await ended(*ours, *accepted)


@asyncio_test
async def test_a_listener_of_the_swarm_gets_streams_too() -> None:
    async with connected() as (there, back):
        listened = Next(back._swarm, "stream")
        ours = await there.open_stream()
        await ended(ours, await listened())


@asyncio_test
async def test_a_peer_that_leaves_ends_everything() -> None:
    async with setowire.Swarm(quiet()) as one:
        other = setowire.Swarm(quiet())
        met = Next(other, "connection")
        there = await one.connect(f"127.0.0.1:{other.port}")
        back = await met()
        ours, theirs = await pair(there, back)
        theirs.write(b"last words")
        theirs.write(b"")
        assert await ours.read(4) == b"last"
        ours.write(bytes(MUCH))
        waiting = [asyncio.create_task(work) for work in (ours.drain(), ours.wait_closed(), there.accept_stream())]
        streams = asyncio.create_task(anext(there.streams(), None))
        await until(lambda: ours._drainers and ours._closers and len(one._incoming._waiters) == 2)
        await other.destroy()
        for task in waiting:
            with pytest.raises(setowire.PeerClosedError):
                await task
        assert await streams is None
        assert await ours.read(100) == b" words"
        with pytest.raises(setowire.PeerClosedError):
            await ours.read(100)
        with pytest.raises(setowire.PeerClosedError):
            ours.write(b"x")
        with pytest.raises(setowire.PeerClosedError):
            await there.open_stream()
        with pytest.raises((setowire.ClosedError, setowire.PeerClosedError)):
            await theirs.read(1)


@asyncio_test
async def test_what_had_come_is_read_after_the_peer_left() -> None:
    data = os.urandom(300_000)
    async with setowire.Swarm(quiet()) as one:
        other = setowire.Swarm(quiet())
        met, left = Next(other, "connection"), Next(one, "disconnect")
        there = await one.connect(f"127.0.0.1:{other.port}")
        ours, theirs = await pair(there, await met())
        for stream in (theirs, await theirs.peer.open_stream()):
            await send_all(stream, data)
        ours.write(b"something")
        # At once: it waits until all of that is here.
        await other.destroy()
        await left()
        assert not there.connected
        with pytest.raises(setowire.PeerClosedError):
            ours.write(b"x")
        with pytest.raises(setowire.PeerClosedError):
            await ours.wait_closed()  # while nobody reads
        # One that nobody had accepted before, too.
        late = await one.accept_stream()
        assert late.peer is there
        for stream in (ours, late):
            assert await stream.read() == data and stream.at_eof()
            with pytest.raises(setowire.PeerClosedError):
                await stream.wait_closed()


@asyncio_test
async def test_who_has_said_and_read_everything_may_leave_first() -> None:
    for _ in range(10):
        one, other = setowire.Swarm(quiet()), setowire.Swarm(quiet())
        met = Next(other, "connection")
        ours, theirs = await pair(await one.connect(f"127.0.0.1:{other.port}"), await met())
        await send_all(ours, b"question")
        assert await theirs.read() == b"question"
        await send_all(theirs, b"answer")
        await theirs.wait_closed()
        await other.destroy()
        assert await ours.read() == b"answer"
        await ours.wait_closed()
        await one.destroy()


@asyncio_test
async def test_closing_the_swarm_ends_its_streams() -> None:
    one, other = setowire.Swarm(quiet()), setowire.Swarm(quiet())
    met = Next(other, "connection")
    there = await one.connect(f"127.0.0.1:{other.port}")
    ours, theirs = await pair(there, await met())
    reading = asyncio.create_task(ours.read(10))
    accepting = asyncio.create_task(one.accept_stream())
    await until(lambda: ours._reader is not None)
    await one.destroy()
    with pytest.raises((setowire.ClosedError, setowire.PeerClosedError)):
        await reading
    with pytest.raises(setowire.ClosedError):
        await accepting
    with pytest.raises((setowire.ClosedError, setowire.PeerClosedError)):
        ours.write(b"x")
    await other.destroy()
    assert [stream async for stream in other.streams()] == []
    assert "Stream" in repr(ours)


@asyncio_test
async def test_as_a_context_manager_it_closes_or_gives_up() -> None:
    async with connected() as (there, back):
        async with await there.open_stream() as ours:
            ours.write(b"all of it")
            theirs = await back.accept_stream()
            reading = asyncio.create_task(theirs.read())
        assert await reading == b"all of it"
        theirs.close()
        with pytest.raises(ZeroDivisionError):
            async with await there.open_stream() as ours:
                ours.write(b"part of it")
                theirs = await back.accept_stream()
                raise ZeroDivisionError
        with pytest.raises(setowire.StreamResetError):
            while await theirs.read():
                pass
        theirs.close()


@asyncio_test
async def test_what_was_written_leaves_although_nobody_holds_the_stream() -> None:
    async with connected() as (there, back):

        async def send() -> None:
            stream = await there.open_stream()
            stream.write(bytes(MUCH))
            stream.close()

        await send()
        gc.collect()
        theirs = await back.accept_stream()
        assert len(await theirs.read()) == MUCH
        theirs.close()


@asyncio_test
async def test_a_forgotten_stream_is_given_up_with_a_warning() -> None:
    async with connected() as (there, back):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forgotten = await there.open_stream()
            forgotten.write(b"half a message")
            theirs = await back.accept_stream()
            del forgotten
            gc.collect()
        assert [warning.category for warning in caught] == [ResourceWarning]
        with pytest.raises(setowire.StreamResetError):
            while await theirs.read():
                pass
        theirs.close()


@asyncio_test
async def test_a_busy_stream_leaves_turns_to_others() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        most, taken = 0, 0

        async def tick() -> None:
            nonlocal most
            while True:
                before = taken
                await asyncio.sleep(0)
                most = max(most, taken - before)

        async def read() -> None:
            nonlocal taken
            while data := await theirs.read(65_536):
                taken += len(data)

        ticking = asyncio.create_task(tick())
        await asyncio.gather(read(), send_all(ours, bytes(4 * MUCH)))
        ticking.cancel()
        assert taken == 4 * MUCH and most <= 4 << 20
        await ended(ours, theirs)


@asyncio_test
async def test_wrong_arguments_and_priorities() -> None:
    async with connected() as (there, back):
        ours, theirs = await pair(there, back)
        with pytest.raises(TypeError, match="data: .* not str"):
            ours.write("text")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="separator"):
            await ours.readuntil(b"")
        ours.set_priority(-3)
        ours.set_priority(100)
        assert await ours.read(0) == b""
        await ended(ours, theirs)
