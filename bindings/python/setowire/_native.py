"""The shared library: where it is looked for, and the type of every function.

`library()` loads it once. Every function of the header is bound at load with
its argument and result types, so a wrong or old library fails at once with a
readable message, not later with a crash. A test compares `FUNCTIONS` with
`include/setowire.h`.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import sys
from ctypes import (
    POINTER,
    c_bool,
    c_char_p,
    c_int32,
    c_size_t,
    c_ssize_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import INTERNAL, InvalidArgumentError, INVALID, LibraryError, SetowireError, error

#: The ABI this package was written for (`setowire_abi_version`).
ABI_VERSION = 1

_SIZE = POINTER(c_size_t)
_U64 = POINTER(c_uint64)
_HANDLE = POINTER(c_void_p)


class SwarmDetails(ctypes.Structure):
    """`setowire_swarm_details`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("port_v4", c_uint16),
        ("port_v6", c_uint16),
        ("key", c_uint8 * 32),
        ("legacy_id", c_uint8 * 20),
        ("reserved", c_uint32),
    ]


class SwarmCounters(ctypes.Structure):
    """`setowire_swarm_counters`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("datagrams_sent", c_uint64),
        ("datagrams_received", c_uint64),
        ("bytes_sent", c_uint64),
        ("bytes_received", c_uint64),
        ("messages_sent", c_uint64),
        ("messages_received", c_uint64),
        ("messages_lost", c_uint64),
        ("datagrams_rejected", c_uint64),
        ("dials_started", c_uint64),
        ("dials_refused_by_budget", c_uint64),
        ("connections", c_uint64),
        ("disconnections", c_uint64),
        ("events_lost", c_uint64),
        ("peers", c_uint64),
        ("unconfirmed", c_uint64),
        ("dials", c_uint64),
        ("ops", c_uint64),
        ("topics", c_uint64),
        ("buffered_bytes", c_uint64),
        ("reassembly_bytes", c_uint64),
        ("mesh_received", c_uint64),
        ("mesh_duplicates", c_uint64),
        ("mesh_sent", c_uint64),
        ("mesh_rejected", c_uint64),
        ("mesh_bytes", c_uint64),
    ]


class PeerDetails(ctypes.Structure):
    """`setowire_peer_details`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("loss_permille", c_uint32),
        ("peer", c_uint64),
        ("rtt_us", c_uint64),
        ("bytes_sent", c_uint64),
        ("bytes_received", c_uint64),
        ("messages_sent", c_uint64),
        ("messages_received", c_uint64),
        ("buffered", c_uint64),
        ("connect_us", c_uint64),
        ("max_message", c_uint64),
        ("key", c_uint8 * 32),
        ("legacy_id", c_uint8 * 20),
        ("has_key", c_bool),
        ("has_legacy_id", c_bool),
        ("confirmed", c_bool),
        ("client", c_bool),
        ("session", c_uint8),
        ("source", c_uint8),
        ("family", c_uint8),
        ("is_explicit", c_bool),
        ("suite", c_uint8),
        ("reserved", c_uint8 * 3),
        ("datagrams_dropped", c_uint64),
    ]


class TopicDetails(ctypes.Structure):
    """`setowire_topic_details`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("is_private", c_bool),
        ("client", c_bool),
        ("server", c_bool),
        ("client_in_all", c_bool),
        ("server_in_all", c_bool),
        ("announced", c_bool),
        ("reserved", c_uint8 * 6),
        ("limit", c_uint64),
        ("topic", c_uint8 * 32),
    ]


class StateDetails(ctypes.Structure):
    """`setowire_swarm_state_details`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("open", c_bool),
        ("listening", c_bool),
        ("suspended", c_bool),
        ("reserved", c_uint8),
        ("connecting", c_uint64),
        ("connections", c_uint64),
        ("known", c_uint64),
        ("queued", c_uint64),
        ("explicit_peers", c_uint64),
        ("updates", c_uint64),
        ("client_attempted", c_uint64),
        ("client_opened", c_uint64),
        ("client_closed", c_uint64),
        ("server_opened", c_uint64),
        ("server_closed", c_uint64),
        ("banned", c_uint64),
    ]


_KEY = (c_void_p, c_size_t)
_TEXT_OUT = (c_void_p, c_size_t, _SIZE)

