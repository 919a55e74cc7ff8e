"""The bounded queue between a swarm and one `async for`, of messages or of datagrams.

While somebody iterates, a full inbox asks the swarm to stop reading, so a slow
consumer slows its sources down and memory stays bounded. While nobody does, the
newest messages are kept: a message that comes between `join` and the loop, or
between two loops, is not lost. Beyond its limit the oldest are dropped and
counted. One that is not patient, as datagrams have it, never asks and drops.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, Protocol, TypeVar

from .errors import SetowireError


class Item(Protocol):
    data: bytes


ItemT = TypeVar("ItemT", bound=Item)

#: A full inbox: so many messages, or bytes of them.
INBOX_ITEMS = 1024
INBOX_BYTES = 4 << 20
#: The hard limit: reading goes on although an inbox is full while the
#: application awaits an operation, whose end comes through the same queue.
OVERFLOW = 16


class Inbox(Generic[ItemT]):
    """Messages for one topic or one swarm, read by any number of iterators."""

    def __init__(self, on_room: Callable[[], None], reading: set[Inbox[ItemT]], patient: bool = True) -> None:
        #: Where it is listed while it has readers.
        self._reading = reading
        self._patient = patient
        self._messages: deque[ItemT] = deque()
        self._bytes = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._on_room = on_room
        self._error: SetowireError | None = None
        self._finished = False
        #: Iterators that exist.
        self.readers = 0

    @property
    def full(self) -> bool:
        """It has readers, and they lag."""
        return self.readers > 0 and self._patient and self._over(1)

    def put(self, message: ItemT) -> int:
        """Takes a message; the number of messages dropped for it."""
        self._messages.append(message)
        self._bytes += len(message.data)
        dropped = 0
        while self._over(OVERFLOW if self.readers and self._patient else 1) and len(self._messages) > 1:
            self._bytes -= len(self._messages.popleft().data)
            dropped += 1
        self._wake(1)
        return dropped if self.readers else 0

    def finish(self, error: SetowireError | None) -> None:
        """Nothing more comes: iterators end once they have read what is there."""
        if not self._finished:
            self._finished = True
            self._error = error
            self._wake(len(self._waiters))

    async def get(self) -> ItemT:
        while not self._messages:
            if self._finished:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and self._messages:
                    self._wake(1)  # the wake-up was ours: hand it on
                raise
        was_full = self.full
        message = self._messages.popleft()
        self._bytes -= len(message.data)
        if was_full and not self.full:
            self._on_room()
        return message

    def reader_added(self) -> None:
        self.readers += 1
        self._reading.add(self)

    def reader_gone(self) -> None:
        was_full = self.full
        self.readers -= 1
        if not self.readers:
            self._reading.discard(self)
        if was_full:
            self._on_room()

    def _over(self, factor: int) -> bool:
        return len(self._messages) >= INBOX_ITEMS * factor or self._bytes >= INBOX_BYTES * factor

    def _wake(self, count: int) -> None:
        while count > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1


class Iteration(AsyncIterator[ItemT]):
    """The iterator of one `async for`; while it exists the inbox holds its sources back."""

    def __init__(self, inbox: Inbox[ItemT]) -> None:
        self._inbox = inbox
        inbox.reader_added()
        self._open = True

    def __aiter__(self) -> Iteration[ItemT]:
        return self

    async def __anext__(self) -> ItemT:
        if not self._open:
            raise StopAsyncIteration
        return await self._inbox.get()

    def close(self) -> None:
        """Ends it; leaving the loop does so too."""
        if self._open:
            self._open = False
            self._inbox.reader_gone()

    def __del__(self) -> None:
        self.close()
