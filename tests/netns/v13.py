"""What tests of setowire/13 between two programs have in common."""

from __future__ import annotations

import hashlib
from typing import Any

from bed import Event, Program

DIALLER, ACCEPTOR = "dialler", "acceptor"
MESSAGES = (0, 1, 100, 1_200, 60_000, 1 << 20)
DATAGRAMS = (0, 1, 100, 1_150)


def pattern(size: int, seed: str) -> bytes:
    """Bytes that differ with size and seed."""
    return hashlib.shake_256(f"{seed} {size}".encode()).digest(size)


def by_address(one: Program, two: Program, **fields: Any) -> None:
    ready = two.ask("info", "info")
    one.ask("dial", "dialing", **{"ip": ready["ip"], "port": ready["port"], **fields})


def meet_by_address(one: Program, two: Program, **fields: Any) -> tuple[Event, Event]:
    by_address(one, two, **fields)
    return one.connection(two)[1], two.connection(one)[1]


def is_content(kind: str, data: bytes) -> Any:
    digest = hashlib.sha256(data).hexdigest()
    return lambda e: e["ev"] == kind and e["len"] == len(data) and e["sha256"] == digest


def exchange(one: Program, two: Program, messages: tuple[int, ...] = MESSAGES, datagrams: tuple[int, ...] = ()) -> None:
    """Messages and datagrams of all these sizes, both ways."""
    for sender, receiver in ((one, two), (two, one)):
        for size in messages:
            data = pattern(size, sender.id)
            assert sender.ask("write", "wrote", peer=receiver.id, hex=data.hex())["ok"]
            receiver.wait(is_content("data", data), f"message of {size} bytes")
        for size in datagrams:
            data = pattern(size, sender.id)
            assert sender.ask("datagram", "wrote", peer=receiver.id, hex=data.hex())["ok"]
            receiver.wait(is_content("datagram", data), f"datagram of {size} bytes")


def close(one: Program, two: Program, code: int, reason: str) -> None:
    """One closes; two hears why."""
    one.ask("close", "closing", peer=two.id, code=code, reason=reason)
    heard = two.disconnect(one)[1]
    assert (heard["code"], heard["reason"]) == (code, reason)


def outcome(one: Program, count: int = 1) -> str:
    """Why the count-th connection of one ended before it was ready."""
    name: str = one.wait(lambda e: e["ev"] == "refused", "the refusal", count)[1]["name"]
    return name
