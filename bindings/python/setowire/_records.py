"""The event records of `setowire_event_drain`: one parser, driven by one table.

A record is a 40-byte little-endian header, the author's 32 bytes if it is a
broadcast, its data, and padding to a multiple of 8. `record_len` covers all of
them, so kinds that this version does not know are skipped. Input: the bytes
that the library wrote. Output: one `Record` each, with the data as the event's
own type (JSON decoded, messages copied); but of messages for us alone, of which
there may be a million in a second, runs of tuples that `struct` made.
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Union

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
CHANGED: Final = 14
PEER: Final = 15
PEER_REJECTED: Final = 16
TOPIC_UPDATED: Final = 17
PEER_TOPIC: Final = 18
BANNED: Final = 19
ASK: Final = 20
FOUND: Final = 21
ROUND: Final = 22
ROUND_CANCELLED: Final = 23
UNANNOUNCE: Final = 24
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
    #: The number of the peer, operation, stream, topic, question or round, 0 where there is none.
    subject: int
    #: The caller's number of an operation, the topic of a broadcast or of a peer, the peer that opened a stream.
    tag: int
    code: int
    data: Any
    #: The key that signed a broadcast; None where nobody did.
    author: bytes | None = None


#: A message without flags: the number of the peer, and the data.
Plain = tuple[int, bytes]
Batch = Union[Record, list[Plain]]

#: So many records alike are looked at one by one before columns of them are made.
_WORTH_COLUMNS: Final = 8


@functools.lru_cache(maxsize=256)
def _plain(length: int, size: int) -> struct.Struct:
    """The whole record of a `Plain` of `size` bytes."""
    return struct.Struct(f"<16xQ16x{size}s{length - HEADER_SIZE - size}x")


def _alike(words: memoryview, at: int, step: int) -> int:
    """How many records of `step` words from `at` on have the length, kind, flags, code and size of the first.

    The first and the fifth word of a record are just that. Many records are compared column by column, without a Python
    object for each.
    """
    most = (len(words) - at) // step
    kind, size = words[at], words[at + 4]
    alike, position = 1, at + step
    while alike < most and words[position] == kind and words[position + 4] == size:
        alike += 1
        position += step
        if alike == _WORTH_COLUMNS:
            end = at + most * step
            kinds, sizes = words[at:end:step], words[at + 4 : end : step]
            if kinds[1:] == kinds[:-1] and sizes[1:] == sizes[:-1]:
                return most
    return alike


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
    # Most of these nobody listens to: `json_object` takes apart those that somebody does.
    CHANGED: _bytes,
    PEER: _bytes,
    PEER_REJECTED: _bytes,
    TOPIC_UPDATED: _bytes,
    PEER_TOPIC: _bytes,
    BANNED: _bytes,
    ASK: _bytes,
    FOUND: _bytes,
    ROUND: _object,
    ROUND_CANCELLED: _text,
    UNANNOUNCE: _object,
    CLOSED: _text,
}


def parse(raw: bytes | memoryview) -> list[Batch]:
    """What is in `raw`, in order; kinds that are not known are left out."""
    batches: list[Batch] = []
    run: list[Plain] | None = None
    offset, end = 0, len(raw)
    if end % 8:
        raise _mismatch(f"{end} bytes are not whole records")
    words = memoryview(raw).cast("Q")
    while offset < end:
        if end - offset < HEADER_SIZE:
            raise _mismatch(f"{end - offset} bytes follow the last record")
        length, kind, flags, seq, subject, tag, code, size = HEADER.unpack_from(raw, offset)
        start = offset + HEADER_SIZE
        author = None
        if flags & MESSAGE_BROADCAST and kind == MESSAGE:
            author = bytes(raw[start : start + AUTHOR_SIZE])
            start += AUTHOR_SIZE
        if length % 8 or length > end - offset or start + size > offset + length:
            raise _mismatch(f"a record of {length} bytes with {size} bytes of data at {offset}")
        if kind == MESSAGE and not flags:
            if run is None:
                run = []
                batches.append(run)
            alike = _alike(words, offset // 8, length // 8)
            if alike == 1:
                run.append((subject, bytes(raw[start : start + size])))
            else:
                run.extend(_plain(length, size).iter_unpack(raw[offset : offset + alike * length]))
            offset += alike * length
            continue
        run = None
        data = bytes(raw[start : start + size])
        if kind == MESSAGE or kind == DATAGRAM:
            if author == NOBODY:
                author = None
            batches.append(Record(kind, flags, seq, subject, tag, code, data, author))
        elif kind in _DATA:
            try:
                value = _DATA[kind](data, code)
            except ValueError as reason:
                raise _mismatch(f"data of event kind {kind}: {reason}") from None
            batches.append(Record(kind, flags, seq, subject, tag, code, value))
        offset += length
    return batches


def records(batches: Iterable[Batch]) -> list[Record]:
    """One record for each event."""
    one_by_one: list[Record] = []
    for batch in batches:
        if isinstance(batch, Record):
            one_by_one.append(batch)
        else:
            one_by_one.extend(plain(number, data) for number, data in batch)
    return one_by_one


def plain(number: int, data: bytes) -> Record:
    """The record of a `Plain`."""
    return Record(MESSAGE, 0, 0, number, 0, 0, data)


def json_object(record: Record) -> dict[str, Any]:
    """The data of a record that `parse` left as it was."""
    try:
        return _object(record.data, record.code)
    except ValueError as reason:
        raise _mismatch(f"data of event kind {record.kind}: {reason}") from None


def _mismatch(what: str) -> InternalError:
    return InternalError(INTERNAL, f"the library and this package disagree about the event format: {what}")