#: name -> (result type, argument types), in the order of the header. Callback
#: parameters are plain pointers here: this package never passes one.
FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "setowire_config_new": (c_void_p, ()),
    "setowire_config_free": (None, (c_void_p,)),
    "setowire_config_set": (c_int32, (c_void_p, c_char_p, c_char_p)),
    "setowire_config_set_identity_seed": (c_int32, (c_void_p, c_void_p, c_size_t)),
    "setowire_config_set_key_pair": (c_int32, (c_void_p, c_void_p, c_size_t)),
    "setowire_config_set_bind_addr": (c_int32, (c_void_p, c_char_p)),
    "setowire_config_set_max_peers": (c_int32, (c_void_p, c_uint32)),
    "setowire_config_set_lan": (c_int32, (c_void_p, c_bool)),
    "setowire_config_set_lan_interfaces": (c_int32, (c_void_p, c_char_p)),
    "setowire_config_add_seed": (c_int32, (c_void_p, c_char_p)),
    "setowire_config_set_peer_cache": (c_int32, (c_void_p, c_char_p)),
    "setowire_config_set_clear_fragments": (c_int32, (c_void_p, c_bool)),
    "setowire_config_set_send_buffer": (c_int32, (c_void_p, c_size_t)),
    "setowire_config_set_event_queue": (c_int32, (c_void_p, c_size_t, c_size_t)),
    "setowire_config_set_event_mask": (c_int32, (c_void_p, c_uint64)),
    "setowire_swarm_new": (c_int32, (c_void_p, _HANDLE)),
    "setowire_swarm_close": (c_int32, (c_void_p,)),
    "setowire_swarm_free": (None, (c_void_p,)),
    "setowire_swarm_set_callback": (c_int32, (c_void_p, c_uint64, c_void_p, c_void_p, c_void_p)),
    "setowire_swarm_join": (c_int32, (c_void_p, c_void_p, c_size_t, _U64)),
    "setowire_swarm_join_private": (c_int32, (c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, _U64)),
    "setowire_swarm_join_as": (c_int32, (c_void_p, *_KEY, *_KEY, c_uint32, c_uint64, _U64)),
    "setowire_swarm_leave": (c_int32, (c_void_p, c_void_p, c_size_t)),
    "setowire_topic_close": (c_int32, (c_void_p, c_uint64)),
    "setowire_topic_refresh": (c_int32, (c_void_p, c_uint64, c_uint32, c_uint64, c_uint64, _U64)),
    "setowire_topic_flushed": (c_int32, (c_void_p, c_uint64, c_uint64, _U64)),
    "setowire_topic_info": (c_int32, (c_void_p, c_uint64, POINTER(TopicDetails))),
    "setowire_topic_sessions": (c_int32, (c_void_p, *_KEY, _U64, c_size_t, _SIZE)),
    "setowire_topic_broadcast": (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t)),
    "setowire_swarm_topics": (c_int32, (c_void_p, _U64, c_size_t, _SIZE)),
    "setowire_swarm_connect": (c_int32, (c_void_p, c_char_p, c_uint32, c_uint64, _U64)),
    "setowire_swarm_connect_key": (
        c_int32,
        (c_void_p, c_char_p, c_void_p, c_size_t, c_uint32, c_uint64, _U64),
    ),
    "setowire_swarm_connect_peer": (c_int32, (c_void_p, *_KEY, c_uint32, c_uint64, _U64)),
    "setowire_op_cancel": (c_int32, (c_void_p, c_uint64)),
    "setowire_swarm_broadcast": (c_int32, (c_void_p, c_void_p, c_size_t)),
    "setowire_swarm_peers": (c_int32, (c_void_p, _U64, c_size_t, _SIZE)),
    "setowire_swarm_info": (c_int32, (c_void_p, POINTER(SwarmDetails))),
    "setowire_swarm_stats": (c_int32, (c_void_p, POINTER(SwarmCounters))),
    "setowire_swarm_network_changed": (c_int32, (c_void_p,)),
    "setowire_swarm_flush": (c_int32, (c_void_p, c_uint64, _U64)),
    "setowire_swarm_lookup": (c_int32, (c_void_p, *_KEY, *_KEY, c_bool, c_uint64, _U64)),
    "setowire_swarm_unannounce": (c_int32, (c_void_p, *_KEY, *_KEY)),
    "setowire_swarm_found": (c_int32, (c_void_p, c_uint64, *_KEY, c_char_p)),
    "setowire_swarm_round_done": (c_int32, (c_void_p, c_uint64, c_bool)),
    "setowire_swarm_unannounced": (c_int32, (c_void_p, *_KEY)),
    "setowire_swarm_listen": (c_int32, (c_void_p,)),
    "setowire_swarm_join_peer": (c_int32, (c_void_p, *_KEY, c_char_p)),
    "setowire_swarm_leave_peer": (c_int32, (c_void_p, *_KEY)),
    "setowire_swarm_ban": (c_int32, (c_void_p, *_KEY, c_uint64, c_bool)),
    "setowire_swarm_unban": (c_int32, (c_void_p, *_KEY)),
    "setowire_swarm_set_reconnect": (c_int32, (c_void_p, *_KEY, c_bool)),
    "setowire_swarm_backoff": (c_int32, (c_void_p, *_KEY)),
    "setowire_peer_deduplicate": (c_int32, (c_void_p, c_uint64, *_KEY, *_KEY)),
    "setowire_swarm_known_peers": (c_int32, (c_void_p, *_TEXT_OUT)),
    "setowire_swarm_known_peer": (c_int32, (c_void_p, *_KEY, *_TEXT_OUT)),
    "setowire_swarm_set_firewall": (c_int32, (c_void_p, c_bool)),
    "setowire_swarm_answer": (c_int32, (c_void_p, c_uint64, c_bool)),
    "setowire_swarm_suspend": (c_int32, (c_void_p,)),
    "setowire_swarm_resume": (c_int32, (c_void_p,)),
    "setowire_swarm_close_now": (c_int32, (c_void_p,)),
    "setowire_swarm_state": (c_int32, (c_void_p, POINTER(StateDetails))),
    "setowire_peer_send": (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t, c_uint64)),
    "setowire_peer_send_owned": (
        c_int32,
        (c_void_p, c_uint64, c_void_p, c_size_t, c_uint64, c_void_p, c_void_p),
    ),
    "setowire_peer_send_many": (
        c_int32,
        (c_void_p, c_uint64, c_void_p, c_size_t, c_void_p, c_size_t, _SIZE),
    ),
    "setowire_peer_send_datagram": (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t)),
    "setowire_peer_buffered": (c_int32, (c_void_p, c_uint64, _SIZE)),
    "setowire_peer_info": (c_int32, (c_void_p, c_uint64, POINTER(PeerDetails))),
    "setowire_peer_address": (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t)),
    "setowire_peer_topics": (c_int32, (c_void_p, c_uint64, _U64, c_size_t, _SIZE)),
    "setowire_peer_close": (c_int32, (c_void_p, c_uint64)),
    "setowire_stream_open": (c_int32, (c_void_p, c_uint64, _U64)),
    "setowire_stream_write": (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t, _SIZE)),
    "setowire_stream_read": (
        c_int32,
        (c_void_p, c_uint64, c_void_p, c_size_t, _SIZE, POINTER(c_uint32), _U64),
    ),
    "setowire_stream_finish": (c_int32, (c_void_p, c_uint64)),
    "setowire_stream_reset": (c_int32, (c_void_p, c_uint64, c_uint32)),
    "setowire_stream_stop": (c_int32, (c_void_p, c_uint64, c_uint32)),
    "setowire_stream_set_priority": (c_int32, (c_void_p, c_uint64, c_int32)),
    "setowire_stream_peer": (c_int32, (c_void_p, c_uint64, _U64)),
    "setowire_event_next": (c_int32, (c_void_p, _HANDLE)),
    "setowire_event_free": (None, (c_void_p,)),
    "setowire_event_kind": (c_uint16, (c_void_p,)),
    "setowire_event_seq": (c_uint64, (c_void_p,)),
    "setowire_event_peer": (c_uint64, (c_void_p,)),
    "setowire_event_topic": (c_uint64, (c_void_p,)),
    "setowire_event_stream": (c_uint64, (c_void_p,)),
    "setowire_event_op": (c_uint64, (c_void_p,)),
    "setowire_event_tag": (c_uint64, (c_void_p,)),
    "setowire_event_question": (c_uint64, (c_void_p,)),
    "setowire_event_query": (c_uint64, (c_void_p,)),
    "setowire_event_code": (c_int32, (c_void_p,)),
    "setowire_event_flags": (c_uint32, (c_void_p,)),
    "setowire_event_author": (c_void_p, (c_void_p,)),
    "setowire_event_data": (c_void_p, (c_void_p, _SIZE)),
    "setowire_event_fd": (c_int32, (c_void_p, POINTER(c_ssize_t))),
    "setowire_event_drain": (c_int32, (c_void_p, c_void_p, c_size_t, _SIZE)),
    "setowire_event_wait": (c_int32, (c_void_p, c_uint32)),
    "setowire_event_wake": (None, (c_void_p,)),
    "setowire_last_error_message": (c_int32, (c_void_p, c_size_t)),
    "setowire_error_name": (c_char_p, (c_int32,)),
    "setowire_error_string": (c_char_p, (c_int32,)),
    "setowire_version_number": (c_uint32, ()),
    "setowire_version_string": (c_char_p, ()),
    "setowire_abi_version": (c_uint32, ()),
    "setowire_set_log_callback": (c_int32, (c_uint8, c_void_p, c_void_p, c_void_p)),
}


