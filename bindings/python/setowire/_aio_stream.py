"""The asyncio `Stream`: what `asyncio.StreamReader` and `StreamWriter` are in one, and the queue of incoming ones.

Reading takes from the library only what is asked for, so a slow reader slows
the peer down and nothing piles up here. `write` never waits; what the library
does not take is kept until it does, which `drain` waits for. Every wait is for
one event of the stream and may be cancelled without losing bytes.
"""

from __future__ import annotations

import asyncio
import copy
import ctypes
import warnings
from collections import deque
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from ._handle import Data, NativeSwarm
from ._stream import ENDED, PIECE, StreamBase, as_bytes
from .errors import CLOSED, INVALID, ClosedError, InvalidArgumentError, PeerClosedError, SetowireError

if TYPE_CHECKING:
    from .aio import Peer, Swarm

#: The longest line, and what `readuntil` looks through, in bytes; as asyncio has it.
LINE_LIMIT = 64 << 10
#: Bytes read or written after which a task lets others have their turn, although it does not have to wait.
TURN_BYTES = 1 << 20
#: What each call counts for beside its bytes.
CALL_BYTES = 512
#: Incoming streams that nobody accepts are kept up to so many; more are refused.
BACKLOG = 1024


class Stream(StreamBase):
    """A stream of bytes to and from one peer, used as asyncio's streams are.

        stream = await peer.open_stream()
        stream.write(b"question")
        await stream.drain()
        stream.write_eof()
        answer = await stream.read()

    One task may read while another writes. ``async with`` closes it at the end,
    and gives it up if the block failed.
    """

    peer: Peer

    def __init__(self, swarm: Swarm, native: NativeSwarm, peer: Peer, number: int) -> None:
        super().__init__(native, peer, number)
        self._swarm = swarm
        #: Read from the library and not yet by the application.
        self._buffer = bytearray()
        #: Written by the application and not yet taken by the library: bytes, and how many of the first are gone.
        self._pending: deque[bytes] = deque()
        self._at = 0
        self._end_wanted = False
        self._reader: asyncio.Future[None] | None = None
        self._drainers: list[asyncio.Future[None]] = []
        self._closers: list[asyncio.Future[None]] = []
        self._since_turn = 0

    # -- reading ------------------------------------------------------------

    async def read(self, n: int = -1) -> bytes:
        """Up to `n` bytes, as soon as there are some; all until the end without `n`. Empty: the peer has ended."""
        if n == 0:
            return b""
        if n < 0:
            while await self._fill():
                pass
            return self._take(len(self._buffer))
        if self._buffer:
            return self._take(n)
        return await self._receive(n)

    async def readexactly(self, n: int) -> bytes:
        """Exactly `n` bytes; `asyncio.IncompleteReadError` when the peer ends before."""
        if n < 0:
            raise InvalidArgumentError(INVALID, f"n: {n} is negative")
        while len(self._buffer) < n:
            if not await self._fill(n - len(self._buffer)):
                raise asyncio.IncompleteReadError(self._take(n), n)
        return self._take(n)

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """Bytes up to a separator, and the separator.

        `asyncio.IncompleteReadError` when the peer ends before, `asyncio.LimitOverrunError` when none comes within 64 KiB;
        what was looked through can still be read.
        """
        if not separator:
            raise InvalidArgumentError(INVALID, "separator: it is empty")
        seen = 0
        while True:
            found = self._buffer.find(separator, seen)
            if found >= 0:
                return self._take(found + len(separator))
            seen = max(0, len(self._buffer) + 1 - len(separator))
            if seen > LINE_LIMIT:
                raise asyncio.LimitOverrunError(f"no separator within {LINE_LIMIT} bytes", seen)
            if not await self._fill(LINE_LIMIT):
                raise asyncio.IncompleteReadError(self._take(len(self._buffer)), None)

    async def readline(self) -> bytes:
        """A line with its end, or what is left of one; empty at the end. `ValueError` when it is longer than 64 KiB."""
        try:
            return await self.readuntil()
        except asyncio.IncompleteReadError as end:
            return end.partial
        except asyncio.LimitOverrunError as overrun:
            raise InvalidArgumentError(INVALID, f"readline: {overrun}") from None

    def at_eof(self) -> bool:
        """The peer has ended, and everything was read."""
        return self._ended and not self._buffer

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The lines, as of a file; ``while data := await stream.read(65536)`` is for other bytes."""
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    def _take(self, n: int) -> bytes:
        data = bytes(memoryview(self._buffer)[:n])
        del self._buffer[:n]
        return data

    async def _fill(self, most: int = PIECE) -> bool:
        """Adds to the buffer what is there, waits if that is nothing; false at the end."""
        data = await self._receive(most)
        self._buffer += data
        return bool(data)

    async def _receive(self, most: int) -> bytes:
        """Bytes of the library, at least one; none at the end."""
        await self._turn()
        scratch = self._swarm._scratch
        while (count := self._pull(scratch, min(most, PIECE))) is None:
            await self._readable()
        self._since_turn += count + CALL_BYTES
        return ctypes.string_at(scratch, count)

    async def _readable(self) -> None:
        if self._reader is not None:
            raise RuntimeError("another task is reading from this stream")
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._swarm._wait_stream(self._reader)
        finally:
            self._reader = None

    # -- writing ------------------------------------------------------------

    def write(self, data: Data) -> None:
        """Queues bytes. Await `drain` after it, or memory fills with what the peer does not read."""
        self._check_writable()
        if self._end_wanted:
            raise ClosedError(CLOSED, ENDED)
        data = as_bytes(data)
        at = 0 if self._pending else self._push(data, 0)
        self._since_turn += at + CALL_BYTES
        if at < len(data):
            if not self._pending:
                self._at = at
                self._swarm._unwritten.add(self)
            self._pending.append(data if isinstance(data, bytes) else bytes(data))

    @property
    def unsent(self) -> int:
        """Bytes that were written and that the library has not taken yet."""
        return sum(map(len, self._pending)) - self._at

    def writelines(self, lines: Iterable[Data]) -> None:
        """Queues several pieces of bytes."""
        self.write(b"".join(lines))

    async def drain(self) -> None:
        """Waits until everything that was written has been taken by the library, or raises why it was not."""
        if self._pending:
            waiter = asyncio.get_running_loop().create_future()
            self._drainers.append(waiter)
            try:
                await self._swarm._wait_stream(waiter)
            finally:
                self._drainers.remove(waiter)
        elif self._finished:
            return
        else:
            self._check_writable()
            await self._turn()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Ends our direction: the peer reads what was written, then the end. Twice is harmless; reading goes on."""
        if self._pending:
            self._end_wanted = True
        elif self._unwritable is None:
            self._send_end()

    # -- the end ------------------------------------------------------------

    def close(self) -> None:
        """Ends our direction after what was written, and wants nothing more of the peer's."""
        self.write_eof()
        self.stop_receiving()

    def is_closing(self) -> bool:
        """Nothing more can be written or read."""
        return (self._end_wanted or self._unwritable is not None) and not self._reading

    async def wait_closed(self) -> None:
        """Waits until both directions are over: the peer has all that was written, and its end was read or not wanted.

        Raises `PeerClosedError` when the peer left before that; what had come of it can be read still.
        """
        while not (self._over or self._forsaken):
            waiter = asyncio.get_running_loop().create_future()
            self._closers.append(waiter)
            try:
                await self._swarm._wait_stream(waiter)
            finally:
                self._closers.remove(waiter)
        if self._lost or self._forsaken:
            raise PeerClosedError(CLOSED, "the peer left before the stream was closed")

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            await self.wait_closed()
        else:
            self.reset()
            self.stop_receiving()

    def __del__(self) -> None:
        if self._abandon():
            warnings.warn(f"{self!r} was not closed; use `async with`, or close()", ResourceWarning, stacklevel=2)

    # -- events, called by the swarm ----------------------------------------

    def _on_readable(self) -> None:
        if self._reader is not None:
            _wake([self._reader])

    def _on_writable(self) -> None:
        try:
            while self._pending:
                self._at = self._push(self._pending[0], self._at)
                if self._at < len(self._pending[0]):
                    return
                self._pending.popleft()
                self._at = 0
        except SetowireError as failure:
            self._forget_pending(failure)
            return
        self._forget_pending(None)
        if self._end_wanted and self._unwritable is None:
            self._send_end()

    def _on_peer_gone(self) -> None:
        _wake(self._closers)

    def _on_closed(self, code: int) -> None:
        super()._on_closed(code)
        self._settle()

    def _on_swarm_closed(self, failure: SetowireError) -> None:
        super()._on_swarm_closed(failure)
        self._settle()

    def _settle(self) -> None:
        """It is over: whoever waits looks again, and finds out how."""
        if self._pending:
            self._forget_pending(self._unwritable or PeerClosedError(CLOSED, "the peer has left"))
        self._stopped_reading()
        _wake(self._closers)

    def _forget_pending(self, failure: SetowireError | None) -> None:
        """Nothing waits to be written any more, because of a failure or because it was taken."""
        self._pending.clear()
        self._at = 0
        self._swarm._unwritten.discard(self)
        _wake(self._drainers, failure)

    def _give_up_sending(self) -> None:
        if self._pending:
            self._forget_pending(ClosedError(CLOSED, "our direction of the stream was reset"))

    def _stopped_reading(self) -> None:
        if self._reader is not None:
            _wake([self._reader])

    async def _turn(self) -> None:
        """Before anything is taken: here it may be cancelled."""
        self._swarm._attach()
        if self._since_turn >= TURN_BYTES:
            self._since_turn = 0
            await asyncio.sleep(0)


