"""What the asyncio and the synchronous `Stream` have in common.

A stream carries bytes in both directions, each of which ends by itself. The
library takes and gives what there is room for; the subclasses do the waiting.
Kept here: why a direction is over, so that the next call on it can say so.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from ._handle import END_FINISHED, END_RESET
from .errors import (
    CLOSED,
    NOT_FOUND,
    ClosedError,
    PeerClosedError,
    SetowireError,
    StreamResetError,
    StreamStoppedError,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._handle import NativeSwarm
    from .peer import PeerBase

#: Bytes given to the library at once, and read from it at once: what it takes of a long write is copied no more than once.
PIECE = 256 << 10


#: Why nothing can be written after `write_eof`.
ENDED = "the end of our direction of the stream was written"


def as_bytes(data: Buffer) -> bytes | memoryview:
    """Bytes, or a view of them, of which pieces can be cut without a copy."""
    if isinstance(data, bytes):
        return data
    try:
        return memoryview(data).cast("B")
    except TypeError:
        raise TypeError(f"data: bytes, bytearray or memoryview are wanted, not {type(data).__name__}") from None


class StreamBase:
    """One stream of a peer."""

    #: The other end.
    peer: PeerBase

    def __init__(self, native: NativeSwarm, peer: PeerBase, number: int) -> None:
        self._native = native
        self.peer = peer
        #: The library's number for this stream; never used again for another.
        self.number = number
        #: Why nothing more can be written, or read. None: it can.
        self._unwritable: SetowireError | None = None
        self._unreadable: SetowireError | None = None
        #: We ended or reset our direction.
        self._finished = False
        #: The peer's direction has come to its regular end.
        self._ended = False
        #: The library has forgotten it: both directions are over, or the peer is gone.
        self._over = False
        #: The peer went before both directions were over.
        self._lost = False

    def reset(self, code: int = 0) -> None:
        """Gives up our direction: the peer reads a reset with this code, and not all that was written.

        A direction that is over already is no error. Reading goes on.
        """
        self._finished = True
        if self._unwritable is None:
            self._unwritable = ClosedError(CLOSED, "our direction of the stream was reset")
        if not self._over:
            self._ask(self._native.reset_stream, code)
        self._give_up_sending()

    def stop_receiving(self, code: int = 0) -> None:
        """Wants nothing more of the peer's direction: what was not read is thrown away, and the peer's writes fail.

        A direction that is over already is no error. Writing goes on.
        """
        if self._reading:
            self._unreadable = ClosedError(CLOSED, "reading from the stream was stopped")
            self._ask(self._native.stop_stream, code)
            self._stopped_reading()

    def set_priority(self, priority: int) -> None:
        """Which of the streams to this peer goes first: higher ones do, 0 at first, messages have 1."""
        self._native.set_stream_priority(self.number, priority)

    # -- events, called by the swarm ----------------------------------------

    @abstractmethod
    def _on_readable(self) -> None:
        """A read that found too little may find more, or the end."""

    @abstractmethod
    def _on_writable(self) -> None:
        """A write that was not taken in full may be taken now, or fails because the peer stopped reading."""

    @abstractmethod
    def _on_peer_gone(self) -> None:
        """The peer has left. What had come of it can be read still, and the last event comes when that was done."""

    def _on_closed(self, code: int) -> None:
        """The last event of this stream. A code: the peer went first."""
        if code:
            self._lose(PeerClosedError(NOT_FOUND, "the connection ended before the stream did"))
        self._over = True

    def _on_swarm_closed(self, failure: SetowireError) -> None:
        """Nothing of the swarm is left."""
        if not self._over:
            self._lose(failure)
            self._over = True

    # -- for the subclasses -------------------------------------------------

    @property
    def _reading(self) -> bool:
        """The end of the peer's direction has not been read."""
        return self._unreadable is None and not self._ended

    @property
    def _forsaken(self) -> bool:
        """The peer has left, and it is for the reader alone to end the stream."""
        return not self._over and self._reading and not self.peer.connected

    def _give_up_sending(self) -> None:
        """What waits here to be written will not be."""

    def _stopped_reading(self) -> None:
        """Those who wait for bytes are to hear of it."""

    def _ask(self, call: Any, *arguments: int) -> None:
        """A call about a direction that may be over by now, or with it the peer or the swarm."""
        try:
            call(self.number, *arguments)
        except (ClosedError, PeerClosedError):
            pass

    def _send_end(self) -> None:
        self._finished = True
        self._unwritable = ClosedError(CLOSED, ENDED)
        self._ask(self._native.finish_stream)

    def _check_writable(self) -> None:
        if self._unwritable is not None:
            raise copy.copy(self._unwritable)

    def _push(self, data: bytes | memoryview, at: int) -> int:
        """Hands over what the library takes of `data` from `at` on; the new `at`."""
        length = len(data)
        try:
            while at < length:
                piece = data if at == 0 and length <= PIECE else data[at : at + PIECE]
                taken = self._native.write_stream(self.number, piece)
                at += taken
                if taken < len(piece):
                    break
        except (PeerClosedError, ClosedError) as refused:
            if self._unwritable is None:
                self._unwritable = self._why_refused(refused)
            self._check_writable()
        return at

    def _pull(self, buffer: Any, most: int) -> int | None:
        """Reads at most so much into a ctypes buffer: the number of bytes, 0 at the end, None if nothing is there yet."""
        if self._unreadable is not None:
            raise copy.copy(self._unreadable)
        if self._ended:
            return 0
        try:
            count, end, code = self._native.read_stream(self.number, buffer, most)
        except PeerClosedError:
            self._unreadable = PeerClosedError(NOT_FOUND, "the connection ended before the stream did")
            raise copy.copy(self._unreadable) from None
        if end == END_FINISHED:
            self._ended = True
        elif end == END_RESET:
            self._unreadable = StreamResetError(CLOSED, f"the peer reset the stream with code {code}", code)
            if not count:
                raise copy.copy(self._unreadable)
        return count if count or end else None

    def _lose(self, failure: SetowireError) -> None:
        self._lost = True
        if self._unwritable is None:
            self._unwritable = failure
        if self._reading:
            self._unreadable = failure

    def _why_refused(self, refused: SetowireError) -> SetowireError:
        """Why the library takes nothing more for a direction that we did not end: the other end of it did, or is gone."""
        try:
            self._native.peer_info(self.peer.number)
        except (PeerClosedError, ClosedError) as gone:
            return gone
        detail = refused.detail if isinstance(refused, ClosedError) else "the peer stopped reading"
        return StreamStoppedError(CLOSED, detail)

    def _abandon(self) -> bool:
        """Gives up what is open of a stream that nobody holds any more; whether anything was."""
        is_open = not self._over and (self._unwritable is None or self._reading)
        if is_open and self._unwritable is None:
            self._ask(self._native.reset_stream, 0)
        if is_open and self._reading:
            self._ask(self._native.stop_stream, 0)
        return is_open

    def __repr__(self) -> str:
        sending = "" if self._unwritable is None else " not writable"
        reading = "" if self._reading else " read to its end" if self._ended else " not readable"
        return f"<Stream {self.number} of {self.peer.id}{sending}{reading}>"
