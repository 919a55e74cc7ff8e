"""The record parser, on bytes built here by the format of the C header."""

from __future__ import annotations

import json
import struct

import pytest

from setowire import _records
from setowire.errors import InternalError


def record(
    kind: int,
    data: bytes = b"",
    *,
    flags: int = 0,
    seq: int = 1,
    subject: int = 0,
    tag: int = 0,
    code: int = 0,
    extra: int = 0,
) -> bytes:
    length = (40 + len(data) + 7) // 8 * 8 + extra
    header = struct.pack("<IHHQQQiI", length, kind, flags, seq, subject, tag, code, len(data))
    return (header + data).ljust(length, b"\0")


def broadcast(author: bytes, data: bytes) -> bytes:
    length = (72 + len(data) + 7) // 8 * 8
    header = struct.pack("<IHHQQQiI", length, _records.MESSAGE, _records.MESSAGE_BROADCAST, 2, 7, 9, 0, len(data))
    return (header + author + data).ljust(length, b"\0")


def parse(raw: bytes) -> list[_records.Record]:
    return _records.records(_records.parse(raw))


def test_header_is_forty_bytes_without_padding() -> None:
    assert _records.HEADER.size == 40
    golden = bytes.fromhex(
        "30000000" "0400" "0100" "0200000000000000" "0700000000000000" "0000000000000000" "00000000" "02000000"
        "6869000000000000"
    )
    assert parse(golden) == [_records.Record(_records.MESSAGE, 1, 2, 7, 0, 0, b"hi")]


def test_every_kind() -> None:
    info = {"peer": 7, "address": "127.0.0.1"}
    text = json.dumps(info).encode()
    raw = b"".join(
        [
            record(_records.CONNECTION, text, subject=7),
            record(_records.UPDATE, text, subject=7),
            record(_records.MESSAGE, b"\0\xff", subject=7, flags=_records.MESSAGE_CLEAR),
            record(_records.WRITABLE, subject=7),
            record(_records.OP_DONE, b'{"peer":7}', subject=3, tag=99),
            record(_records.OP_DONE, b"{nobody answered", subject=4, tag=100, code=-100),
            record(_records.OP_DONE, subject=5, tag=101),
            record(_records.PEERS, b'[{"id":"00"}]'),
            record(_records.LOST, b'{"messages":2,"total":5}'),
            record(_records.DATAGRAM, b"\0\xff", subject=7),
            record(_records.STREAM, subject=8, tag=7),
            record(_records.STREAM_READABLE, subject=8),
            record(_records.STREAM_WRITABLE, subject=8),
            record(_records.STREAM_CLOSED, subject=8, flags=_records.STREAM_RESET, tag=77),
            record(_records.DISCONNECTION, text, subject=7, code=-5),
            record(_records.CLOSED, b"done", seq=2**64 - 1),
        ]
    )
    got = parse(raw)
    assert [(one.kind, one.subject, one.tag, one.code, one.data) for one in got] == [
        (_records.CONNECTION, 7, 0, 0, info),
        (_records.UPDATE, 7, 0, 0, info),
        (_records.MESSAGE, 7, 0, 0, b"\0\xff"),
        (_records.WRITABLE, 7, 0, 0, ""),
        (_records.OP_DONE, 3, 99, 0, {"peer": 7}),
        (_records.OP_DONE, 4, 100, -100, "{nobody answered"),
        (_records.OP_DONE, 5, 101, 0, ""),
        (_records.PEERS, 0, 0, 0, [{"id": "00"}]),
        (_records.LOST, 0, 0, 0, {"messages": 2, "total": 5}),
        (_records.DATAGRAM, 7, 0, 0, b"\0\xff"),
        (_records.STREAM, 8, 7, 0, ""),
        (_records.STREAM_READABLE, 8, 0, 0, ""),
        (_records.STREAM_WRITABLE, 8, 0, 0, ""),
        (_records.STREAM_CLOSED, 8, 77, 0, ""),
        (_records.DISCONNECTION, 7, 0, -5, info),
        (_records.CLOSED, 0, 0, 0, "done"),
    ]
    assert got[2].flags == _records.MESSAGE_CLEAR
    assert got[-1].seq == 2**64 - 1


def test_unknown_kinds_and_longer_records_are_skipped_by_their_length() -> None:
    raw = record(40, b"something new") + record(_records.MESSAGE, b"a", extra=16) + record(_records.MESSAGE, b"b")
    assert [one.data for one in parse(raw)] == [b"a", b"b"]


