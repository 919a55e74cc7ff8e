"""The native swarm as a Python object: typed calls, and a safe end.

No call blocks but `wait`. The pointer is released exactly once and never while
a thread is inside a call; after that every call raises `ClosedError`. In the
child of a fork every call raises `ForkedError`. A swarm that was forgotten is
closed when it is collected (with a `ResourceWarning`), and all that live are
closed before the interpreter ends: the library's threads never enter Python,
so nothing else is needed for a clean exit.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ._native import PeerInfo, SwarmInfo, SwarmStats, c_data, c_text, check, last_error_text, library
from ._options import native_config
from ._records import Record, parse
from .errors import CLOSED, FORKED, INTERNAL, TOO_SMALL, ClosedError, ForkedError, InternalError, peer_error

#: Bytes read from the queue at once: the largest v12 message and its header fit; some
#: hundred small events, a millisecond of work for the event loop.
DRAIN_BYTES = 128 << 10
#: Milliseconds that mean "no limit" to the library.
FOREVER_MS = 0xFFFF_FFFF
#: Seconds the end of the process waits for threads that are inside a call.
EXIT_WAIT = 1.0

Data = bytes | bytearray | memoryview


class Handle:
    """The pointer, and how many threads are inside a call with it.

    ``with handle as pointer:`` around each call.
    """

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer
        self._users = 0
        self.released = False
        self.forked = False
        self._idle = threading.Condition(threading.Lock())

    def __enter__(self) -> int:
        if self.forked:
            raise ForkedError(
                FORKED, "this swarm belongs to the parent process; make a new one here, or start children with 'spawn'"
            )
        with self._idle:
            if self.released:
                raise ClosedError(CLOSED, "the swarm is closed")
            self._users += 1
        return self._pointer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._idle:
            self._users -= 1
            last = self.released and self._users == 0
        if last:
            self._free()

    def release(self) -> None:
        """Frees the native swarm now, or when the last call that uses it returns."""
        with self._idle:
            if self.released:
                return
            self.released = True
            unused = self._users == 0
        if unused:
            self._free()
        else:
            library().setowire_event_wake(self._pointer)

    def close(self) -> None:
        """Begins the graceful end; `release` does it too."""
        with self._idle:
            if self.released or self.forked:
                return
            self._users += 1
        library().setowire_swarm_close(self._pointer)
        self.__exit__(None, None, None)

    def wait_freed(self, deadline: float) -> None:
        with self._idle:
            while self._users > 0:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return
                self._idle.wait(remaining)

    def after_fork(self) -> None:
        """In the child: threads that were inside are not here."""
        self.forked = True
        self._users = 0
        self._idle = threading.Condition(threading.Lock())

    def _free(self) -> None:
        library().setowire_swarm_free(self._pointer)
        with self._idle:
            self._idle.notify_all()


_live: weakref.WeakSet[Handle] = weakref.WeakSet()
_exiting = False


def _at_exit() -> None:
    global _exiting
    _exiting = True
    handles = list(_live)
    for handle in handles:  # all say goodbye at the same time, then each is waited for
        handle.close()
    deadline = time.monotonic() + EXIT_WAIT
    for handle in handles:
        handle.release()
        handle.wait_freed(deadline)


def _after_fork_in_child() -> None:
    for handle in list(_live):
        handle.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)


def _forgotten(handle: Handle) -> None:
    forgotten = not (handle.released or handle.forked or _exiting)
    handle.release()
    if forgotten:
        warnings.warn("a setowire swarm was not closed; use `with`, or destroy()", ResourceWarning, stacklevel=2)


class NativeSwarm:
    """One `setowire_swarm`. Errors come as exceptions, times in seconds."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._lib = library()
        config = native_config(options)
        pointer = ctypes.c_void_p()
        try:
            check(self._lib.setowire_swarm_new(config, ctypes.byref(pointer)))
        finally:
            self._lib.setowire_config_free(config)
        if not pointer.value:
            raise InternalError(INTERNAL, "setowire_swarm_new gave no swarm")
        self._handle = Handle(pointer.value)
        _live.add(self._handle)
        weakref.finalize(self, _forgotten, self._handle).atexit = False  # `_at_exit` does that
        self._buffer = ctypes.create_string_buffer(DRAIN_BYTES)

    def close(self) -> None:
        self._handle.close()

    def release(self) -> None:
        self._handle.release()

    def join(self, topic: bytes) -> int:
        number = ctypes.c_uint64()
        with self._handle as swarm:
            check(self._lib.setowire_swarm_join(swarm, topic, len(topic), ctypes.byref(number)))
        return number.value

    def leave(self, topic: bytes) -> None:
        with self._handle as swarm:
            check(self._lib.setowire_swarm_leave(swarm, topic, len(topic)))

    def close_topic(self, number: int) -> None:
        with self._handle as swarm:
            check(self._lib.setowire_topic_close(swarm, number))

    def connect(self, address: str, timeout: float | None, tag: int) -> int:
        """Begins a connect; its OP_DONE carries `tag`. No timeout: the library's own."""
        number = ctypes.c_uint64()
        with self._handle as swarm:
            check(
                self._lib.setowire_swarm_connect(
                    swarm, c_text("address", address), milliseconds(timeout, 0), tag, ctypes.byref(number)
                )
            )
        return number.value

    def cancel(self, operation: int) -> None:
        with self._handle as swarm:
            self._lib.setowire_op_cancel(swarm, operation)  # one that has ended already is no error

    def broadcast(self, data: Data) -> int:
        pointer, length = c_data(data)
        with self._handle as swarm:
            return check(self._lib.setowire_swarm_broadcast(swarm, pointer, length))

    def send(self, peer: int, data: Data, tag: int) -> None:
        pointer, length = c_data(data)
        with self._handle as swarm:
            self._check_peer(self._lib.setowire_peer_send(swarm, peer, pointer, length, tag))

    def buffered(self, peer: int) -> int:
        size = ctypes.c_size_t()
        with self._handle as swarm:
            self._check_peer(self._lib.setowire_peer_buffered(swarm, peer, ctypes.byref(size)))
        return size.value

    def close_peer(self, peer: int) -> None:
        with self._handle as swarm:
            self._check_peer(self._lib.setowire_peer_close(swarm, peer))

    def peer_info(self, peer: int) -> PeerInfo:
        out = PeerInfo(struct_size=ctypes.sizeof(PeerInfo))
        with self._handle as swarm:
            self._check_peer(self._lib.setowire_peer_info(swarm, peer, ctypes.byref(out)))
        return out

    def info(self) -> SwarmInfo:
        out = SwarmInfo(struct_size=ctypes.sizeof(SwarmInfo))
        with self._handle as swarm:
            check(self._lib.setowire_swarm_info(swarm, ctypes.byref(out)))
        return out

    def stats(self) -> SwarmStats:
        out = SwarmStats(struct_size=ctypes.sizeof(SwarmStats))
        with self._handle as swarm:
            check(self._lib.setowire_swarm_stats(swarm, ctypes.byref(out)))
        return out

    def network_changed(self) -> None:
        with self._handle as swarm:
            check(self._lib.setowire_swarm_network_changed(swarm))

    def descriptor(self) -> int:
        """Readable while events wait; only `drain` changes that."""
        number = ctypes.c_ssize_t()
        with self._handle as swarm:
            check(self._lib.setowire_event_fd(swarm, ctypes.byref(number)))
        return number.value

    def wait(self) -> bool:
        """Blocks until there are events (true), or the swarm is released (false)."""
        with self._handle as swarm:
            return check(self._lib.setowire_event_wait(swarm, FOREVER_MS)) == 1

    def drain(self) -> list[Record]:
        """The events that wait, as many as fit in one read. One thread at a time."""
        written = ctypes.c_size_t()
        with self._handle as swarm:
            while True:
                buffer = self._buffer
                code = self._lib.setowire_event_drain(swarm, buffer, len(buffer), ctypes.byref(written))
                if code != TOO_SMALL or written.value <= len(buffer):
                    break
                self._buffer = ctypes.create_string_buffer(written.value)
            check(code)
        return list(parse(memoryview(buffer)[: written.value]))

    @staticmethod
    def _check_peer(code: int) -> None:
        if code < 0:
            raise peer_error(code, last_error_text())


def milliseconds(timeout: float | None, default: int) -> int:
    """Seconds as the library takes them: at least 1 ms, infinity as no limit."""
    if timeout is None:
        return default
    return FOREVER_MS if timeout * 1000 >= FOREVER_MS else max(1, int(timeout * 1000))
