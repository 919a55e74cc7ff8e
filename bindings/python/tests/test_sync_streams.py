"""Streams of the synchronous swarm with the real library, on loopback."""

from __future__ import annotations

import gc
import io
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import setowire
from conftest import DEADLINE, quiet
from setowire import events, sync
from test_sync import next_of

MUCH = 12 << 20


@contextmanager
def connected() -> Iterator[tuple[sync.Peer, sync.Swarm]]:
    """A peer, and its swarm."""
    with sync.Swarm(quiet()) as one, sync.Swarm(quiet()) as other:
        yield one.connect(f"127.0.0.1:{other.port}"), other


def pair(there: sync.Peer, other: sync.Swarm) -> tuple[sync.Stream, sync.Stream]:
    ours = there.open_stream(DEADLINE)
    theirs: sync.Stream = next_of(other, events.IncomingStream).stream
    for stream in (ours, theirs):
        stream.settimeout(DEADLINE)
    return ours, theirs


class Background:
    """A call in a thread; `result()` is what it gave or raised."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
        return self._value


def test_both_ways_and_each_direction_ends_by_itself() -> None:
    with connected() as (there, other):
        ours, theirs = pair(there, other)
        assert theirs.peer.key == ours._swarm.key and ours.readable() and ours.writable() and not ours.seekable()
        assert ours.write(b"question") == 8
        ours.write_eof()
        ours.write_eof()
        assert theirs.read() == b"question" and theirs.read(1) == b""
        with pytest.raises(setowire.ClosedError, match="end of our direction"):
            ours.write(b"more")
        assert theirs.write(bytearray(b"answer")) == 6
        theirs.close()
        assert ours.read(3) == b"ans" and ours.read() == b"wer" and ours.readall() == b""
        ours.wait_closed(DEADLINE)
        theirs.wait_closed(DEADLINE)
        assert theirs.closed and not ours.closed
        with pytest.raises(ValueError, match="closed"):
            theirs.write(b"x")
        ours.close()


def test_it_is_a_file() -> None:
    with connected() as (there, other):
        ours, theirs = pair(there, other)
        data = os.urandom(MUCH)
        received = io.BytesIO()
        copying = Background(lambda: shutil.copyfileobj(theirs, received))
        with ours:
            shutil.copyfileobj(io.BytesIO(data), ours)
        copying.result()
        assert received.getvalue() == data
        theirs.close()

        ours, theirs = pair(there, other)
        ours.write(b"one\ntwo\n\nrest")
        ours.close()
        assert theirs.readline() == b"one\n" and theirs.peek()[:1] == b"t"
        buffer = bytearray(2)
        assert theirs.readinto(buffer) == 2 and buffer == b"tw"
        assert list(theirs) == [b"o\n", b"\n", b"rest"]
        theirs.close()

        ours, theirs = pair(there, other)
        ours.write("ä\nö".encode())
        ours.close()
        with io.TextIOWrapper(io.BufferedReader(theirs), "utf-8") as text:
            assert text.read() == "ä\nö"


def test_a_time_limit_ends_reads_and_writes() -> None:
    with connected() as (there, other):
        ours, theirs = pair(there, other)
        ours.settimeout(0.05)
        assert ours.timeout == 0.05
        with pytest.raises(TimeoutError, match="nothing came in the given time"):
            ours.read(1)
        with pytest.raises(setowire.SetowireTimeoutError, match="of 67108864 bytes were taken"):
            ours.write(bytes(64 << 20))
        with pytest.raises(TimeoutError):
            ours.wait_closed(0.05)
        theirs.write(b"x")
        ours.settimeout(None)
        assert ours.read(1) == b"x"
        with pytest.raises(ValueError, match="timeout"):
            ours.settimeout(-1)
        for stream in (ours, theirs):
            stream.reset()
            stream.close()


def test_readall_keeps_what_it_had_when_the_time_is_over() -> None:
    with connected() as (there, other):
        ours, theirs = pair(there, other)
        ours.write(b"the beginning, ")
        theirs.settimeout(0.2)
        with pytest.raises(TimeoutError):
            theirs.read()
        ours.write(b"and the end")
        ours.close()
        theirs.settimeout(DEADLINE)
        assert theirs.read() == b"the beginning, and the end"
        theirs.close()


def test_a_slow_reader_holds_the_writer_back() -> None:
    with connected() as (there, other):
        ours, theirs = pair(there, other)
        writing = Background(lambda: ours.write(bytes(4 * MUCH)))
        total = 0
        while total < 4 * MUCH:
            data = theirs.read(65_536)
            total += len(data)
            assert data
        assert writing.result() == 4 * MUCH
        ours.close()
        theirs.close()


def test_reset_and_stop() -> None:
    with connected() as (there, other):
        ours, theirs = pair(there, other)
        ours.reset(9)
        with pytest.raises(setowire.StreamResetError) as raised:
            theirs.read()
        assert raised.value.reset_code == 9
        ours.stop_receiving(3)
        with pytest.raises(setowire.ClosedError):
            ours.read(1)
        with pytest.raises(setowire.StreamStoppedError):
            while True:
                theirs.write(bytes(MUCH))
        ours.close()
        theirs.close()


def test_a_block_that_fails_gives_the_stream_up() -> None:
    with connected() as (there, other):
        with pytest.raises(ZeroDivisionError):
            with there.open_stream() as ours:
                ours.write(b"half")
                theirs = next_of(other, events.IncomingStream).stream
                raise ZeroDivisionError
        with pytest.raises(setowire.StreamResetError):
            while theirs.read(10):
                pass
        theirs.close()


def test_many_threads_at_once() -> None:
    """Each has a stream of its own; one more thread takes the events of the other side."""
    count = 12
    with connected() as (there, other):

        def serve() -> None:
            for _ in range(count):
                stream = next_of(other, events.IncomingStream).stream
                stream.settimeout(DEADLINE)
                echoes.append(Background(lambda stream=stream: echo(stream)))

        def echo(stream: sync.Stream) -> None:
            with stream:
                shutil.copyfileobj(stream, stream)

        def ask(number: int) -> None:
            data = os.urandom(300_000 + number)
            stream = there.open_stream(DEADLINE)
            stream.settimeout(DEADLINE)

            def send() -> None:
                stream.write(data)
                stream.write_eof()

            sending = Background(send)
            assert stream.read() == data
            sending.result()
            stream.close()

        echoes: list[Background] = []
        serving = Background(serve)
        asking = [Background(lambda number=number: ask(number)) for number in range(count)]
        for task in [*asking, serving, *echoes]:
            task.result()
        for task in echoes:
            task.result()


def test_closing_while_another_thread_reads() -> None:
    with connected() as (there, other):
        ours, theirs = pair(there, other)
        reading = Background(lambda: ours.read(10))
        theirs.write(b"x")
        assert reading.result() == b"x"
        reading = Background(lambda: ours.read(10))
        ours.close()
        with pytest.raises((setowire.ClosedError, ValueError)):
            reading.result()
        theirs.close()


def test_a_swarm_or_peer_that_goes_ends_the_waiting() -> None:
    one, other = sync.Swarm(quiet()), sync.Swarm(quiet())
    there = one.connect(f"127.0.0.1:{other.port}")
    ours, theirs = pair(there, other)
    ours.settimeout(None)
    reading = Background(lambda: ours.read(10))
    theirs_reading = Background(lambda: theirs.read(10))
    other.destroy()
    for task in (reading, theirs_reading):
        with pytest.raises((setowire.PeerClosedError, setowire.ClosedError)):
            task.result()
    with pytest.raises((setowire.PeerClosedError, setowire.ClosedError)):
        ours.wait_closed()
    with pytest.raises(setowire.PeerClosedError):
        ours.write(b"x")
    with pytest.raises(setowire.PeerClosedError):
        there.open_stream()
    one.destroy()
    ours.close()
    theirs.close()


def test_what_had_come_is_read_after_the_peer_left() -> None:
    data = os.urandom(300_000)
    with sync.Swarm(quiet()) as one:
        other = sync.Swarm(quiet())
        there = one.connect(f"127.0.0.1:{other.port}")
        ours, theirs = pair(there, other)
        theirs.write(data)
        theirs.write_eof()
        # At once: it waits until all of that is here.
        other.destroy()
        next_of(one, events.Disconnection)
        with pytest.raises(setowire.PeerClosedError):
            ours.wait_closed(DEADLINE)  # while nobody reads
        assert ours.readall() == data
        with pytest.raises(setowire.PeerClosedError):
            ours.wait_closed(DEADLINE)  # our direction is lost
        ours.close()


def test_a_forgotten_stream_is_given_up_with_a_warning() -> None:
    with connected() as (there, other):
        forgotten, theirs = pair(there, other)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del forgotten
            gc.collect()
        assert [warning.category for warning in caught] == [ResourceWarning]
        with pytest.raises(setowire.StreamResetError):
            theirs.read()
        theirs.close()
