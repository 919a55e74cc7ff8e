"""The native swarm as a Python object: typed calls, and a safe end.

No call blocks but `wait`. The library itself refuses calls on a swarm that was
freed (`ClosedError`) or that belongs to the parent of a fork (`ForkedError`),
from whatever thread they come. A swarm that was forgotten is closed when it is
collected, with a `ResourceWarning`, and all that live are closed before the
interpreter ends. The library's threads never enter Python, so nothing else is
needed for a clean exit.
"""

from __future__ import annotations

import atexit
import ctypes
import warnings
import weakref
from array import array
from collections.abc import Callable, Mapping
from typing import Any, Union

from ._control import Begin, NativeControl
from ._native import (
    PeerDetails,
    SwarmCounters,
    SwarmDetails,
    c_data,
    c_text,
    check,
    fast_send,
    last_error_text,
    library,
)
from ._options import native_config
from ._records import Batch, parse
from .errors import (
    INTERNAL,
    INVALID,
    TOO_SMALL,
    WOULD_BLOCK,
    ClosedError,
    InternalError,
    InvalidArgumentError,
    PeerClosedError,
    SetowireError,
    peer_error,
)

#: Bytes read from the queue at once: the largest v12 message and its header fit; some
#: hundred small events, a millisecond of work for the event loop.
DRAIN_BYTES = 128 << 10
#: Milliseconds that mean "no limit" to the library.
FOREVER_MS = 0xFFFF_FFFF

#: Messages below this many bytes are sent with a length that was converted before.
SMALL = 2048
_LENGTHS = tuple(map(ctypes.c_size_t.from_param, range(SMALL)))

#: How a stream's incoming direction ended: not yet, by its end, or by a reset.
END_NONE = 0
END_FINISHED = 1
END_RESET = 2

Data = Union[bytes, bytearray, memoryview]

#: The pointers of the swarms that were not freed.
_live: set[int] = set()


def _at_exit() -> None:
    swarms = list(_live)
    for swarm in swarms:  # all say goodbye at the same time, then each is waited for
        library().setowire_swarm_close(swarm)
    for swarm in swarms:
        _free(swarm)


atexit.register(_at_exit)


def _free(swarm: int) -> bool:
    """Frees a swarm unless that was done; whether it was not."""
    try:
        _live.remove(swarm)
    except KeyError:
        return False
    library().setowire_swarm_free(swarm)
    return True


def _forgotten(swarm: int) -> None:
    if _free(swarm):
        warnings.warn("a setowire swarm was not closed; use `with`, or destroy()", ResourceWarning, stacklevel=2)


