"""`Peer.write` of asyncio: small messages that are written one after the other go to the library together.

A call into the library costs ten times what it costs to put a message into a list,
most of all while the network thread is at work for the same peer. So who has written
`ALONE` messages gathers: what follows goes when the turn of the loop ends, or when it is
a batch. Who writes a few at a time is not delayed: they go at once. What the library has
no room for stays here, at most a batch, and `write` refuses more.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
from array import array
from collections.abc import Callable
from threading import RLock, get_ident

from ._handle import Data, NativeSwarm
from .errors import ClosedError, ForkedError, MessageTooLargeError, PeerClosedError, SetowireError

#: Messages that go at once before others are gathered.
ALONE = 16
#: Messages that go together, and bytes below which a message is small: at most 128 KiB wait here.
BATCH = 128
SMALL = 1024

#: Those with messages that the library has not taken.
_unsent: set[Gather] = set()


@atexit.register
def _at_exit() -> None:
    """A program that ends in the middle of a turn sends what it has written, as it sends what the library holds."""
    for gather in list(_unsent):
        gather.flush()


def _after_fork_in_child() -> None:
    """What was written in the parent is sent by the parent; its threads, and the locks they hold, do not exist here."""
    for gather in _unsent:
        gather.forget()
    _unsent.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Gather:
    """What was written to one peer and not handed to the library yet."""

    def __init__(self, native: NativeSwarm, peer: int, loop: asyncio.AbstractEventLoop) -> None:
        self._native = native
        self._peer = peer
        self._loop = loop
        self._thread = get_ident()
        self._waiting: list[bytes] = []
        #: Messages that still go at once.
        self._alone = ALONE
        #: `_turn_ended` will be called, and hands over all that is put into the list before it begins.
        self._scheduled = False
        self._handing_over = RLock()

    def writer(self) -> Callable[[Data], bool]:
        """`Peer.write`, which any thread may call."""
        waiting, gather = self._waiting, self._waiting.append
        direct, flush = self._native.writer(self._peer), self.flush

        def write(data: Data) -> bool:
            if self._alone > 0 and not waiting:
                self._alone -= 1
                return direct(data)
            if type(data) is not bytes or len(data) >= SMALL:
                return flush() and direct(data)
            if len(waiting) >= BATCH and not flush() and len(waiting) >= BATCH:
                return False
            gather(data)
            if not self._scheduled:
                self._schedule()
            return True

        return write

    def _schedule(self) -> None:
        self._scheduled = True
        _unsent.add(self)
        loop = self._loop
        soon = loop.call_soon if get_ident() == self._thread else loop.call_soon_threadsafe
        try:
            soon(self._turn_ended)
        except RuntimeError:  # the loop is closed
            self._turn_ended()

    @property
    def buffered(self) -> int:
        """Bytes that the library has not taken."""
        return sum(map(len, self._waiting))

    def flush(self) -> bool:
        """Hands over what was gathered. Whether nothing is left; else the `writable` event of the peer follows."""
        with self._handing_over:
            while batch := self._waiting[:]:
                queued, failure = self._native.send_many(self._peer, b"".join(batch), array("I", map(len, batch)))
                del self._waiting[:queued]
                if isinstance(failure, (PeerClosedError, ClosedError, ForkedError)):
                    self.end()  # as what the library holds for a peer that leaves
                elif failure is not None:
                    self._report(failure, len(batch) - queued)
                elif queued < len(batch):
                    return False
        _unsent.discard(self)
        return True

    def forget(self) -> None:
        self._waiting.clear()
        self._handing_over = RLock()

    def end(self) -> None:
        """The peer has left: nothing is kept for it, and what is still written is refused."""
        self._waiting.clear()
        self._alone = sys.maxsize
        _unsent.discard(self)

    def _report(self, failure: SetowireError, left: int) -> None:
        """What was written is not sent after all, as when the peer takes less than when it was written."""
        lost = 1 if isinstance(failure, MessageTooLargeError) else left
        del self._waiting[:lost]
        self._loop.call_exception_handler(
            {"message": f"{lost} messages that were written to peer {self._peer} were not sent", "exception": failure}
        )

    def _turn_ended(self) -> None:
        self._scheduled = False
        few = len(self._waiting) < ALONE
        if self.flush() and few:
            self._alone = max(self._alone, ALONE)