class Incoming:
    """Streams that peers opened, until somebody accepts them."""

    def __init__(self) -> None:
        self._streams: deque[Stream] = deque()
        self._waiters: list[tuple[Peer | None, asyncio.Future[Stream]]] = []
        self._error: SetowireError | None = None

    def put(self, stream: Stream) -> None:
        """Hands it to who waits for streams of its peer, else of any peer, else keeps it."""
        for wanted in (stream.peer, None):
            for peer, waiter in self._waiters:
                if peer is wanted and not waiter.done():
                    waiter.set_result(stream)
                    return
        if len(self._streams) >= BACKLOG:
            stream.reset()
            stream.stop_receiving()
        else:
            self._streams.append(stream)

    async def get(self, swarm: Swarm, peer: Peer | None) -> Stream:
        """The next one of this peer, or of any."""
        for stream in self._streams:
            if peer is None or stream.peer is peer:
                self._streams.remove(stream)
                return stream
        if self._error is not None:
            raise copy.copy(self._error)
        if peer is not None and not peer.connected:
            raise PeerClosedError(CLOSED, "the peer has left")
        waiter: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
        entry = (peer, waiter)
        self._waiters.append(entry)
        try:
            return await swarm._wait_stream(waiter)
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.put(waiter.result())  # it was ours: hand it on
            raise
        finally:
            self._waiters.remove(entry)

    def peer_gone(self, peer: Peer) -> None:
        for stream in [stream for stream in self._streams if stream.peer is peer and stream._lost]:
            self._streams.remove(stream)
        self._fail([waiter for wanted, waiter in self._waiters if wanted is peer], PeerClosedError(CLOSED, "the peer has left"))

    def finish(self, error: SetowireError) -> None:
        """The swarm has ended."""
        self._error = error
        self._streams.clear()
        self._fail([waiter for _, waiter in self._waiters], error)

    @staticmethod
    def _fail(waiters: list[asyncio.Future[Stream]], error: SetowireError) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)


class Streams(AsyncIterator[Stream]):
    """``async for stream in swarm.streams()``: ends with the swarm, or with the peer it is of."""

    def __init__(self, swarm: Swarm, peer: Peer | None) -> None:
        self._swarm = swarm
        self._peer = peer

    def __aiter__(self) -> Streams:
        return self

    async def __anext__(self) -> Stream:
        try:
            return await self._swarm._accept(self._peer)
        except (ClosedError, PeerClosedError):
            raise StopAsyncIteration from None


def _wake(waiters: list[asyncio.Future[None]], failure: SetowireError | None = None) -> None:
    for waiter in waiters:
        if not waiter.done():
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(copy.copy(failure))