class NativeSwarm(NativeControl):
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
        self._swarm = pointer.value
        _live.add(self._swarm)
        weakref.finalize(self, _forgotten, self._swarm).atexit = False  # `_at_exit` does that
        self._buffer = ctypes.create_string_buffer(DRAIN_BYTES)
        self._written = ctypes.c_size_t()
        self._written_out = ctypes.byref(self._written)
        # What runs for every message, looked up once.
        self._peer_send = self._lib.setowire_peer_send
        self._stream_write = self._lib.setowire_stream_write
        self._stream_read = self._lib.setowire_stream_read

    def close(self) -> None:
        """Begins the graceful end."""
        check(self._lib.setowire_swarm_close(self._swarm))

    def release(self) -> None:
        """Frees the native swarm; calls that are in it return."""
        _free(self._swarm)

    def broadcast_topic(self, number: int, data: Data) -> int:
        pointer, length = c_data(data)
        return check(self._lib.setowire_topic_broadcast(self._swarm, number, pointer, length))

    def connect(self, address: str | None, key: bytes | None, timeout: float | None) -> Begin:
        """Without an address the network is asked where the peer with that key is. No timeout: the library's own."""
        limit, named = milliseconds(timeout, 0), (key, len(key or b""))
        if address is None:
            return lambda tag: self._begin(self._lib.setowire_swarm_connect_peer, *named, limit, tag)
        where = c_text("address", address)
        if key is None:
            return lambda tag: self._begin(self._lib.setowire_swarm_connect, where, limit, tag)
        return lambda tag: self._begin(self._lib.setowire_swarm_connect_key, where, *named, limit, tag)

    def cancel(self, operation: int) -> None:
        self._lib.setowire_op_cancel(self._swarm, operation)  # one that has ended already is no error

    def broadcast(self, data: Data) -> int:
        pointer, length = c_data(data)
        return check(self._lib.setowire_swarm_broadcast(self._swarm, pointer, length))

    def send(self, peer: int, data: Data, tag: int) -> bool:
        """Queues a message; false when the queue is full. With a tag, an OP_DONE tells when it has left."""
        if type(data) is bytes:
            code = self._peer_send(self._swarm, peer, data, len(data), tag)
        else:
            pointer, length = c_data(data)
            code = self._peer_send(self._swarm, peer, pointer, length, tag)
        if code < 0:
            if code == WOULD_BLOCK:
                return False
            raise peer_error(code, last_error_text())
        return True

    def writer(self, peer: int) -> Callable[[Data], bool]:
        """`PeerBase.write` of one peer. It runs for many messages, and most of a call is the conversion of its arguments:
        they are made once, those for the length of small messages for all."""
        call, lengths, small, send = fast_send(), _LENGTHS, SMALL, self.send
        swarm, number = ctypes.c_void_p.from_param(self._swarm), ctypes.c_uint64.from_param(peer)
        no_tag = ctypes.c_uint64.from_param(0)

        def write(data: Data) -> bool:
            if type(data) is bytes and (length := len(data)) < small:
                code = call(swarm, number, data, lengths[length], no_tag)
                if code == 0:
                    return True
                if code == WOULD_BLOCK:
                    return False
            # Again, for another kind of data, or to tell why it failed.
            try:
                return send(peer, data, 0)
            except (PeerClosedError, ClosedError):
                return False

        return write

    def send_many(
        self, peer: int, data: bytes, sizes: array[int], queued: ctypes.c_size_t
    ) -> tuple[bool, SetowireError | None]:
        """Queues messages, one behind the other in `data`: whether there is room for more, and another reason why the one
        behind those that were `queued` was not. `sizes`: the bytes of each, of type "I".
        """
        code = self._lib.setowire_peer_send_many(
            self._swarm, peer, data, len(data), sizes.tobytes(), len(sizes), ctypes.byref(queued)
        )
        failure = peer_error(code, last_error_text()) if code < 0 and code != WOULD_BLOCK else None
        return code != WOULD_BLOCK and code != 1, failure

    def send_datagram(self, peer: int, data: Data) -> bool:
        """As `send`, without a tag."""
        pointer, length = c_data(data)
        code = self._lib.setowire_peer_send_datagram(self._swarm, peer, pointer, length)
        if code != WOULD_BLOCK:
            self._check_peer(code)
        return bool(code == 0)

    def buffered(self, peer: int) -> int:
        size = ctypes.c_size_t()
        self._check_peer(self._lib.setowire_peer_buffered(self._swarm, peer, ctypes.byref(size)))
        return size.value

    def close_peer(self, peer: int) -> None:
        self._check_peer(self._lib.setowire_peer_close(self._swarm, peer))

    def peer_info(self, peer: int) -> PeerDetails:
        out = PeerDetails(struct_size=ctypes.sizeof(PeerDetails))
        self._check_peer(self._lib.setowire_peer_info(self._swarm, peer, ctypes.byref(out)))
        return out

    def open_stream(self, peer: int) -> int | None:
        """The number of a new stream; None when too many are open."""
        number = ctypes.c_uint64()
        code = self._lib.setowire_stream_open(self._swarm, peer, ctypes.byref(number))
        if code == WOULD_BLOCK:
            return None
        self._check_peer(code)
        return number.value

    def write_stream(self, stream: int, data: Data) -> int:
        """How many bytes were taken; after fewer than all a STREAM_WRITABLE follows."""
        pointer, length = c_data(data)
        taken = ctypes.c_size_t()
        code = self._stream_write(self._swarm, stream, pointer, length, ctypes.byref(taken))
        if code < 0 and code != WOULD_BLOCK:
            raise peer_error(code, last_error_text())
        return taken.value

    def read_stream(self, stream: int, buffer: Any, most: int) -> tuple[int, int, int]:
        """Reads into a ctypes buffer: the bytes that were there, how it ended (END_*), the code of a reset.

        Nothing at all: a STREAM_READABLE follows.
        """
        count, end, reset = ctypes.c_size_t(), ctypes.c_uint32(), ctypes.c_uint64()
        code = self._stream_read(
            self._swarm, stream, buffer, most, ctypes.byref(count), ctypes.byref(end), ctypes.byref(reset)
        )
        if code < 0 and code != WOULD_BLOCK:
            raise peer_error(code, last_error_text())
        return count.value, end.value, reset.value

    def finish_stream(self, stream: int) -> None:
        self._check_peer(self._lib.setowire_stream_finish(self._swarm, stream))

    def reset_stream(self, stream: int, code: int) -> None:
        self._check_peer(self._lib.setowire_stream_reset(self._swarm, stream, code))

    def stop_stream(self, stream: int, code: int) -> None:
        self._check_peer(self._lib.setowire_stream_stop(self._swarm, stream, code))

    def set_stream_priority(self, stream: int, priority: int) -> None:
        self._check_peer(self._lib.setowire_stream_set_priority(self._swarm, stream, priority))

    def info(self) -> SwarmDetails:
        out = SwarmDetails(struct_size=ctypes.sizeof(SwarmDetails))
        check(self._lib.setowire_swarm_info(self._swarm, ctypes.byref(out)))
        return out

    def stats(self) -> SwarmCounters:
        out = SwarmCounters(struct_size=ctypes.sizeof(SwarmCounters))
        check(self._lib.setowire_swarm_stats(self._swarm, ctypes.byref(out)))
        return out

    def network_changed(self) -> None:
        check(self._lib.setowire_swarm_network_changed(self._swarm))

    def descriptor(self) -> int:
        """Readable while events wait; only `drain` changes that."""
        number = ctypes.c_ssize_t()
        check(self._lib.setowire_event_fd(self._swarm, ctypes.byref(number)))
        return number.value

    def wait(self) -> bool:
        """Blocks until there are events (true), or the swarm is released (false)."""
        return check(self._lib.setowire_event_wait(self._swarm, FOREVER_MS)) == 1

    def drain(self) -> list[Batch]:
        """The events that wait, as many as fit in one read. One thread at a time."""
        written = self._written
        while True:
            buffer = self._buffer
            code = self._lib.setowire_event_drain(self._swarm, buffer, len(buffer), self._written_out)
            if code != TOO_SMALL or written.value <= len(buffer):
                break
            self._buffer = ctypes.create_string_buffer(written.value)
        check(code)
        return parse(memoryview(buffer).cast("B")[: written.value]) if written.value else []

    @staticmethod
    def _check_peer(code: int) -> None:
        if code < 0:
            raise peer_error(code, last_error_text())


def seconds(timeout: float) -> float:
    """A time that a caller gave, checked."""
    if not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout: a number of seconds is wanted, not {type(timeout).__name__}")
    if not timeout >= 0:  # nor is "not a number"
        raise InvalidArgumentError(INVALID, f"timeout: {timeout} is not a time; it is seconds, 0 or more")
    return timeout


def milliseconds(timeout: float | None, default: int) -> int:
    """Seconds as the library takes them: at least 1 ms, infinity as no limit."""
    if timeout is None:
        return default
    timeout = seconds(timeout)
    return FOREVER_MS if timeout * 1000 >= FOREVER_MS else max(1, int(timeout * 1000))
