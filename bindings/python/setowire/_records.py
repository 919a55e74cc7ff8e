"""The event records of `setowire_event_drain`: one parser, driven by one table.

A record is a 40-byte little-endian header, the author's 32 bytes if it is a
broadcast, its data, and padding to a multiple of 8. `record_len` covers all of
them, so kinds that this version does not know are skipped. Input: the bytes
that the library wrote. Output: one `Record` each, with the data as the event's
own type (JSON decoded, messages copied).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .errors import INTERNAL, InternalError

HEADER: Final = struct.Struct("<IHHQQQiI")
HEADER_SIZE: Final = 40
AUTHOR_SIZE: Final = 32
#: An author that is not known.
NOBODY: Final = bytes(AUTHOR_SIZE)

CONNECTION: Final = 1
DISCONNECTION: Final = 2
UPDATE: Final = 3
MESSAGE: Final = 4
WRITABLE: Final = 5
OP_DONE: Final = 6
PEERS: Final = 7
LOST: Final = 8
DATAGRAM: Final = 9
STREAM: Final = 10
STREAM_READABLE: Final = 11
STREAM_WRITABLE: Final = 12
STREAM_CLOSED: Final = 13
CLOSED: Final = 63

#: Flag of MESSAGE: it came unencrypted, anyone may have written it.
MESSAGE_CLEAR: Final = 1
#: Flag of MESSAGE: it was sent to a topic, which is the record's tag.
MESSAGE_BROADCAST: Final = 2
#: Flag of STREAM_CLOSED: the peer reset its direction; the record's tag is its code.
STREAM_RESET: Final = 4


class Record(NamedTuple):
    """One event as the library queued it."""

    kind: int
    flags: int
    seq: int
    #: The number of the peer, operation or stream, 0 where there is none.
    subject: int
    #: The caller's number of an operation, the topic of a broadcast, the peer that opened a stream.
    tag: int
    code: int
    data: Any
    #: The key that signed a broadcast; None where nobody did.
    author: bytes | None = None


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
    DATAGRAM: _bytes,
    STREAM: _text,
    STREAM_READABLE: _text,
    STREAM_WRITABLE: _text,
    STREAM_CLOSED: _text,
    CLOSED: _text,
}


def parse(raw: bytes) -> list[Record]:
    """The records in `raw`, in order; kinds that are not known are left out."""
    records: list[Record] = []
    unpack, make = HEADER.unpack_from, tuple.__new__  # once for all: this runs for every event
    offset, end = 0, len(raw)
    while offset < end:
        if end - offset < HEADER_SIZE:
            raise _mismatch(f"{end - offset} bytes follow the last record")
        length, kind, flags, seq, subject, tag, code, size = unpack(raw, offset)
        start = offset + HEADER_SIZE
        author = None
        if flags & MESSAGE_BROADCAST and kind == MESSAGE:
            author = raw[start : start + AUTHOR_SIZE]
            start += AUTHOR_SIZE
        if length % 8 or length > end - offset or start + size > offset + length:
            raise _mismatch(f"a record of {length} bytes with {size} bytes of data at {offset}")
        data = raw[start : start + size]
        if kind == MESSAGE or kind == DATAGRAM:
            if author == NOBODY:
                author = None
            records.append(make(Record, (kind, flags, seq, subject, tag, code, data, author)))
        elif kind in _DATA:
            try:
                value = _DATA[kind](data, code)
            except ValueError as reason:
                raise _mismatch(f"data of event kind {kind}: {reason}") from None
            records.append(Record(kind, flags, seq, subject, tag, code, value))
        offset += length
    return records


def _mismatch(what: str) -> InternalError:
    return InternalError(INTERNAL, f"the library and this package disagree about the event format: {what}")