def _file_name() -> str:
    if sys.platform == "win32":
        return "setowire.dll"
    if sys.platform == "darwin":
        return "libsetowire.dylib"
    return "libsetowire.so"


def _candidates() -> list[str]:
    """Where the library may be; a path that the user names is the only one."""
    named = os.environ.get("SETOWIRE_LIBRARY")
    if named:
        return [named]
    found = []
    bundled = Path(__file__).parent / "_lib" / _file_name()
    if bundled.is_file():
        found.append(str(bundled))
    system = ctypes.util.find_library("setowire")
    return [*found, *([system] if system else []), _file_name()]


@functools.cache
def library() -> ctypes.CDLL:
    """The shared library, checked and with every function bound."""
    failures = []
    for path in _candidates():
        try:
            lib = ctypes.CDLL(path)
        except OSError as reason:
            failures.append(f"{path}: {reason}")
            continue
        return _bind(lib, path)
    raise LibraryError(
        INTERNAL,
        "the setowire shared library could not be loaded; name it in SETOWIRE_LIBRARY, or install "
        f"the package with `pip install ./bindings/python`. Tried: {'; '.join(failures)}",
    )


def _bind(lib: ctypes.CDLL, path: str) -> ctypes.CDLL:
    try:
        lib.setowire_abi_version.restype = c_uint32
        version = int(lib.setowire_abi_version())
    except AttributeError:
        raise LibraryError(INTERNAL, f"{path} is not a setowire library") from None
    if version != ABI_VERSION:
        raise LibraryError(
            INTERNAL,
            f"{path} has ABI version {version}, this Python package needs {ABI_VERSION}; "
            "install the library and the package of the same release",
        )
    for name, (result, arguments) in FUNCTIONS.items():
        try:
            function = getattr(lib, name)
        except AttributeError:
            raise LibraryError(INTERNAL, f"{path} has no function {name}; it is not of this release") from None
        function.restype = result
        function.argtypes = list(arguments)
    return lib


