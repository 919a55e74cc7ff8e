"""The synchronous `Swarm`, for scripts and threads: no event loop, no hidden thread.

    with setowire.sync.Swarm() as swarm:
        swarm.join(hashlib.sha256(b"my topic").digest())
        for event in swarm:
            print(event)

Events are read inside `poll`, iteration and the calls that wait, by whichever
thread is in one of them; that thread hands the others what they wait for. All
methods may be called from several threads at once. Listeners added with `on`
are called inside `poll` and iteration, by the thread that called it. A stream
that a peer opened is an event; `Stream` is in `_sync_stream`.
"""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import events
from ._emitter import Listener
from ._handle import Data, NativeSwarm
from ._records import Record, records
from ._sync_manage import ManagedSwarm, Topic, deadline_of
from ._sync_stream import Stream
from .errors import (
    CLOSED,
    TIMED_OUT,
    ClosedError,
    SetowireTimeoutError,
    peer_error,
)
from .known import PeerInfo
from .peer import PeerBase

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import SwarmOptions

__all__ = ["Datagram", "Event", "IncomingStream", "Message", "Peer", "Stream", "Swarm", "Topic"]

#: Events kept while a call waits for something else; of more, the oldest go that others can make any number of. Messages
#: are counted.
BACKLOG = 16_384
#: The longest time that poll(2) takes, in milliseconds; after it the wait begins again.
MOST_POLL_MS = 2**31 - 1

#: Without these a program still knows who is connected.
_DROPPED = (
    events.Message,
    events.Datagram,
    events.PeerFound,
    events.PeerRejected,
    events.TopicUpdated,
    events.PeerTopic,
    events.Banned,
)

_live: weakref.WeakSet[Swarm] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """A thread that was reading is not here: nobody may wait for it."""
    for swarm in list(_live):
        swarm._changed = threading.Condition()
        swarm._reading = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Peer(PeerBase):
    """A connected peer; `send` waits where `write` gives up."""

    def __init__(self, swarm: Swarm, native: NativeSwarm, description: Mapping[str, Any]) -> None:
        super().__init__(native, description)
        self._swarm = swarm
        #: Goes up when its queue has room again, and when it leaves.
        self._room_count = 0

    def send(self, data: Data, timeout: float | None = None) -> None:
        """Sends a message: waits for room in the queue, then until it has left."""
        self._swarm._send(self, data, timeout)

    def open_stream(self, timeout: float | None = None) -> Stream:
        """Opens a stream, which the peer gets as an `IncomingStream` event; waits while too many are open.

        `NotSupportedError` for a peer that speaks only p2p-v12.
        """
        return self._swarm._open_stream(self, timeout)

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
IncomingStream = events.IncomingStream[Stream]
Event = events.Event[Peer]


