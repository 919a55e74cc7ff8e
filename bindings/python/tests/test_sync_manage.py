"""The same without asyncio: topics as client and server, flushes, known peers, firewalls, suspending."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

import setowire
from conftest import DEADLINE, local, quiet
from setowire import events, sync
from test_discovery import FAST
from test_sync import next_of


def at(swarm: sync.Swarm) -> str:
    return f"127.0.0.1:{swarm.port}"


def test_client_server_flush_and_lookup(topic: bytes) -> None:
    with sync.Swarm(local(legacy=False)) as one, sync.Swarm(local(legacy=False)) as other:
        served = other.join(topic, server=True, client=False)
        assert served.flushed(DEADLINE) and served.ready()
        assert [candidate.key for candidate in one.lookup(topic, DEADLINE)] == [other.key]
        looking = one.join(topic, announce=False)
        assert (looking.info.client, looking.info.server) == (True, False)
        assert one.flush(DEADLINE)
        (peer,) = one.connections
        assert (peer.key, peer.info.topics, one.topics, one.status(topic)) == (other.key, [topic], [looking], looking)
        assert peer.info is one.known[other.key.hex()]
        assert looking.refresh(server=True, timeout=DEADLINE) and looking.status.server
        assert next_of(one, events.TopicUpdated).topic is looking
        assert one.announce(topic, DEADLINE) and other.listening
        one.unannounce(topic)
        looking.close()
        assert not looking.flushed() and one.topics == []


def test_events_of_the_swarm(topic: bytes) -> None:
    with sync.Swarm(local(legacy=False)) as one, sync.Swarm(local(legacy=False)) as other:
        other.join(topic, server=True, client=False).flushed(DEADLINE)
        one.join(topic, client=True, server=False)
        found = next_of(one, events.PeerFound).candidate
        assert (found.key, found.topic) == (other.key, topic)
        # Nobody has read in the meantime: of many changes one is kept, behind all that belongs to it.
        assert one.flush(DEADLINE) and one.size == 1
        waiting = [event for event in one._events if isinstance(event, events.Changed)]
        assert len(waiting) <= 1
        seen = []
        while (event := one.poll(DEADLINE)) is not None:
            seen.append(event)
            if isinstance(event, events.Changed) and event.connections == 1:
                break
        assert any(isinstance(event, events.Connection) for event in seen)


def test_the_end_of_waiting(topic: bytes) -> None:
    swarm = sync.Swarm(local())
    joined = swarm.join(topic)
    with pytest.raises(TimeoutError):
        swarm.flush(0.0) or pytest.fail("it was flushed")
    assert not swarm._operations
    results: list[bool] = []
    waiting = [threading.Thread(target=lambda call=call: results.append(call())) for call in (joined.flushed, swarm.flush)]
    for thread in waiting:
        thread.start()
    swarm.destroy(force=True)
    for thread in waiting:
        thread.join(DEADLINE)
    assert len(results) == 2 and swarm.destroyed
    assert not swarm.flush() and swarm.known == {} and not swarm.listening


def test_join_peer_ban_and_suspend() -> None:
    with sync.Swarm(quiet(**FAST)) as one, sync.Swarm(quiet(**FAST)) as other:
        other.listen()
        one.join_peer(other.key, at(other))
        assert one.flush(DEADLINE)
        back = next_of(other, events.Connection).peer
        info = one.known[other.key.hex()]
        assert info.explicit and info.connected and one.state.explicit_peers == 1
        one.suspend(DEADLINE)
        assert one.suspended and not one.peers
        assert next_of(other, events.Disconnection).peer is back
        one.resume()
        back = next_of(other, events.Connection).peer
        back.info.ban(close=True)
        assert next_of(other, events.Disconnection).peer is back and other.known[one.key.hex()].banned
        other.unban(one.key)
        one.leave_peer(other.key)


def test_a_firewall_is_asked_in_every_call_that_waits() -> None:
    asked: list[str] = []

    def firewall(key: bytes, info: dict[str, Any]) -> bool:
        asked.append(threading.current_thread().name)
        return key == banned.key

    with sync.Swarm(quiet(firewall=firewall)) as one, sync.Swarm(quiet()) as other, sync.Swarm(quiet()) as banned:
        reading = threading.Thread(target=lambda: one.poll(DEADLINE) and None, name="reader")
        reading.start()
        assert other.connect(at(one)).key == one.key
        reading.join(DEADLINE)
        assert asked == ["reader"]
        with pytest.raises(setowire.SetowireError):
            threading.Thread(target=next_of, args=(one, events.Banned)).start()
            banned.connect(at(one), timeout=3)
        assert one.known[banned.key.hex()].banned


def test_a_firewall_that_fails_comes_out_of_the_call_that_reads() -> None:
    def firewall(key: bytes) -> bool:
        raise ZeroDivisionError

    async def later(key: bytes) -> bool:
        return False

    for asked, error in ((firewall, ZeroDivisionError), (later, TypeError)):
        with sync.Swarm(quiet(firewall=asked, firewall_deadline=200)) as one, sync.Swarm(quiet()) as other:
            dialling = threading.Thread(target=lambda: pytest.raises(setowire.SetowireError, other.connect, at(one), 2))
            dialling.start()
            with pytest.raises(error):
                one.poll(DEADLINE)
            dialling.join(DEADLINE)
            assert one.state.banned == 0 and not one.peers


def test_validate(topic: bytes) -> None:
    with sync.Swarm(local(legacy=False, validate=lambda key: False)) as one, sync.Swarm(local(legacy=False)) as other:
        other.join(topic, server=True, client=False).flushed(DEADLINE)
        one.join(topic, client=True, server=False)
        assert next_of(one, events.PeerRejected).candidate.key == other.key
        assert one.flush(DEADLINE) and not one.peers


def test_connect_by_key_alone() -> None:
    with sync.Swarm(local()) as one, sync.Swarm(local()) as other:
        other.listen()
        assert one.connect(key=other.key).key == other.key
        with pytest.raises(setowire.SetowireError):
            one.connect(key=os.urandom(32), timeout=0.2)
        with pytest.raises(ValueError, match="an address or a key"):
            one.connect()
