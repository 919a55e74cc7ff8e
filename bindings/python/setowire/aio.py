"""The asyncio `Swarm`, `Peer` and `Topic`.

A swarm belongs to the event loop it first runs in. The loop watches the native
queue's descriptor and reads it in small batches; nothing of the library ever
calls into Python. Operations are futures keyed by a tag. When an `async for`
lags, reading stops until it has caught up, so memory stays bounded.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import events
from ._core import SwarmBase, check_roles, connected_peer, outcome, topic_bytes
from ._emitter import Listener
from ._handle import Data, NativeSwarm
from ._inbox import Inbox, Messages
from ._reader import Reader, make_reader
from ._records import Record
from .errors import (
    CLOSED,
    INTERNAL,
    NOT_FOUND,
    ClosedError,
    PeerClosedError,
    SetowireError,
    WouldBlockError,
    WrongLoopError,
    peer_error,
)
from .peer import PeerBase
from .topic import TopicBase

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import SwarmOptions

__all__ = ["Message", "Peer", "Swarm", "Topic"]


class Peer(PeerBase):
    """A connected peer; `send` waits where `write` gives up."""

    def __init__(self, swarm: Swarm, native: NativeSwarm, description: Mapping[str, Any]) -> None:
        super().__init__(native, description)
        self._swarm = swarm
        self._turn = asyncio.Lock()

    async def send(self, data: Data) -> None:
        """Sends a message: waits for room in the queue, then until it has left.

        Concurrent calls keep their order. Cancelled while it waits for room,
        nothing is sent; later, the message is on its way already.
        """
        await self._swarm._send(self, data)


Message = events.Message[Peer]


class Topic(TopicBase):
    """A joined topic: ``async for message in topic``.

    The sessions of this version do not tell which topic a message is for, so a
    program that joined several gets each message in all of them. The loop ends
    when the topic or the swarm is closed.
    """

    def __init__(self, swarm: Swarm, native: NativeSwarm, number: int, topic: bytes) -> None:
        super().__init__(native, number, topic)
        self._swarm = swarm
        self._inbox = Inbox(swarm._on_room)

    def __aiter__(self) -> Messages:
        return Messages(self._inbox)

    async def close(self) -> None:
        """Ends this session; connections stay."""
        self._close()
        self._inbox.finish(None)
        self._swarm._topics.pop(self.number, None)

    destroy = close


class Swarm(SwarmBase[Peer]):
    """Finds the programs that joined the same topic, and talks to them.

        async with Swarm() as swarm:
            topic = await swarm.join(hashlib.sha256(b"my topic").digest())
            async for message in topic:
                await message.peer.send(message.data)

    Options are keywords, or a mapping as the older package took it. Made inside
    a running loop it works at once; elsewhere at the first `await`.
    """

    def __init__(self, opts: Mapping[str, Any] | None = None, /, **options: Unpack[SwarmOptions]) -> None:
        super().__init__(opts, options, self._new_peer)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader: Reader | None = None
        self._operations: dict[int, asyncio.Future[Record]] = {}
        self._room: dict[int, list[asyncio.Future[None]]] = {}
        self._topics: dict[int, Topic] = {}
        self._inbox = Inbox(self._on_room)
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

    def __aiter__(self) -> Messages:
        """Every message of every peer, until the swarm is closed."""
        return Messages(self._inbox)

    async def join(self, topic: bytes | bytearray | str, announce: bool = True, lookup: bool = True) -> Topic:
        """Looks for the other members of a topic: 32 bytes, by custom the SHA-256 of a name."""
        check_roles(announce, lookup)
        self._attach()
        name = topic_bytes(topic)
        number = self._native.join(name)
        joined = self._topics[number] = Topic(self, self._native, number, name)
        return joined

    async def leave(self, topic: bytes | bytearray | str) -> None:
        """Ends every session of a topic; connections stay. A topic that is not joined is no error."""
        self._attach()
        name = topic_bytes(topic)
        self._native.leave(name)
        for joined in [one for one in self._topics.values() if one.topic == name]:
            await joined.close()

    async def connect(self, address: str, timeout: float | None = None) -> Peer:
        """Connects to "host:port". No timeout: the library's own (10 s); `math.inf`: none.

        Cancelled, it gives the attempt up and returns when that is done.
        """
        self._attach()
        tag = next(self._tags)
        done = self._operation(tag)
        try:
            number = self._native.connect(address, timeout, tag)
            try:
                record = await asyncio.shield(done)
            except asyncio.CancelledError:
                if not done.done():
                    self._native.cancel(number)
                    await asyncio.wait([done])
                raise
        finally:
            self._forget(tag)
        failure = outcome(record)
        if failure is not None:
            raise failure
        peer = self._peers.get(connected_peer(record))
        if peer is None:
            raise PeerClosedError(NOT_FOUND, f"{address} answered and left at once")
        return peer

    async def destroy(self) -> None:
        """Says goodbye to the peers, ends everything, returns when it is done. Twice is harmless."""
        if self._ended is not None and self._ended.done():
            return
        self._attach()
        assert self._ended is not None
        if not self._closing:
            self._closing = True
            self._native.close()
            self._regulate()
        await asyncio.shield(self._ended)

    close = destroy

    def _new_peer(self, native: NativeSwarm, description: Mapping[str, Any]) -> Peer:
        return Peer(self, native, description)

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
            records = self._native.drain()
        except SetowireError as failure:  # the library and this package do not fit
            self._finish(events.Closed(failure))
            return
        for record in records:
            event = self._take(record)
            if event is not None:
                self._deliver(event)
        if self._dropped:
            lost, self._dropped = self._dropped, 0
            self._notify(events.Lost(lost))
        self._regulate()

    def _deliver(self, event: events.Event[Peer]) -> None:
        if isinstance(event, events.Message):
            self._dropped += self._store(event)
        elif isinstance(event, events.Writable):
            self._wake_room(event.peer.number, None)
        elif isinstance(event, events.Disconnection):
            gone = PeerClosedError(event.error.code if event.error else CLOSED, event.reason)
            self._wake_room(event.peer.number, gone)
        elif isinstance(event, events.Closed):
            self._finish(event)
            return
        self._notify(event)

    def _store(self, message: Message) -> int:
        """Puts a message where it will be read; the number dropped for it.

        Those who iterate get it. When nobody does and no listener takes it, it
        is kept for the loop that will come.
        """
        inboxes = [self._inbox, *(topic._inbox for topic in self._topics.values())]
        reading = [inbox for inbox in inboxes if inbox.readers]
        taken = reading or self._listens("data") or self._listens("message") or message.peer._listens("data")
        return sum(inbox.put(message) for inbox in (reading if taken else inboxes))

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
        awaited = self._closing or self._operations or self._room
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
        self._native.release()
        gone = event.error or ClosedError(CLOSED, "the swarm was closed")
        for done in self._operations.values():
            if not done.done():
                done.set_exception(gone)
                done.exception()  # it may have no waiter any more
        for number in list(self._room):
            self._wake_room(number, gone)
        for peer in self._peers.values():
            peer.connected = False
        self._peers.clear()
        for topic in self._topics.values():
            topic.closed = True
            topic._inbox.finish(event.error)
        self._topics.clear()
        self._inbox.finish(event.error)
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
                while True:
                    try:
                        self._native.send(peer.number, data, tag)
                        break
                    except WouldBlockError:
                        await self._wait_room(peer)
            record = await done
        finally:
            self._forget(tag)
        if record.code < 0:
            raise peer_error(record.code, str(record.data))

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

    # -- listeners ----------------------------------------------------------

    def _call(self, callback: Listener, arguments: tuple[object, ...]) -> None:
        """A listener that raises is reported to the loop and stops nothing; one that is async becomes a task."""
        assert self._loop is not None
        try:
            result = callback(*arguments)
            if inspect.iscoroutine(result):
                self._spawn(result)
        except Exception as failure:
            self._loop.call_exception_handler(
                {"message": f"a listener of {self!r} failed", "exception": failure, "callback": callback}
            )

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        assert self._loop is not None
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
