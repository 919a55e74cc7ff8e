"""A connection as Hyperswarm has it: one duplex stream of bytes with events, and messages beside it.

The stream is an application stream of the peer: the side that dialled opens it
as soon as it is connected, the other takes the first that this peer opens. What
is written before is kept, in bounds. Nothing is read from it until somebody
listens for `data`, pipes it somewhere or iterates over it.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Union

from ._emitter import Emitter, Listener
from ._stream import ENDED, as_bytes
from .errors import CLOSED, WOULD_BLOCK, ClosedError, PeerClosedError, SetowireError, StreamStoppedError, WouldBlockError

if TYPE_CHECKING:
    from ._aio_stream import Stream
    from .aio import Peer, Swarm

#: Bytes read at once.
CHUNK = 64 << 10
#: From so many unsent bytes on `write` returns false; more than the second number are refused.
HIGH_WATER = 64 << 10
MOST_UNSENT = 16 << 20

Written = Union[bytes, bytearray, memoryview, str]
T = TypeVar("T")


class Duplex(Emitter):
    """A connection. Its names are those of a Node stream; ``async for`` and `drain` are for those who prefer that.

    When the other side ends, so does this one, once everything was read. When
    both have ended it closes, and with it the connection.
    """

    #: `open` (also `connect`), `end`, `finish`, `drain`, `close` without arguments, `data` and `message` with the bytes,
    #: `error` with the exception; without a listener for it an error only closes.
    EVENTS: ClassVar[tuple[str, ...]] = (
        "open",
        "connect",
        "data",
        "end",
        "finish",
        "drain",
        "close",
        "error",
        "message",
    )

    def __init__(self, swarm: Swarm, peer: Peer) -> None:
        super().__init__()
        #: The peer, for messages and further streams.
        self.peer = peer
        #: For the application.
        self.user_data: Any = None
        self._swarm = swarm
        self._stream: Stream | None = None
        #: Written before there was a stream.
        self._early: list[bytes] = []
        self._ended = False
        self._end_read = False
        self._destroyed = False
        self._draining = False
        #: The swarm is being destroyed by this side.
        self._leaving = False
        #: Why something that was written here got no further, while what had come is still being read.
        self._failure: PeerClosedError | None = None
        self._flowing = asyncio.Event()
        self._sinks: list[Any] = []
        self._ready = asyncio.Event()
        peer.once("close", self._peer_left)
        swarm._spawn(self._run())

    @property
    def remote_public_key(self) -> bytes:
        """The key of the other side, proven."""
        return self.peer.key or b""

    @property
    def public_key(self) -> bytes:
        """Our own key."""
        return self._swarm.key

    @property
    def is_initiator(self) -> bool:
        """We dialled."""
        return self.peer.client

    @property
    def remote_address(self) -> str:
        return self.peer.remote_address

    @property
    def destroyed(self) -> bool:
        return self._destroyed

    @property
    def writable_length(self) -> int:
        """Bytes written and not sent yet."""
        return sum(map(len, self._early)) + (self._stream.unsent if self._stream is not None else 0)

    # -- writing ------------------------------------------------------------

    def write(self, data: Written) -> bool:
        """Queues bytes, or text as UTF-8. False: better wait for `drain` now. `WouldBlockError`: 16 MiB wait already."""
        if self._destroyed or self._ended:
            raise ClosedError(CLOSED, ENDED if self._ended else "the connection is closed")
        data = data.encode() if isinstance(data, str) else bytes(as_bytes(data))
        waiting = self.writable_length + len(data)
        if waiting > MOST_UNSENT:
            raise WouldBlockError(WOULD_BLOCK, f"{MOST_UNSENT} bytes wait to be sent, that is the limit; wait for 'drain'")
        if self._stream is None:
            self._early.append(data)
        elif not self._hand_over(data):
            return False
        if self.writable_length < HIGH_WATER:
            return True
        if not self._draining:
            self._draining = True
            self._swarm._spawn(self._tell_drain())
        return False

    def end(self, data: Written | None = None) -> None:
        """Ends our direction, after a last piece of data if there is one. Reading goes on. Twice is harmless."""
        if data is not None:
            self.write(data)
        if not self._ended and not self._destroyed:
            self._ended = True
            if self._stream is not None:
                self._stream.write_eof()
            self._emit("finish")

    async def drain(self) -> None:
        """Waits until what was written has been taken by the library, or raises why it was not."""
        await self._ready.wait()
        if self._stream is not None and not self._destroyed:
            await self._stream.drain()

    async def flush(self) -> bool:
        """As `drain`; false where that raises."""
        try:
            await self.drain()
        except SetowireError:
            return False
        return not self._destroyed or self._ended

    def _hand_over(self, data: bytes) -> bool:
        """Gives bytes to the stream. False: the other side wants nothing more, or is gone."""
        assert self._stream is not None
        try:
            self._stream.write(data)
        except PeerClosedError as failure:
            self._failure = failure
            self._peer_left()
        except StreamStoppedError as failure:
            self._close(failure)
        else:
            return True
        return False

    async def _tell_drain(self) -> None:
        try:
            await self.drain()
        except SetowireError:
            return  # its end is told otherwise
        finally:
            self._draining = False
        self._emit("drain")

    # -- messages -----------------------------------------------------------

    async def send(self, data: Written) -> None:
        """Sends a message, which the other side gets as its event `message`; waits until it has left."""
        await self.peer.send(data.encode() if isinstance(data, str) else data)

    def try_send(self, data: Written) -> bool:
        """Sends a message without waiting; false when there is no room."""
        return self.peer.write(data.encode() if isinstance(data, str) else data)

    # -- reading ------------------------------------------------------------

    def _add(self, event: str, callback: Listener, once: bool) -> None:
        if event == "message" and "message" not in self._listeners:
            self.peer.on("data", lambda data: self._emit("message", data))
        super()._add(event, callback, once)
        if event == "data":
            self.resume()

    def resume(self) -> None:
        """Lets data flow."""
        self._flowing.set()

    def pause(self) -> None:
        """Stops the flow of data, and with it in the end the other side."""
        self._flowing.clear()

    def pipe(self, sink: T) -> T:
        """Writes everything that comes to `sink` and ends it at the end: a connection, a file, an `asyncio.StreamWriter`.

        Returns it. The standard streams are not closed.
        """
        self._sinks.append(_Pipe(sink))
        self.resume()
        return sink

    def __aiter__(self) -> AsyncIterator[bytes]:
        """What comes, in pieces as it comes."""
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        if self._end_read or self._destroyed:
            return
        pieces = _Pieces()
        self._sinks.append(pieces)
        self.resume()
        try:
            while (data := await pieces.get()) is not None:
                yield data
        finally:
            if pieces in self._sinks:
                self._sinks.remove(pieces)
            pieces.close()

    async def _run(self) -> None:
        try:
            stream = await (self.peer.open_stream() if self.peer.client else self.peer.accept_stream())
        except SetowireError as failure:
            self._close(failure)
            return
        self._stream, early = stream, self._early
        self._early = []
        if early and not self._destroyed:
            self._hand_over(b"".join(early))
        if self._destroyed:
            return
        if self._ended:
            stream.write_eof()
        self._ready.set()
        self._emit("open")
        self._emit("connect")
        try:
            await self._read(stream)
            await stream.wait_closed()
        except SetowireError as failure:
            self._close(self._failure if self._ended and self._end_read else failure)
        else:
            self.peer.close()
            self._close(self._failure)

    async def _read(self, stream: Stream) -> None:
        while data := await stream.read(CHUNK):
            await self._flowing.wait()
            if self._destroyed:
                return
            self._emit("data", data)
            for sink in list(self._sinks):
                await sink.put(data)
        await self._flowing.wait()
        if self._destroyed:
            return
        self._end_read = True
        self._emit("end")
        for sink in self._sinks:
            sink.end()
        self.end()

    # -- the end ------------------------------------------------------------

    def destroy(self, error: Exception | None = None) -> None:
        """Closes the connection at once; what was not sent is lost. Twice is harmless."""
        if not self._destroyed:
            self._give_up()
            self._close(error)

    def leave(self) -> asyncio.Future[None]:
        """Ends our direction because the swarm is to go; done when the connection is closed. How it closes is no error."""
        self._leaving = True
        closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done() -> None:
            if not closed.done():
                closed.set_result(None)

        self.once("close", done)
        self.end()
        if self._destroyed:
            done()
        return closed

    def _peer_left(self) -> None:
        reads = self._flowing.is_set() or self._sinks or self._listeners.get("data")
        if self._stream is not None and not reads:
            self._close(PeerClosedError(CLOSED, self.peer.reason or "the peer has left"))
        # Else who takes the stream, or reads it, finds out, after what came before.

    def _close(self, failure: Exception | None) -> None:
        if self._destroyed:
            return
        self._destroyed = True
        self._early.clear()
        self._ready.set()
        self._flowing.set()
        for sink in self._sinks:
            sink.end()
        if failure is not None:
            self._give_up()
            if not self._leaving:
                self._emit("error", failure)
        self._emit("close")

    def _give_up(self) -> None:
        """Ends what is left of the stream, and the connection."""
        if self._stream is not None:
            self._stream.reset()
            self._stream.stop_receiving()
        self.peer.close()

    def _emit(self, event: str, *arguments: object) -> None:
        self._swarm._emit(self, event, *arguments)

    def __repr__(self) -> str:
        return f"<Connection with {self.peer.id} {self.remote_address}{' closed' if self._destroyed else ''}>"


class _Pipe:
    """Somewhere that data goes to."""

    def __init__(self, sink: Any) -> None:
        #: Of a file for text, the one for bytes below it.
        self._sink = getattr(sink, "buffer", sink)
        standard = (sys.stdout, sys.stderr, getattr(sys.stdout, "buffer", None), getattr(sys.stderr, "buffer", None))
        self._is_standard = any(sink is one for one in standard)
        self._ended = False

    async def put(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            self._sink.write(data)
            waited = getattr(self._sink, "drain", getattr(self._sink, "flush", None))
            result = waited() if waited is not None else None
            if inspect.isawaitable(result):
                await result
        except (SetowireError, OSError, ValueError):
            self._ended = True  # it is closed

    def end(self) -> None:
        if not self._ended and not self._is_standard:
            self._ended = True
            getattr(self._sink, "end", getattr(self._sink, "close", lambda: None))()


class _Pieces:
    """One ``async for``: it gets a piece when it has done with the one before."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._taken = asyncio.Event()
        self._closed = False

    async def put(self, data: bytes) -> None:
        if not self._closed:
            self._taken.clear()
            self._queue.put_nowait(data)
            await self._taken.wait()

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def get(self) -> bytes | None:
        if self._queue.empty():
            self._taken.set()
        return await self._queue.get()

    def close(self) -> None:
        self._closed = True
        self._taken.set()
