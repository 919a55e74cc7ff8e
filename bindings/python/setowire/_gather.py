"""`Peer.write` of asyncio: small messages that are written one after the other go to the library together.

A call into the library costs ten times what it costs to put a message into a list,
most of all while the network thread is at work for the same peer. So who has written
`ALONE` messages gathers: what follows goes when the turn of the loop ends, or when it is
a batch. Who writes a few at a time is not delayed: they go at once. Nothing is gathered
while the library may have no room, and what was gathered it takes even beyond its limit:
nothing that was written waits here longer than a turn.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import os
import sys
import weakref
from array import array
from asyncio import _get_running_loop as running_loop
from collections.abc import Callable
from threading import RLock, get_ident

from ._handle import Data, NativeSwarm
from .errors import ClosedError, ForkedError, MessageTooLargeError, PeerClosedError, SetowireError

#: Messages that go at once before others are gathered.
ALONE = 16
#: Messages that go together, and bytes below which a message is small: as much as one call takes.
BATCH = 128
SMALL = 960

#: All that live.
_gathers: weakref.WeakSet[Gather] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    """A program that ends in the middle of a turn sends what it has written, as it sends what the library holds."""
    for gather in list(_gathers):
        gather.flush()


def _after_fork_in_child() -> None:
    """What was written in the parent is sent by the parent; its threads, and the locks they hold, do not exist here."""
    for gather in list(_gathers):
        gather.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Gather:
    """What was written to one peer in this turn and not handed to the library yet."""

    def __init__(self, native: NativeSwarm, peer: int, loop: asyncio.AbstractEventLoop, *, gathers: bool = True) -> None:
        self._native = native
        self._peer = peer
        self._loop = loop
        self._waiting: list[bytes] = []
        #: Messages that still go at once.
        self._alone = ALONE if gathers else sys.maxsize
        #: The library said that it has no room; the `writable` event of the peer follows.
        self._full = False
        #: `_turn_ended` will be called, and hands over all that is put into the list before it begins.
        self._scheduled = False
        #: A batch went in this turn.
        self._batches = False
        self._handing_over = RLock()
        #: The thread that does.
        self._holder = 0
        _gathers.add(self)

    def __del__(self) -> None:
        self.flush()

    def writer(self) -> Callable[[Data], bool]:
        """`Peer.write`, which any thread may call."""
        waiting, gather = self._waiting, self._waiting.append
        direct, flush = self._native.writer(self._peer), self.flush

        def write(data: Data) -> bool:
            if self._alone > 0 and not waiting:
                self._alone -= 1
            elif type(data) is bytes and len(data) < SMALL and not self._full:
                gather(data)
                if not self._scheduled:
                    self._schedule()
                elif len(waiting) >= BATCH:
                    self._batches = True
                    flush()
                return True
            elif flush():
                self._alone = max(self._alone, 1)  # whether there is room after a large one tells the next
            else:
                return False
            if direct(data):
                return True
            self._full = True
            return False

        return write

    def _schedule(self) -> None:
        self._scheduled = True
        loop = self._loop
        try:
            if running_loop() is loop:
                loop.call_soon(self._turn_ended)
            else:
                loop.call_soon_threadsafe(self._turn_ended)
        except RuntimeError:  # the loop is closed
            self._turn_ended()

    def flush(self) -> bool:
        """Hands over what was gathered. Whether nothing is left.

        Something is left for whoever is handing over already in this thread, which a signal handler or a finalizer has
        interrupted; and if the queue was filled by another thread, until the peer is writable.
        """
        waiting, failures = self._waiting, list[SetowireError]()
        while waiting:
            if self._holder == get_ident():
                return False
            with self._handing_over:
                self._holder = get_ident()
                try:
                    refused = self._hand_over(waiting, failures)
                finally:
                    self._holder = 0
            if refused:
                break
        for failure in failures:
            self._report(failure)
        return not waiting

    def _hand_over(self, waiting: list[bytes], failures: list[SetowireError]) -> bool:
        """One batch. Whether the library had no room for all of it."""
        batch = waiting[:BATCH]
        queued = ctypes.c_size_t()
        try:
            sizes = array("I", map(len, batch))
            room, failure = self._native.send_many(self._peer, b"".join(batch), sizes, queued)
        finally:  # also when a signal handler raises
            del waiting[: queued.value]
        if not room:
            self._full = True
        if isinstance(failure, (PeerClosedError, ClosedError, ForkedError)):
            self.end()  # as what the library holds for a peer that leaves
        elif isinstance(failure, MessageTooLargeError):  # the peer takes less than when it was written
            del waiting[:1]
            failures.append(failure)
        elif failure is not None:
            waiting.clear()
            failures.append(failure)
        return not room and queued.value < len(batch)

    def _report(self, failure: SetowireError) -> None:
        what = {"message": f"something written to peer {self._peer} was not sent", "exception": failure}
        try:
            self._loop.call_soon_threadsafe(self._loop.call_exception_handler, what)
        except RuntimeError:  # the loop is closed
            self._loop.call_exception_handler(what)

    def sent(self, taken: bool) -> None:
        """Something else was sent to the peer, or there was no room for it."""
        self._full |= not taken
        self._alone = max(self._alone, 1)

    def writable(self) -> bool:
        """There may be room again. Whether nothing is left that needs it."""
        self._full = False
        if not self.flush():
            return False
        self._alone = max(self._alone, 1)
        return True

    def end(self) -> None:
        """The peer has left: nothing is kept for it, and what is still written is refused."""
        self._waiting.clear()
        self._alone = sys.maxsize

    def forget(self) -> None:
        """This is a copy in the child of a fork."""
        self.end()
        self._scheduled = False
        self._handing_over, self._holder = RLock(), 0

    def _turn_ended(self) -> None:
        self._scheduled = False
        few = len(self._waiting) < ALONE and not self._batches
        self._batches = False
        if self.flush() and few:
            self._alone = max(self._alone, ALONE)
