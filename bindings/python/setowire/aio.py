"""The asyncio `Swarm`, `Peer` and `Topic`; `Stream` is in `_aio_stream`.

A swarm belongs to the event loop it first runs in. The loop watches the native
queue's descriptor and reads it in small batches; nothing of the library ever
calls into Python. Operations are futures keyed by a tag. When an `async for`
lags, reading stops until it has caught up, so memory stays bounded.
"""

from __future__ import annotations

import asyncio
import ctypes
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import events
from ._aio_manage import ManagedSwarm
from ._aio_stream import Incoming, Stream, Streams
from ._aio_topic import Lookup, Topic
from ._emitter import CHANGES, Listener
from ._gather import Gather
from ._handle import Data, NativeSwarm
from ._inbox import Inbox, Iteration
from ._reader import Reader, make_reader
from ._records import MESSAGE, MESSAGE_BROADCAST, Plain, Record, plain
from ._stream import PIECE
from .errors import (
    CLOSED,
    INTERNAL,
    ClosedError,
    PeerClosedError,
    SetowireError,
    WrongLoopError,
    peer_error,
)
from .known import PeerInfo
from .peer import PeerBase

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import SwarmOptions

__all__ = ["Datagram", "Lookup", "Message", "Peer", "Stream", "Swarm", "Topic"]

T = TypeVar("T")


class Peer(PeerBase):
    """A connected peer; `send` waits where `write` gives up.

    Small messages that are written one after the other leave together, at the latest when the loop has its turn.
    """

    def __init__(self, swarm: Swarm, native: NativeSwarm, description: Mapping[str, Any]) -> None:
        assert swarm._loop is not None
        # Over p2p-v12 a batch would be cut in the middle when the queue is full.
        modern = description["session"] != "p2p-v12"
        self._gather = Gather(native, description["peer"], swarm._loop, gathers=modern)
        super().__init__(native, description)
        self._swarm = swarm
        self._turn = asyncio.Lock()

    async def send(self, data: Data) -> None:
        """Sends a message: waits for room in the queue, then until it has left.

        Concurrent calls keep their order. Cancelled while it waits for room,
        nothing is sent; later, the message is on its way already.
        """
        await self._swarm._send(self, data)

    async def open_stream(self) -> Stream:
        """Opens a stream, which the peer gets as its `stream` event; waits while too many are open.

        `NotSupportedError` for a peer that speaks only p2p-v12.
        """
        return await self._swarm._open_stream(self)

    async def accept_stream(self) -> Stream:
        """The next stream that this peer opens."""
        return await self._swarm._accept(self)

    def streams(self) -> Streams:
        """``async for stream in peer.streams()``: the streams that it opens, until it leaves."""
        return Streams(self._swarm, self)

    def _writer(self) -> Callable[[Data], bool]:
        return self._gather.writer()

    def _flush(self) -> None:
        self._gather.flush()

    def _send(self, data: Data, tag: int) -> bool:
        taken = self._gather.flush() and self._native.send(self.number, data, tag)
        self._gather.sent(taken)
        return taken

    def close(self) -> None:
        """Ends the connection; one that has ended already is no error."""
        super().close()
        self._gather.end()

    end = close
    destroy = close

    @property
    def topics(self) -> list[Topic]:
        """The topics that both of us have joined; over p2p-v12 nobody can know."""
        return self._swarm._topics_of(self._topic_numbers)

    @property
    def info(self) -> PeerInfo:
        """What the swarm knows of it beyond this connection, and decides about it."""
        return self._info_in(self._swarm)


Message = events.Message[Peer]
Datagram = events.Datagram[Peer]


