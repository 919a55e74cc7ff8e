"""The event records of `setowire_event_drain`: one parser, driven by one table.

A record is a 40-byte little-endian header, its data, and padding to a multiple
of 8. `record_len` covers all three, so kinds that this version does not know
are skipped. Input: the bytes that the library wrote. Output: one `Record` each,
with the data as the event's own type (JSON decoded, messages copied).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from .errors import INTERNAL, InternalError

HEADER: Final = struct.Struct("<IHHQQQiI")

CONNECTION: Final = 1
DISCONNECTION: Final = 2
UPDATE: Final = 3
MESSAGE: Final = 4
WRITABLE: Final = 5
OP_DONE: Final = 6
PEERS: Final = 7
LOST: Final = 8
CLOSED: Final = 63

#: Flag of MESSAGE: it came unencrypted, anyone may have written it.
MESSAGE_CLEAR: Final = 1


class Record(NamedTuple):
    """One event as the library queued it."""

    kind: int
    flags: int
    seq: int
    #: The peer's or the operation's number, 0 where there is none.
    subject: int
    tag: int
    code: int
    data: Any


def _bytes(data: bytes, _code: int) -> bytes:
    return data


def _text(data: bytes, _code: int) -> str:
    return data.decode("utf-8", "replace")


def _object(data: bytes, _code: int) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _array(data: bytes, _code: int) -> list[Any]:
    value = json.loads(data)
    if not isinstance(value, list):
        raise ValueError("not a JSON array")
    return value


def _outcome(data: bytes, code: int) -> str | dict[str, Any]:
    """A connect that succeeded tells its peer in JSON, a failure its reason in words."""
    return _object(data, code) if data and code == 0 else _text(data, code)


_DATA: Final[dict[int, Callable[[bytes, int], Any]]] = {
    CONNECTION: _object,
    DISCONNECTION: _object,
    UPDATE: _object,
    MESSAGE: _bytes,
    WRITABLE: _text,
    OP_DONE: _outcome,
    PEERS: _array,
    LOST: _object,
    CLOSED: _text,
}


def parse(buffer: memoryview) -> Iterator[Record]:
    """The records in `buffer`, in order; kinds that are not known are left out."""
    offset = 0
    while offset < len(buffer):
        if len(buffer) - offset < HEADER.size:
            raise _mismatch(f"{len(buffer) - offset} bytes follow the last record")
        length, kind, flags, seq, subject, tag, code, data_len = HEADER.unpack_from(buffer, offset)
        if length % 8 or length > len(buffer) - offset or data_len > length - HEADER.size:
            raise _mismatch(f"a record of {length} bytes with {data_len} bytes of data at {offset}")
        decode = _DATA.get(kind)
        if decode is not None:
            start = offset + HEADER.size
            try:
                data = decode(bytes(buffer[start : start + data_len]), code)
            except ValueError as reason:
                raise _mismatch(f"data of event kind {kind}: {reason}") from None
            yield Record(kind, flags, seq, subject, tag, code, data)
        offset += length


def _mismatch(what: str) -> InternalError:
    return InternalError(INTERNAL, f"the library and this package disagree about the event format: {what}")