@functools.cache
def fast_send() -> Callable[..., int]:
    """`setowire_peer_send` for arguments that were made with `from_param`, or are bytes.

    It keeps the interpreter's lock: giving it back and taking it again costs more than the call, which does not wait
    for anything that needs it.
    """
    lib = library()
    send = ctypes.PyDLL(lib._name, handle=lib._handle)["setowire_peer_send"]
    send.restype = c_int32
    return send


def last_error(code: int) -> SetowireError:
    """The exception for the call of this thread that just failed with `code`."""
    return error(code, last_error_text())


def last_error_text() -> str:
    lib = library()
    room = 512
    while True:
        buffer = ctypes.create_string_buffer(room)
        length = int(lib.setowire_last_error_message(buffer, room))
        if length < room:
            return buffer.value.decode("utf-8", "replace")
        room = length + 1


def check(code: int) -> int:
    """Raises the exception of a negative result, hands on any other."""
    if code < 0:
        raise last_error(code)
    return code


def c_text(name: str, value: str) -> bytes:
    """Text as the C side takes it. A NUL would cut it short unseen, so it is refused."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: text is wanted, not {type(value).__name__}")
    if "\0" in value:
        raise InvalidArgumentError(INVALID, f"{name}: {value!r} contains a NUL character")
    return value.encode("utf-8")


def c_data(data: bytes | bytearray | memoryview, name: str = "data") -> tuple[Any, int]:
    """Bytes as pointer and length, without a copy where ctypes can do that."""
    if isinstance(data, bytes):
        return data, len(data)
    try:
        view = memoryview(data).cast("B")
    except TypeError:
        raise TypeError(f"{name}: bytes, bytearray or memoryview are wanted, not {type(data).__name__}") from None
    if view.readonly:
        copy = bytes(view)
        return copy, len(copy)
    return (ctypes.c_char * len(view)).from_buffer(view), len(view)


def version() -> str:
    """The version of the shared library in use."""
    text: bytes = library().setowire_version_string()
    return text.decode("ascii")
