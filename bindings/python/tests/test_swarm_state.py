"""Suspending and resuming, the forced end, counters, presets, and events that nobody listens to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import setowire
from conftest import local, quiet
from fake import FakeNative, install
from setowire import _records
from test_discovery import FAST
from test_known import at
from waiting import Next, asyncio_test, until


@asyncio_test
async def test_suspend_and_resume(topic: bytes) -> None:
    async with setowire.Swarm(local(**FAST)) as one, setowire.Swarm(local(**FAST)) as other:
        met, back = Next(one, "connection"), Next(other, "connection")
        for swarm in (one, other):
            await swarm.join(topic)
        await met(), await back()
        await one.suspend()
        assert one.suspended and not one.peers and one.state.connections == 0
        await one.suspend()
        await until(lambda: not other.peers)
        with pytest.raises(setowire.SetowireError):
            await other.connect(at(one), timeout=1)
        await one.resume()
        assert not one.suspended
        assert ((await met()).key, (await back()).key) == (other.key, one.key)
        await one.resume()


@asyncio_test
async def test_a_forced_end() -> None:
    one, other = setowire.Swarm(quiet()), setowire.Swarm(quiet())
    await one.connect(at(other))
    left = Next(other, "disconnect")
    await one.destroy(force=True)
    assert one.destroyed and not one.peers
    await left()
    await one.destroy(force=True)
    await other.destroy()
    assert other.destroyed
    for call in (lambda: one.join_peer(bytes(32)), lambda: one.ban(bytes(32)), lambda: one.unannounce(bytes(32))):
        with pytest.raises(setowire.ClosedError):
            call()
    for later in (one.join(bytes(32)), one.listen(), one.suspend(), one.resume(), one.connect(at(other))):
        with pytest.raises(setowire.ClosedError):
            await later


@asyncio_test
async def test_counters_and_changes(topic: bytes) -> None:
    async with setowire.Swarm(local(legacy=False)) as client, setowire.Swarm(local(legacy=False)) as server:
        seen: list[tuple[int, int]] = []
        client.on("changed", lambda: seen.append((client.connecting, client.size)))
        await (await server.join(topic, server=True, client=False)).flushed()
        await client.join(topic, client=True, server=False)
        await until(lambda: seen and seen[-1] == (0, 1))
        theirs, ours = server.state, client.state
        assert (ours.client_attempted, ours.client_opened, ours.client_closed, ours.server_opened) == (1, 1, 0, 0)
        assert (theirs.server_opened, theirs.server_closed, theirs.client_attempted) == (1, 0, 0)
        assert ours.connections == ours.known == 1 and ours.updates >= 2 and ours.open
        client.peers[0].close()
        await until(lambda: client.state.client_closed == 1 and server.state.server_closed == 1)


@pytest.mark.parametrize("preset, both", [("setowire", True), ("v4", True), ("v2", False)])
@asyncio_test
async def test_presets(preset: Any, both: bool) -> None:
    async with setowire.Swarm(quiet(), preset=preset) as swarm:
        joined = await swarm.join(bytes(32))
        assert (joined.info.client, joined.info.server) == (True, both)
        again = await swarm.join(bytes(32))
        # Hyperswarm 2 has no sessions: joining again leaves first.
        assert joined.closed is not both and swarm.status(bytes(32)) is (joined if both else again)


@pytest.mark.parametrize(
    "options, what",
    [
        ({"preset": "v3"}, "preset"),
        ({"backoffs": [1, 2]}, "backoffs"),
        ({"max_parallel": 0}, "max_parallel"),
        ({"max_client_connections": -1}, "max_client_connections"),
        ({"firewall_deadline": 60_000}, "firewall_deadline"),
        ({"bootstrap": ["::::"]}, "bootstrap"),
        ({"bind": "127.0.0.1:5-4"}, "bind"),
        ({"requeue": [1, 2, 3, 4]}, "requeue"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_bad_options_are_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(setowire.InvalidArgumentError, match=what):
        setowire.sync.Swarm(options)


def test_good_options_are_taken() -> None:
    options: dict[str, Any] = {
        "preset": "v2",
        "max_client_connections": float("inf"),
        "max_server_connections": 3,
        "max_parallel": 2,
        "jitter": 0,
        "requeue": [100, 200, 300],
        "forget_unresponsive": 100,
        "forget_banned": float("inf"),
        "bootstrap": ["127.0.0.1:1"],
        "handshake_clear_wait": 100,
        **quiet(bind="127.0.0.1:20000-20100"),
    }
    with setowire.sync.Swarm(options) as one, setowire.sync.Swarm(options) as other:
        assert one.port is not None and other.port is not None
        assert 20000 <= one.port < other.port <= 20100


@asyncio_test
async def test_a_listening_side_with_a_limit() -> None:
    async with setowire.Swarm(quiet(), max_server_connections=1) as one, setowire.Swarm(quiet()) as two, setowire.Swarm(quiet()) as three:
        await two.connect(at(one))
        with pytest.raises(setowire.SetowireError):
            await three.connect(at(one), timeout=2)
        assert (await one.connect(at(three))).key == three.key


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeNative]]:
    natives = install(monkeypatch)
    yield natives
    for native in natives:
        native.dispose()


@asyncio_test
async def test_events_that_nobody_listens_to_are_not_taken_apart(made: list[FakeNative]) -> None:
    whom = {"key": "11" * 32, "id": None}
    found = {**whom, "address": None, "port": None, "source": "lan", "local": True, "topic": 7}
    banned = json.dumps({**whom, "reason": "why"}).encode()
    async with setowire.Swarm() as swarm:
        (native,) = made
        topic = await swarm.join(bytes(32))
        for kind in (_records.CHANGED, _records.PEER, _records.PEER_REJECTED, _records.TOPIC_UPDATED, _records.BANNED):
            native.queue(kind, b"not even JSON", subject=topic.number)
        await until(lambda: not native.records)
        waits = {name: Next(swarm, name) for name in ("changed", "peer", "peer-rejected", "updated", "ban", "topic")}
        native.queue(_records.CHANGED, b'{"connecting":1,"connections":2,"known":3}')
        native.queue(_records.PEER, json.dumps(found).encode(), tag=topic.number)
        native.queue(_records.PEER_REJECTED, json.dumps(found).encode())
        native.queue(_records.TOPIC_UPDATED, b"", subject=topic.number, code=-100)
        native.queue(_records.TOPIC_UPDATED, b"", subject=99)
        native.queue(_records.BANNED, banned)
        native.queue(_records.PEER_TOPIC, json.dumps(whom).encode(), tag=topic.number)
        native.queue(_records.PEER_TOPIC, json.dumps(whom).encode(), tag=99)
        assert await waits["changed"]() == ()
        candidate = await waits["peer"]()
        assert (candidate.key, candidate.topic, candidate.id) == (bytes.fromhex("11" * 32), bytes(32), "11" * 8)
        assert (await waits["peer-rejected"]()).topic is None
        assert await waits["updated"]() == (topic, False)
        info, reason = await waits["ban"]()
        assert (info.key, reason) == (candidate.key, "why")
        assert await waits["topic"]() == (info, bytes(32))


@asyncio_test
async def test_options_that_are_on_or_off_take_nothing_else() -> None:
    for name in ("lan", "legacy", "accept_explicit", "clear_fragments"):
        for value in (True, False, "on", "off", "true", "false", 1, 0):
            swarm = setowire.Swarm(local(**{name: value}))
            await swarm.destroy()
        with pytest.raises(setowire.SetowireError, match=name):
            setowire.Swarm(local(**{name: "perhaps"}))
        with pytest.raises(TypeError, match=name):
            setowire.Swarm(local(**{name: [1]}))


@asyncio_test
async def test_off_as_text_is_off(topic: bytes) -> None:
    async with setowire.Swarm(local(accept_explicit="off")) as shut, setowire.Swarm(local()) as caller:
        with pytest.raises(setowire.SetowireError):
            await caller.connect(f"127.0.0.1:{shut.port}", timeout=5)


@pytest.mark.parametrize("kind", [_records.MESSAGE, _records.DATAGRAM, _records.PEER, _records.TOPIC_UPDATED])
def test_what_nobody_polls_is_bounded(made: list[FakeNative], monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    monkeypatch.setattr(setowire.sync, "BACKLOG", 50)
    swarm = setowire.sync.Swarm()
    (native,) = made
    topic = swarm.join(bytes(32))
    native.peer(7)
    found = {"key": "11" * 32, "id": None, "address": None, "port": None, "source": "lan", "local": True}
    for number in range(300):
        data = json.dumps(found).encode() if kind == _records.PEER else number.to_bytes(2, "big")
        native.queue(kind, data, subject=topic.number if kind == _records.TOPIC_UPDATED else 7)
    with swarm._changed:
        swarm._read_until(lambda: not native.records, None)  # as a call does that waits for something else
    kept = list(iter(swarm.poll, None))
    assert isinstance(kept[0], setowire.events.Connection), "what is about connections stays"
    assert len(kept) <= 52
    lost = [event.messages for event in kept if isinstance(event, setowire.events.Lost)]
    assert lost == ([300 - 49] if kind == _records.MESSAGE else [])
    swarm.destroy()
