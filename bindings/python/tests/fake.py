"""A stand-in for `NativeSwarm`: tests put records in, and see what was asked for.

For what the real library cannot be made to do on command: floods, full queues,
completions in an awkward order.
"""

from __future__ import annotations

import ctypes
import os
import select
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

import setowire._core
from setowire import _records
from setowire._native import StateDetails
from setowire._records import Record
from setowire.errors import (
    CLOSED,
    NOT_FOUND,
    ClosedError,
    MessageTooLargeError,
    PeerClosedError,
    SetowireError,
)

#: Records handed out by one `drain`.
BATCH = 100


class FakeNative:
    """Records go in by `queue`; calls are noted in `calls`."""

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options = options
        self.calls: list[tuple[Any, ...]] = []
        self.records: deque[Record] = deque()
        self.full = False
        self.gone = False
        #: Messages that fit before the queue is full; a batch may go beyond it.
        self.room = 1 << 40
        #: Messages above this are too large.
        self.largest = 1 << 24
        self.released = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)

    def queue(
        self,
        kind: int,
        data: Any = "",
        *,
        flags: int = 0,
        subject: int = 0,
        tag: int = 0,
        code: int = 0,
        author: bytes | None = None,
    ) -> None:
        if not self.records:
            os.write(self._write, b"!")
        self.records.append(Record(kind, flags, 0, subject, tag, code, data, author))

    def peer(self, number: int, **fields: Any) -> None:
        self.queue(_records.CONNECTION, {**description(number), **fields}, subject=number)

    def message(self, number: int, data: bytes) -> None:
        self.queue(_records.MESSAGE, data, subject=number)

    def drain(self) -> list[Record]:
        batch = [self.records.popleft() for _ in range(min(BATCH, len(self.records)))]
        if batch and not self.records:
            os.read(self._read, 16)
        return batch

    def descriptor(self) -> int:
        return self._read

    def wait(self) -> bool:
        select.select([self._read], [], [])
        if self.released:
            raise ClosedError(CLOSED, "closed")
        return True

    def close(self) -> None:
        if not any(call[0] == "close" for call in self.calls):
            self.calls.append(("close",))
            self.queue(_records.CLOSED)

    def suspend(self) -> None:
        self.calls.append(("suspend",))

    def release(self) -> None:
        if not self.released:
            self.released = True
            os.write(self._write, b"!")

    def info(self) -> Any:
        return SimpleNamespace(legacy_id=bytes(20), key=bytes(32), port_v4=1, port_v6=0)

    def join(self, topic: bytes, secret: bytes | None, roles: int, limit: int) -> int:
        self.calls.append(("join", topic, secret, roles, limit))
        return len(self.calls)

    def close_topic(self, number: int) -> None:
        self.calls.append(("close_topic", number))

    def connect(self, address: str | None, key: bytes | None, timeout: float | None) -> Callable[[int], int]:
        def begin(tag: int) -> int:
            self.calls.append(("connect", address, timeout, tag, key))
            return 1000 + tag

        return begin

    def flush(self, tag: int) -> int:
        self.calls.append(("flush", tag))
        return 1000 + tag

    def answer(self, question: int, allowed: bool) -> None:
        self.calls.append(("answer", question, allowed))

    def state(self) -> StateDetails:
        return StateDetails()

    def cancel(self, operation: int) -> None:
        self.calls.append(("cancel", operation))

    def send(self, peer: int, data: bytes, tag: int) -> bool:
        if self.gone:
            raise PeerClosedError(NOT_FOUND, "it is not connected")
        if len(data) > self.largest:
            raise MessageTooLargeError(-300, f"{len(data)} bytes; at most {self.largest}")
        if self.full or self.room <= 0:
            return False
        self.room -= 1
        self.calls.append(("send", peer, data, tag))
        return True

    def writer(self, peer: int) -> Callable[[bytes], bool]:
        def write(data: bytes) -> bool:
            try:
                return self.send(peer, data, 0)
            except PeerClosedError:
                return False

        return write

    def send_many(
        self, peer: int, data: bytes, sizes: array[int], queued: ctypes.c_size_t
    ) -> tuple[bool, SetowireError | None]:
        self.calls.append(("send_many", len(sizes)))
        if self.room < 0:
            return False, None
        room = self.room - len(sizes)
        for size in sizes:
            self.room = 1
            try:
                if not self.send(peer, data[:size], 0):
                    return False, None
            except SetowireError as failure:
                self.room = room
                return True, failure
            queued.value += 1
            data = data[size:]
        self.room = room
        return room >= 0, None

    def buffered(self, peer: int) -> int:
        return 0

    def close_peer(self, peer: int) -> None:
        self.calls.append(("close_peer", peer))

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == name]

    def dispose(self) -> None:
        os.close(self._read)
        os.close(self._write)


def modern(number: int, *topics: int) -> dict[str, Any]:
    """What is different with a peer of our own kind, with which these topics are shared."""
    return {
        "id": None,
        "key": f"{number:064x}",
        "session": "setowire/13",
        "security": "tls1.3",
        "suite": "TLS_CHACHA20_POLY1305_SHA256",
        "topics": list(topics),
    }


def description(number: int) -> dict[str, Any]:
    """The JSON object of a connection."""
    return {
        "peer": number,
        "id": f"{number:040x}"[::-1],
        "key": None,
        "address": "127.0.0.1",
        "port": 40000 + number,
        "source": "lan",
        "session": "p2p-v12",
        "security": "legacy",
        "suite": None,
        "topics": [],
        "explicit": False,
        "family": "js-or-python",
        "confirmed": False,
        "client": True,
        "rtt_us": 1500,
        "connect_ms": 3,
        "max_message": 65474,
        "addresses": [f"127.0.0.1:{40000 + number}"],
    }


def install(monkeypatch: pytest.MonkeyPatch) -> list[FakeNative]:
    """Swarms get a `FakeNative` each; they are added to the list that is returned."""
    made: list[FakeNative] = []

    def make(options: Mapping[str, Any]) -> FakeNative:
        made.append(FakeNative(options))
        return made[-1]

    monkeypatch.setattr(setowire._core, "NativeSwarm", make)
    return made