class Swarm(ManagedSwarm):
    """Finds the programs that joined the same topic, and talks to them."""

    def __init__(self, opts: Mapping[str, Any] | None = None, /, **options: Unpack[SwarmOptions]) -> None:
        super().__init__(opts, options, self._new_peer, self._new_stream)
        self._descriptor = self._native.descriptor()
        self._changed = threading.Condition()
        self._reading = False
        self._events: deque[Event] = deque()
        self._lost: events.Lost | None = None
        self._operations = {}
        self._questions, self._rounds, self._source_failures = deque(), deque(), []
        #: Not read yet; of more than one only the last counts.
        self._change: events.Changed | None = None
        self._completions = 0
        self._end: events.Closed | None = None
        _live.add(self)

    def __enter__(self) -> Swarm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.destroy()

    def __iter__(self) -> Iterator[Event]:
        """Every event, until the swarm is closed."""
        while (event := self.poll(None)) is not None:
            yield event

    def poll(self, timeout: float | None = 0.0) -> Event | None:
        """The next event; None after `timeout` seconds without one, or once the swarm has ended.

        The default, 0, does not wait; None waits for as long as it takes. Listeners are called before it returns, and
        what one raises comes out of it.
        """
        with self._changed:
            self._read_until(lambda: bool(self._events), deadline_of(timeout))
            event = self._events.popleft() if self._events else None
            if event is self._lost:
                self._lost = None
            elif event is self._change:
                self._change = None
        if event is not None:
            self._notify(event)
        return event

    def destroy(self, *, force: bool = False) -> None:
        """Says goodbye to the peers, ends everything, returns when it is done. Twice is harmless.

        `force`: at once, without waiting for what is queued and without taking announcements back.
        """
        self._destroyed = True
        try:
            if force:
                self._native.close_now()
            else:
                self._native.close()
        except ClosedError:
            pass  # it has ended already
        with self._changed:
            self._read_until(lambda: self._end is not None, None)
        while self.poll() is not None:
            pass  # listeners hear of what was left, `on_save_peers` above all
        if self._source_failures:
            raise self._source_failures.pop(0)

    close = destroy

    def _new_peer(self, native: NativeSwarm, description: Mapping[str, Any]) -> Peer:
        return Peer(self, native, description)

    def _new_stream(self, native: NativeSwarm, peer: Peer, number: int) -> Stream:
        return Stream(self, native, peer, number)

    # -- reading the queue --------------------------------------------------

    def _read_until(self, ready: Callable[[], bool], deadline: float | None) -> bool:
        """Reads events until `ready`, called with the lock held. One thread reads; the others wait for it."""
        while not ready():
            if self._end is not None:
                return False
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining < 0:
                remaining = 0.0
            if self._reading:
                if remaining == 0.0 or not self._changed.wait(remaining):
                    return ready()
                continue
            self._read(remaining)
            if remaining == 0.0:
                return ready()
        return True

    def _read(self, timeout: float | None) -> None:
        """Waits for events and takes them in; the lock is free while it waits."""
        self._reading = True
        try:
            self._changed.release()
            try:
                # The library is asked first: it knows whether the swarm may be used in this process.
                batches = self._native.drain()
                if not batches and timeout != 0.0 and self._wait(timeout):
                    batches = self._native.drain()
            finally:
                self._changed.acquire()
            for record in records(batches):
                event = self._take(record)
                if event is not None:
                    self._keep(event)
        finally:
            self._reading = False
            self._changed.notify_all()
        if self._questions or self._rounds:
            self._changed.release()
            try:
                self._answer_questions()
                self._ask_source()
            finally:
                self._changed.acquire()

    def _wait(self, timeout: float | None) -> bool:
        """Whether events wait. The descriptor is used, because Ctrl-C ends this wait and not the library's own."""
        if hasattr(select, "poll"):
            poller = select.poll()
            poller.register(self._descriptor, select.POLLIN)
            return bool(poller.poll(None if timeout is None else min(timeout * 1000, MOST_POLL_MS)))
        return bool(select.select([self._descriptor], [], [], timeout)[0])

    def _keep(self, event: Event) -> None:
        if isinstance(event, events.Closed):
            self._end = event
            self._forget_all(event.error)
        elif isinstance(event, (events.Writable, events.Disconnection)):
            event.peer._room_count += 1
        elif isinstance(event, events.Changed):
            if self._change is not None:
                self._events.remove(self._change)
            self._change = event
        elif isinstance(event, _DROPPED) and len(self._events) >= BACKLOG:
            self._drop_oldest()
        self._events.append(event)

    def _drop_oldest(self) -> None:
        oldest = next((at for at, event in enumerate(self._events) if isinstance(event, _DROPPED)), None)
        if oldest is not None:
            dropped = self._events[oldest]
            del self._events[oldest]
            if not isinstance(dropped, events.Message):
                return
            if self._lost is None:
                self._lost = events.Lost(0)
                self._events.append(self._lost)
            self._lost.messages += 1

    # -- operations ---------------------------------------------------------

    def _completed(self, record: Record) -> None:
        self._completions += 1
        if record.tag in self._operations:
            self._operations[record.tag] = record

    def _await(self, tag: int, deadline: float | None) -> Record:
        with self._changed:
            if not self._read_until(lambda: self._operations[tag] is not None, deadline):
                if self._end is not None:
                    raise self._end.error or ClosedError(CLOSED, "the swarm was closed")
                raise SetowireTimeoutError(TIMED_OUT, "the message is queued but had not left in the given time")
            record = self._operations[tag]
            assert record is not None
            return record

    def _room_count(self, peer: Peer) -> int:
        """Goes up when a refused send may be tried again: the peer's queue has room, or there is one operation less."""
        return peer._room_count + self._completions

    def _await_room(self, peer: Peer, count: int, deadline: float | None) -> None:
        with self._changed:
            if not self._read_until(lambda: self._room_count(peer) != count, deadline) and self._end is None:
                raise SetowireTimeoutError(TIMED_OUT, f"the queue to {peer.id} stayed full for the given time")

    def _send(self, peer: Peer, data: Data, timeout: float | None) -> None:
        deadline = deadline_of(timeout)
        tag = next(self._tags)
        with self._changed:
            self._operations[tag] = None
        try:
            while True:
                count = self._room_count(peer)
                if self._native.send(peer.number, data, tag):
                    break
                self._await_room(peer, count, deadline)
            record = self._await(tag, deadline)
        finally:
            with self._changed:
                self._operations.pop(tag, None)
        if record.code < 0:
            raise peer_error(record.code, str(record.data))

    def _open_stream(self, peer: Peer, timeout: float | None) -> Stream:
        deadline = deadline_of(timeout)
        while True:
            count = self._room_count(peer)
            number = self._native.open_stream(peer.number)
            if number is not None:
                with self._changed:
                    return self._add_stream(peer, number)
            self._await_room(peer, count, deadline)

    def _await_change(self, ready: Callable[[], bool], deadline: float | None) -> bool:
        """Reads events until something of a stream has changed; false when the time is over before."""
        with self._changed:
            return self._read_until(ready, deadline) or self._end is not None

    def _tell(self, stream: Stream) -> None:
        """Something of a stream has changed without an event; a thread that waits for it looks again."""
        with self._changed:
            stream._on_readable()
            self._changed.notify_all()

    def _call(self, callback: Listener, arguments: tuple[object, ...]) -> None:
        """What a listener raises comes out of `poll`."""
        callback(*arguments)
