"""The synchronous `Stream`: a raw binary file whose calls wait, up to a time limit.

Everything that takes such files works with it: `shutil.copyfileobj`,
`io.BufferedReader`, `io.TextIOWrapper`, ``for line in stream``.
"""

from __future__ import annotations

import ctypes
import io
import threading
import time
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._handle import NativeSwarm, seconds
from ._stream import PIECE, StreamBase, as_bytes
from .errors import CLOSED, TIMED_OUT, PeerClosedError, SetowireError, SetowireTimeoutError

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

    from .sync import Peer, Swarm


class Stream(StreamBase, io.RawIOBase):
    """A stream of bytes to and from one peer; made by `peer.open_stream()`, or taken from an `IncomingStream` event.

    One thread may read while another writes. ``with`` closes it at the end, and
    gives it up if the block failed.
    """

    peer: Peer

    def __init__(self, swarm: Swarm, native: NativeSwarm, peer: Peer, number: int) -> None:
        StreamBase.__init__(self, native, peer, number)
        self._swarm = swarm
        self._timeout: float | None = None
        #: Read from the library and not yet by the application.
        self._ahead = b""
        self._scratch: Any = None
        #: One thread at a time reads, and one writes.
        self._read_turn = threading.Lock()
        self._write_turn = threading.Lock()
        #: Goes up with every event of the stream.
        self._changes = 0

    @property
    def timeout(self) -> float | None:
        """Seconds that each call may wait; None: as long as it takes."""
        return self._timeout

    def settimeout(self, timeout: float | None) -> None:
        """Limits the waiting of later calls, which then raise `TimeoutError`."""
        self._timeout = None if timeout is None else seconds(timeout)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    # -- reading ------------------------------------------------------------

    def read(self, n: int | None = -1) -> bytes:
        """Up to `n` bytes, as soon as there are some; all until the end without `n`. Empty: the peer has ended."""
        if n is None or n < 0:
            return self.readall()
        with self._read_turn:
            if n == 0:
                return b""
            if not self._ahead:
                return self._receive(n)
            data, self._ahead = self._ahead[:n], self._ahead[n:]
            return data

    def readall(self) -> bytes:
        """Everything until the peer's end. After an error what came before it can still be read."""
        with self._read_turn:
            parts = [self._ahead]
            try:
                while data := self._receive(PIECE):
                    parts.append(data)
            except BaseException:
                self._ahead = b"".join(parts)
                raise
            self._ahead = b""
            return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        """Fills the beginning of a buffer with what is there; the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def peek(self, n: int = 0) -> bytes:
        """Bytes that the next read begins with, at least one unless the peer has ended. `readline` uses it."""
        with self._read_turn:
            if not self._ahead:
                self._ahead = self._receive(PIECE)
            return self._ahead

    def _receive(self, most: int) -> bytes:
        """Bytes of the library, at least one; none at the end."""
        self._check_open()
        if self._scratch is None or len(self._scratch) < min(most, PIECE):
            self._scratch = ctypes.create_string_buffer(min(max(most, 4096), PIECE))
        deadline = self._deadline()
        while True:
            changes = self._changes
            count = self._pull(self._scratch, min(most, PIECE))
            if count is not None:
                return ctypes.string_at(self._scratch, count)
            self._await(lambda: self._changes != changes, deadline, "nothing came")

    # -- writing ------------------------------------------------------------

    def write(self, data: Buffer) -> int:
        """Waits until the library has taken everything; the number of bytes."""
        view = as_bytes(data)
        with self._write_turn:
            self._check_open()
            self._check_writable()
            deadline = self._deadline()
            at = 0
            while True:
                changes = self._changes
                at = self._push(view, at)
                if at == len(view):
                    return at
                self._await(lambda: self._changes != changes, deadline, f"{at} of {len(view)} bytes were taken")

    def write_eof(self) -> None:
        """Ends our direction: the peer reads what was written, then the end. Twice is harmless; reading goes on."""
        if self._unwritable is None:
            self._send_end()

    # -- the end ------------------------------------------------------------

    def close(self) -> None:
        """Ends our direction after what was written, and wants nothing more of the peer's."""
        if not self.closed:
            self.write_eof()
            self.stop_receiving()
            io.RawIOBase.close(self)

    def wait_closed(self, timeout: float | None = None) -> None:
        """Waits until both directions are over: the peer has all that was written, and its end was read or not wanted.

        Raises `PeerClosedError` when the peer left before that; what had come of it can be read still.
        """
        deadline = None if timeout is None else time.monotonic() + seconds(timeout)
        self._await(lambda: self._over or self._forsaken, deadline, "the peer has not acknowledged everything")
        if self._lost or self._forsaken:
            raise PeerClosedError(CLOSED, "the peer left before the stream was closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.reset()
        self.close()

    def __del__(self) -> None:
        if self._abandon():
            warnings.warn(f"{self!r} was not closed; use `with`, or close()", ResourceWarning, stacklevel=2)

    # -- events, called by the swarm with its lock held ---------------------

    def _on_readable(self) -> None:
        self._changes += 1

    _on_writable = _on_readable
    _on_peer_gone = _on_readable

    def _on_closed(self, code: int) -> None:
        super()._on_closed(code)
        self._changes += 1

    def _on_swarm_closed(self, failure: SetowireError) -> None:
        super()._on_swarm_closed(failure)
        self._changes += 1

    # -- waiting ------------------------------------------------------------

    def _stopped_reading(self) -> None:
        self._swarm._tell(self)

    _give_up_sending = _stopped_reading

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on a closed stream")

    def _deadline(self) -> float | None:
        return None if self._timeout is None else time.monotonic() + self._timeout

    def _await(self, ready: Callable[[], bool], deadline: float | None, what: str) -> None:
        if not self._swarm._await_change(ready, deadline):
            raise SetowireTimeoutError(TIMED_OUT, f"{what} in the given time")
