"""The synchronous swarm with the real library, on loopback."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any, TypeVar

import pytest

import setowire
from conftest import DEADLINE, local, quiet
from setowire import events, sync

E = TypeVar("E")


def next_of(swarm: sync.Swarm, kind: type[E]) -> E:
    """The next event of a kind; others before it are passed over."""
    deadline = time.monotonic() + DEADLINE / 2
    while (left := deadline - time.monotonic()) > 0:
        event = swarm.poll(left)
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__}")


def test_two_swarms_meet_by_topic_and_talk(topic: bytes) -> None:
    with sync.Swarm(local()) as one, sync.Swarm(local()) as other:
        one.join(topic)
        other.join(topic)
        there, back = next_of(one, events.Connection).peer, next_of(other, events.Connection).peer
        assert (there.key, back.key) == (other.key, one.key)
        there.send(b"question", timeout=DEADLINE)
        message = next_of(other, events.Message)
        assert (message.peer, message.data, message.clear) == (back, b"question", False)
        assert other.broadcast(b"answer") == 1
        assert next_of(one, events.Message).data == b"answer"


def test_connect_what_happened_meanwhile_and_the_end() -> None:
    with sync.Swarm(quiet()) as one, sync.Swarm(quiet()) as other:
        peer = one.connect(f"127.0.0.1:{other.port}")
        assert peer.source == "connect" and one.peers == [peer] and one.size == 1
        assert isinstance(one.poll(0), events.Connection), "the event of the connection was not kept"
        assert next_of(other, events.Connection).peer.key == one.key
        other.peers[0].close()
        assert next_of(one, events.Disconnection).peer is peer
        assert not peer.connected and one.size == 0


def test_connect_fails_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf, sync.Swarm(quiet()) as swarm:
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises((TimeoutError, setowire.UnreachableError)):
            swarm.connect(f"127.0.0.1:{deaf.getsockname()[1]}", timeout=0.2)
        assert not swarm._operations


def test_iteration_ends_with_the_swarm() -> None:
    swarm = sync.Swarm(quiet())
    seen: list[Any] = []
    reading = threading.Thread(target=lambda: seen.extend(swarm))
    reading.start()
    swarm.destroy()
    reading.join(DEADLINE)
    assert not reading.is_alive()
    assert sum(isinstance(event, events.Closed) for event in seen) <= 1
    assert swarm.poll(None) is None
    swarm.destroy()
    with pytest.raises(setowire.ClosedError):
        swarm.broadcast(b"x")


def test_listeners_are_called_by_poll() -> None:
    with sync.Swarm(quiet()) as one, sync.Swarm(quiet()) as other:
        seen: list[Any] = []
        other.on("connection", lambda peer: peer.write(b"welcome"))
        one.on("data", lambda data, peer: seen.append(data))
        one.once("disconnect", seen.append)
        peer = one.connect(f"127.0.0.1:{other.port}")
        next_of(other, events.Connection)
        next_of(one, events.Message)
        other.destroy()
        next_of(one, events.Disconnection)
        assert seen == [b"welcome", peer.id]


def test_a_listener_that_fails_comes_out_of_poll() -> None:
    with sync.Swarm(quiet()) as one, sync.Swarm(quiet()) as other:

        def fail(peer: sync.Peer) -> None:
            raise ZeroDivisionError

        other.on("connection", fail)
        one.connect(f"127.0.0.1:{other.port}")
        with pytest.raises(ZeroDivisionError):
            next_of(other, events.Connection)
        assert other.size == 1


def test_wrong_times_and_types_are_named() -> None:
    with sync.Swarm(quiet()) as one, sync.Swarm(quiet()) as other:
        address = f"127.0.0.1:{other.port}"
        peer = one.connect(address, timeout=float("inf"))
        for wrong in (-1, float("nan")):
            for call in (one.poll, lambda timeout: one.connect(address, timeout), lambda timeout: peer.send(b"x", timeout)):
                with pytest.raises(ValueError, match="timeout: (-1|nan) is not a time"):
                    call(wrong)
        wrong_types: list[tuple[str, Any]] = [
            ("timeout: .* not str", lambda: one.poll("1")),  # type: ignore[arg-type]
            ("address: .* not int", lambda: one.connect(7)),  # type: ignore[arg-type]
            ("topic: .* not int", lambda: one.join(7)),  # type: ignore[arg-type]
            ("data: .* not str", lambda: one.broadcast("text")),  # type: ignore[arg-type]
            ("seed: .* not int", lambda: sync.Swarm(quiet(seed=7))),
        ]
        for what, call_of in wrong_types:
            with pytest.raises(TypeError, match=what):
                call_of()
        assert isinstance(one.poll(1e300), events.Connection)


def test_eight_threads_at_once() -> None:
    """All kinds of calls from eight threads, some in poll at the same time; each message arrives once."""
    each = 200
    with sync.Swarm(quiet()) as one, sync.Swarm(quiet()) as other:
        one.connect(f"127.0.0.1:{other.port}")
        (there,) = one.peers
        next_of(other, events.Connection)
        got: list[bytes] = []
        failures: list[BaseException] = []
        ended = threading.Event()

        def guarded(work: Any, *arguments: Any) -> threading.Thread:
            def run() -> None:
                try:
                    work(*arguments)
                except BaseException as failure:
                    failures.append(failure)

            thread = threading.Thread(target=run)
            thread.start()
            return thread

        def send(who: int) -> None:
            for number in range(each):
                there.send(b"%d %d" % (who, number), DEADLINE)
                there.stats(), one.stats(), one.peers, there.rtt, there.buffered

        def receive() -> None:
            while not ended.is_set():
                event = other.poll(0.05)
                if isinstance(event, events.Message):
                    got.append(event.data)
                    if len(got) >= 4 * each:
                        ended.set()

        def churn() -> None:
            while not ended.is_set():
                topic = one.join(os.urandom(32))
                one.poll(0.001)
                topic.close()

        receivers = [guarded(receive) for _ in range(3)]
        churner = guarded(churn)
        senders = [guarded(send, who) for who in range(4)]
        for thread in senders:
            thread.join(DEADLINE)
        ended.wait(DEADLINE)
        ended.set()
        for thread in [*receivers, churner]:
            thread.join(DEADLINE)
        assert not failures
        assert sorted(got) == sorted(b"%d %d" % (who, number) for who in range(4) for number in range(each))


def test_closing_while_other_threads_wait_and_call() -> None:
    for _ in range(10):
        one, other = sync.Swarm(quiet()), sync.Swarm(quiet())
        peer = one.connect(f"127.0.0.1:{other.port}")
        outcomes: list[BaseException | None] = []

        def use() -> None:
            try:
                while True:
                    peer.send(bytes(1000))
                    if one.poll(0) is None and not peer.connected:
                        one.broadcast(b"x")
            except setowire.SetowireError as failure:
                outcomes.append(failure)

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        one.destroy()
        for thread in threads:
            thread.join(DEADLINE)
        other.destroy()
        assert len(outcomes) == 8
        assert all(isinstance(outcome, (setowire.ClosedError, setowire.PeerClosedError)) for outcome in outcomes)