def test_messages_in_a_row_come_in_one_run_whatever_their_sizes() -> None:
    sizes = [100, 100, 100, 0, 7, 8, 100, 100, 1, 2, 3]
    raw = b"".join(
        record(_records.MESSAGE, bytes([n]) * size, seq=n, subject=n % 3) for n, size in enumerate(sizes, start=1)
    )
    (run,) = _records.parse(memoryview(raw))
    assert isinstance(run, list) and not isinstance(run, _records.Record)
    expected = [(n % 3, bytes([n]) * size) for n, size in enumerate(sizes, start=1)]
    assert run == expected
    assert [(one.subject, one.data) for one in parse(raw)] == expected


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 100])
@pytest.mark.parametrize("change", ["length", "size", "flags", "code", "kind", "none"])
def test_a_row_ends_with_the_first_that_is_not_like_the_others(count: int, change: str) -> None:
    raw = b"".join(record(_records.MESSAGE, bytes([n]) * 60, subject=n) for n in range(count))
    other = {
        "length": record(_records.MESSAGE, b"?" * 90, subject=200),
        "size": record(_records.MESSAGE, b"?" * 58, subject=200),
        "flags": record(_records.MESSAGE, b"?" * 60, subject=200, flags=_records.MESSAGE_CLEAR),
        "code": record(_records.MESSAGE, b"?" * 60, subject=200, code=-1),
        "kind": record(_records.DATAGRAM, b"?" * 60, subject=200),
        "none": b"",
    }[change]
    behind = b"".join(record(_records.MESSAGE, bytes([n]) * 60, subject=n) for n in range(count, 2 * count))
    numbers = [one.subject for one in parse(raw + other + behind)]
    assert numbers == [*range(count), *([200] if other else []), *range(count, 2 * count)]
    got = [one for one in parse(raw + other + behind) if one.subject != 200]
    assert [one.data for one in got] == [bytes([n]) * 60 for n in range(2 * count)]
    if other:
        assert [one for one in parse(raw + other + behind) if one.subject == 200] == parse(other)


def test_what_comes_between_messages_keeps_its_place() -> None:
    def message(n: int, flags: int = 0) -> bytes:
        return record(_records.MESSAGE, bytes([n]) * 64, seq=n, subject=7, flags=flags)

    between = [record(_records.WRITABLE, seq=3, subject=7), message(4, _records.MESSAGE_CLEAR)]
    raw = b"".join([message(1), message(2), *between, message(5), record(40, b"?" * 64, seq=6), message(7)])
    batches = _records.parse(raw)
    assert [isinstance(batch, list) for batch in batches] == [True, False, False, True, True]
    assert [one.data[:1] for one in parse(raw)] == [b"\1", b"\2", "", b"\4", b"\5", b"\7"]
    with pytest.raises(InternalError, match="disagree"):
        parse(raw[:-8])


def test_events_of_the_swarm_are_taken_apart_when_somebody_wants_them() -> None:
    kinds = range(_records.CHANGED, _records.FOUND + 1)
    got = parse(b"".join(record(kind, b'{"connecting":1}', subject=3, tag=4, code=-1) for kind in kinds))
    assert [(one.kind, one.subject, one.tag, one.code) for one in got] == [(kind, 3, 4, -1) for kind in kinds]
    assert all(_records.json_object(one) == {"connecting": 1} for one in got)
    for bad in (b"[]", b"{", b"\xff"):
        (one,) = parse(record(_records.ASK, bad))
        with pytest.raises(InternalError, match="disagree"):
            _records.json_object(one)


@pytest.mark.parametrize("author", [bytes(range(32)), bytes(32)], ids=["signed", "not signed"])
def test_the_author_of_a_broadcast_stands_before_its_data(author: bytes) -> None:
    (one,) = parse(broadcast(author, b"hi"))
    assert (one.data, one.tag, one.subject) == (b"hi", 9, 7)
    assert one.author == (author if any(author) else None)


@pytest.mark.parametrize(
    "raw",
    [
        b"\0" * 8,
        record(_records.MESSAGE, b"x")[:39],
        b"\0" * 40,
        struct.pack("<IHHQQQiI", 44, 4, 0, 0, 0, 0, 0, 0) + b"\0" * 8,
        struct.pack("<IHHQQQiI", 40, 4, 0, 0, 0, 0, 0, 1),
        struct.pack("<IHHQQQiI", 0xFFFFFFF8, 4, 0, 0, 0, 0, 0, 0),
        struct.pack("<IHHQQQiI", 48, 4, 0, 0, 0, 0, 0, 0xFFFFFFFF) + b"\0" * 8,
        record(_records.CONNECTION, b"[]"),
        record(_records.CONNECTION, b"{"),
        record(_records.PEERS, b"\xff"),
        broadcast(bytes(32), b"x" * 8)[:36] + struct.pack("<I", 9) + bytes(40),
        record(_records.MESSAGE, b"", flags=_records.MESSAGE_BROADCAST),
    ],
    ids=["short", "cut", "zero length", "odd length", "data over", "length over", "data wraps", "type", "json", "utf8", "author over", "no author"],
)
def test_a_record_that_cannot_be_is_an_error(raw: bytes) -> None:
    with pytest.raises(InternalError, match="disagree"):
        parse(raw)