class Swarm(ManagedSwarm):
    """Finds the programs that joined the same topic, and talks to them.

        async with Swarm() as swarm:
            topic = await swarm.join(hashlib.sha256(b"my topic").digest())
            async for message in topic:
                await message.peer.send(message.data)

    Options are keywords, or a mapping as the older package took it. Made inside
    a running loop it works at once; elsewhere at the first `await`.
    """

    def __init__(self, opts: Mapping[str, Any] | None = None, /, **options: Unpack[SwarmOptions]) -> None:
        self._loop = None
        super().__init__(opts, options, self._new_peer, self._new_stream)
        self._reader: Reader | None = None
        self._operations = {}
        #: Those who wait until nobody is connected.
        self._quiet = []
        self._rounds, self._taking_back = {}, set()
        self._room: dict[int, list[asyncio.Future[None]]] = {}
        #: Inboxes that somebody reads.
        self._reading: set[Inbox[Message]] = set()
        self._inbox: Inbox[Message] = Inbox(self._on_room, self._reading)
        self._datagrams: Inbox[Datagram] = Inbox(self._on_room, set(), patient=False)
        self._incoming = Incoming()
        #: Streams with bytes that the library has not taken yet; they live until it has.
        self._unwritten: set[Stream] = set()
        self._stream_waits = 0
        self._scratch = ctypes.create_string_buffer(PIECE)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._dropped = 0
        self._closing = False
        self._ended: asyncio.Future[None] | None = None
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return  # the first `await` attaches it
        self._attach()

    async def __aenter__(self) -> Swarm:
        self._attach()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.destroy()

    def __aiter__(self) -> Iteration[Message]:
        """Every message of every peer, until the swarm is closed."""
        return Iteration(self._inbox)

    def datagrams(self) -> Iteration[Datagram]:
        """``async for datagram in swarm.datagrams()``: those that come while it exists; the oldest go if it lags."""
        return Iteration(self._datagrams)

    async def accept_stream(self) -> Stream:
        """The next stream that a peer opens."""
        return await self._accept(None)

    def streams(self) -> Streams:
        """``async for stream in swarm.streams()``: every stream that peers open, until the swarm is closed."""
        return Streams(self, None)

    async def destroy(self, *, force: bool = False) -> None:
        """Says goodbye to the peers, ends everything, returns when it is done. Twice is harmless.

        `force`: at once, without waiting for what is queued and without taking announcements back.
        """
        if self._ended is not None and self._ended.done():
            return
        self._attach()
        assert self._ended is not None
        begun, self._closing, self._destroyed = self._closing, True, True
        try:
            if force:
                self._native.close_now()
            elif not begun:
                self._flush_all()
                self._native.close()
            for peer in self._peers.values():
                peer._gather.end()
        except ClosedError:
            pass  # it has ended just now
        self._regulate()
        await asyncio.shield(self._ended)
        if not force:
            await self._end_source()

    close = destroy

    def _new_peer(self, native: NativeSwarm, description: Mapping[str, Any]) -> Peer:
        return Peer(self, native, description)

    def _new_stream(self, native: NativeSwarm, peer: Peer, number: int) -> Stream:
        return Stream(self, native, peer, number)

    def _new_inbox(self) -> Inbox[Message]:
        return Inbox(self._on_room, self._reading)

    def _attach(self) -> None:
        """Ties the swarm to the running loop, the first time; later only checks it."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._ended = loop.create_future()
            self._reader = make_reader(loop, self._native, self._on_readable)
        elif self._loop is not loop:
            raise WrongLoopError(INTERNAL, "this swarm belongs to another event loop; make one in each loop")

    # -- reading the queue --------------------------------------------------

    def _on_readable(self) -> None:
        try:
            batches = self._native.drain()
        except SetowireError as failure:  # the library and this package do not fit
            self._finish(events.Closed(failure))
            return
        for record in batches:
            if isinstance(record, list):
                self._receive_run(record)
                continue
            if record.kind == MESSAGE:
                self._receive(record)
                continue
            event = self._take(record)
            if event is not None:
                self._deliver(event)
        if self._dropped:
            lost, self._dropped = self._dropped, 0
            self._notify(events.Lost(lost))
        self._regulate()

    def _receive_run(self, run: list[Plain]) -> None:
        """Messages in a row. This runs for each one, so what is the same for all of a peer is looked up once."""
        peer: Peer | None = None
        listener: Listener | None = None
        of_all = False
        known, seen, changes = 0, -1, CHANGES
        reading = self._reading
        for number, data in run:
            if number != known or changes[0] != seen:
                known, seen = number, changes[0]
                peer = self._peers.get(number)
                listener, of_all = self._only_listener(peer)
            if listener is None or reading:
                self._receive(plain(number, data))
                continue
            try:
                result = listener(data, peer) if of_all else listener(data)
            except Exception as failure:
                self._failed(listener, failure)
            else:
                if result is not None:
                    self._returned(result)

    def _only_listener(self, peer: Peer | None) -> tuple[Listener | None, bool]:
        """The listener for the bytes of this peer, and whether it is one for all peers; None if there is not just one."""
        if peer is None or self._brief or peer._brief or "message" in self._calls:
            return None, False
        own, shared = peer._calls.get("data", ()), self._calls.get("data", ())
        if len(own) + len(shared) != 1:
            return None, False
        return (own or shared)[0], not own

    def _receive(self, record: Record) -> None:
        """A message, to those who want it.

        Those who iterate get it. When nobody does and no listener takes it, it is kept for the loop that will come.
        """
        _, flags, _, number, _, _, data, _ = record
        peer = self._peers.get(number)
        if peer is None:
            return
        listened = False
        if "data" in peer._calls:
            for callback in peer._take_listeners("data"):
                self._call(callback, (data,))
                listened = True
        if "data" in self._calls:
            for callback in self._take_listeners("data"):
                self._call(callback, (data, peer))
                listened = True
        message = None
        if "message" in self._calls:
            message = self._message(peer, record)
            self._emit(self, "message", message)
            listened = True
        if self._reading or not listened:
            message = message or self._message(peer, record)
            for inbox in self._inboxes(message, bool(flags & MESSAGE_BROADCAST)):
                if inbox.readers or not self._reading:
                    self._dropped += inbox.put(message)

    def _inboxes(self, message: Message, broadcast: bool) -> list[Inbox[Message]]:
        """Those that a message is for."""
        topics: Iterable[Topic]
        if broadcast:
            topics = self._sessions_of(message.topic) if message.topic else ()  # it may have been left just now
        elif message.peer.key is None:
            topics = self._topics.values()  # over p2p-v12 nobody tells
        else:
            topics = [session for shared in message.peer.topics for session in self._sessions_of(shared)]
        return [self._inbox, *(topic._inbox for topic in topics)]

    def _deliver(self, event: events.Event[Peer]) -> None:
        if isinstance(event, events.Datagram):
            if self._datagrams.readers:
                self._datagrams.put(event)
        elif isinstance(event, events.IncomingStream):
            if not (self._listens("stream") or event.stream.peer._listens("stream")):
                self._incoming.put(event.stream)
        elif isinstance(event, events.Writable):
            if not event.peer._gather.writable():
                return  # another one follows
            self._wake_room(event.peer.number, None)
        elif isinstance(event, events.Disconnection):
            gone = PeerClosedError(event.error.code if event.error else CLOSED, event.reason)
            event.peer._gather.end()
            self._wake_room(event.peer.number, gone)
            self._incoming.peer_gone(event.peer)
            self._wake_quiet()
        elif isinstance(event, events.Closed):
            self._finish(event)
            return
        self._notify(event)

    def _on_room(self) -> None:
        """An iterator has caught up or is gone; the garbage collector may call this in any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._regulate)

    def _regulate(self) -> None:
        """Reads the queue unless an iterator lags.

        Completions come through the queue too: while one is awaited, or the
        swarm closes, reading goes on and the inbox drops the oldest instead.
        """
        if self._reader is None or self._ended is None or self._ended.done():
            return
        awaited = self._closing or self._operations or self._room or self._stream_waits
        lagging = self._inbox.full or any(topic._inbox.full for topic in self._topics.values())
        if lagging and not awaited:
            self._reader.pause()
        else:
            self._reader.resume()

    def _finish(self, event: events.Closed) -> None:
        """The last event was read: nothing is left to wait for."""
        assert self._reader is not None and self._ended is not None
        self._closing = True
        self._reader.stop()
        gone = event.error or ClosedError(CLOSED, "the swarm was closed")
        topics = list(self._topics.values())
        for peer in self._peers.values():
            peer._gather.end()
        self._forget_all(event.error)
        for done in self._operations.values():
            if not done.done():
                done.set_exception(gone)
                done.exception()  # it may have no waiter any more
        for number in list(self._room):
            self._wake_room(number, gone)
        for inbox in [self._inbox, *(topic._inbox for topic in topics)]:
            inbox.finish(event.error)
        for asking in list(self._rounds.values()):
            asking.cancel()
        self._datagrams.finish(event.error)
        self._incoming.finish(gone)
        self._wake_quiet()
        self._ended.set_result(None)
        self._notify(event)

    # -- operations ---------------------------------------------------------

    def _operation(self, tag: int) -> asyncio.Future[Record]:
        assert self._loop is not None
        done = self._operations[tag] = self._loop.create_future()
        self._regulate()
        return done

    def _forget(self, tag: int) -> None:
        self._operations.pop(tag, None)
        self._regulate()

    def _completed(self, record: Record) -> None:
        done = self._operations.get(record.tag)
        if done is not None and not done.done():
            done.set_result(record)
        for number in list(self._room):  # there is room for one more operation too
            self._wake_room(number, None)

    async def _send(self, peer: Peer, data: Data) -> None:
        self._attach()
        tag = next(self._tags)
        done = self._operation(tag)
        try:
            async with peer._turn:
                while not peer._send(data, tag):
                    await self._wait_room(peer)
            record = await done
        finally:
            self._forget(tag)
        if record.code < 0:
            raise peer_error(record.code, str(record.data))

    async def _open_stream(self, peer: Peer) -> Stream:
        self._attach()
        while (number := self._native.open_stream(peer.number)) is None:
            await self._wait_room(peer)
        return self._add_stream(peer, number)

    async def _accept(self, peer: Peer | None) -> Stream:
        self._attach()
        return await self._incoming.get(self, peer)

    async def _wait_stream(self, waiter: asyncio.Future[T]) -> T:
        """Awaits something that an event of a stream brings: until then the queue is read."""
        self._attach()
        self._stream_waits += 1
        self._regulate()
        try:
            return await waiter
        finally:
            self._stream_waits -= 1
            self._regulate()

    async def _wait_room(self, peer: Peer) -> None:
        assert self._loop is not None
        waiter = self._loop.create_future()
        waiters = self._room.setdefault(peer.number, [])
        waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters and self._room.get(peer.number) is waiters:
                del self._room[peer.number]

    def _wake_room(self, number: int, failure: SetowireError | None) -> None:
        for waiter in self._room.pop(number, ()):
            if not waiter.done():
                if failure is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(failure)

    def _wake_quiet(self) -> None:
        if self._quiet and not self._peers:
            waiters, self._quiet = self._quiet, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # -- listeners ----------------------------------------------------------

    def _call(self, callback: Listener, arguments: tuple[object, ...]) -> None:
        """A listener that raises is reported to the loop and stops nothing; one that is async becomes a task."""
        try:
            result = callback(*arguments)
        except Exception as failure:
            self._failed(callback, failure)
        else:
            if result is not None:
                self._returned(result)

    def _returned(self, result: object) -> None:
        if inspect.iscoroutine(result):
            self._spawn(result)

    def _failed(self, callback: Listener, failure: Exception) -> None:
        assert self._loop is not None
        self._loop.call_exception_handler(
            {"message": f"a listener of {self!r} failed", "exception": failure, "callback": callback}
        )

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        assert self._loop is not None
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
