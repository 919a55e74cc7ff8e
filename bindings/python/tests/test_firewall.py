"""The options `firewall` and `validate`: whom they keep out, and what happens when they fail or do not answer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import setowire
from conftest import DEADLINE, local, quiet
from test_discovery import FAST
from test_known import at
from waiting import Next, asyncio_test, until


@asyncio_test
async def test_a_firewall_bans_whom_it_rejects() -> None:
    asked: list[tuple[bytes, dict[str, Any]]] = []

    def firewall(key: bytes, info: dict[str, Any]) -> bool:
        asked.append((key, info))
        return True

    async with setowire.Swarm(quiet(firewall=firewall)) as one, setowire.Swarm(quiet()) as other:
        banned = Next(one, "ban")
        with pytest.raises(setowire.SetowireError):
            await other.connect(at(one), timeout=2)
        info, reason = await banned()
        assert (info.key, reason, info.banned) == (other.key, "Peer is firewalled", True)
        assert one.state.banned == 1 and not one.peers and not other.peers
        ((key, told),) = asked
        assert key == other.key and told["purpose"] == "incoming" and told["address"] == "127.0.0.1"
        with pytest.raises(setowire.SetowireError):
            await other.connect(at(one), timeout=1)
        assert len(asked) == 1, "who is banned is not asked about"


@asyncio_test
async def test_a_firewall_is_asked_before_a_dial(topic: bytes) -> None:
    purposes: list[str] = []

    async def firewall(key: bytes, info: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        purposes.append(info["purpose"])
        return bool(key != wanted.key)

    async with setowire.Swarm(local()) as wanted, setowire.Swarm(local()) as unwanted:
        for server in (wanted, unwanted):
            await (await server.join(topic, server=True, client=False)).flushed()
        async with setowire.Swarm(local(firewall=firewall, legacy=False)) as one:
            banned = Next(one, "ban")
            await one.join(topic, client=True, server=False)
            assert await one.flush()
            assert [peer.key for peer in one.peers] == [wanted.key]
            assert (await banned())[0].key == unwanted.key and not unwanted.peers
            assert set(purposes) == {"dial"}


@asyncio_test
async def test_a_firewall_may_take_the_key_alone() -> None:
    keys: list[bytes] = []

    def firewall(key: bytes) -> bool:
        keys.append(key)
        return False

    async with setowire.Swarm(quiet(firewall=firewall)) as one, setowire.Swarm(quiet()) as other:
        await other.connect(at(one))
        assert keys == [other.key]


@pytest.mark.parametrize("kind", ["raises", "raises later", "never answers"])
@asyncio_test
async def test_without_an_answer_a_peer_is_turned_away_and_not_banned(kind: str) -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))

    def raises(key: bytes) -> bool:
        raise ZeroDivisionError

    async def raises_later(key: bytes) -> bool:
        raise ZeroDivisionError

    async def never(key: bytes) -> bool:
        await asyncio.Event().wait()
        return False

    firewall = {"raises": raises, "raises later": raises_later, "never answers": never}[kind]
    options: Any = {"firewall": firewall, "firewall_deadline": 200, "handshake_clear_wait": 100}
    async with setowire.Swarm(quiet(**options)) as one, setowire.Swarm(quiet()) as other:
        with pytest.raises(setowire.SetowireError):
            await other.connect(at(one), timeout=3)
        assert not one.peers and one.state.banned == 0 and not one.known
        expected = [] if kind == "never answers" else [ZeroDivisionError]
        assert [type(failure["exception"]) for failure in failures][:1] == expected
        if failures:
            assert "firewall" in failures[0]["message"]
        await until(lambda: not one._tasks, "the end of who does not answer")


@asyncio_test
async def test_a_firewall_that_blocks_stops_no_network() -> None:
    """The loop of the swarm that it is of stands still; what a peer sends it arrives."""
    asked, release, over = threading.Event(), threading.Event(), threading.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def firewall(key: bytes) -> bool:
        if key == friend.key:
            return False
        asked.set()
        release.wait(DEADLINE)
        return False

    async def blocked() -> None:
        async with setowire.Swarm(quiet(firewall=firewall, firewall_deadline=8000)) as swarm:
            loop.call_soon_threadsafe(address.set_result, at(swarm))
            await asyncio.to_thread(over.wait, DEADLINE)

    async with setowire.Swarm(quiet()) as friend, setowire.Swarm(quiet()) as stranger:
        thread = threading.Thread(target=lambda: asyncio.run(blocked()))
        thread.start()
        try:
            peer = await friend.connect(await address)
            connecting = asyncio.ensure_future(stranger.connect(await address, timeout=15))
            assert await asyncio.to_thread(asked.wait, DEADLINE)
            await peer.send(b"acknowledged by its network")
            assert not release.is_set() and not connecting.done()
            release.set()
            assert (await connecting).connected
        finally:
            release.set()
            over.set()
            await asyncio.to_thread(thread.join)


@asyncio_test
async def test_what_validate_does_not_want_is_told_and_not_dialled(topic: bytes) -> None:
    def validate(key: bytes, info: dict[str, Any]) -> bool:
        assert info["purpose"] == "candidate" and info["topic"] == topic
        return bool(key == wanted.key)

    async with setowire.Swarm(local(legacy=False)) as wanted, setowire.Swarm(local(legacy=False)) as unwanted:
        for server in (wanted, unwanted):
            await (await server.join(topic, server=True, client=False)).flushed()
        async with setowire.Swarm(local(validate=validate, legacy=False, **FAST)) as one:
            found, rejected = Next(one, "peer"), Next(one, "peer-rejected")
            await one.join(topic, client=True, server=False)
            no, yes = await rejected(), await found()
            assert (no.key, no.topic, yes.key, yes.source) == (unwanted.key, topic, wanted.key, "lan")
            assert await one.flush()
            assert [peer.key for peer in one.peers] == [wanted.key] and one.state.banned == 0


def test_something_that_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="firewall"):
        setowire.Swarm(quiet(firewall=True))


@asyncio_test
async def test_an_answer_that_is_late_is_no_error() -> None:
    async with setowire.Swarm(quiet()) as other:

        def firewall(key: bytes) -> bool:
            threading.Event().wait(0.3)  # the loop stands still for longer than the deadline
            return True

        async with setowire.Swarm(quiet(firewall=firewall, firewall_deadline=100)) as one:
            with pytest.raises(setowire.SetowireError):
                await other.connect(at(one), timeout=3)
            assert one.state.banned == 0 and not one.peers


class Undecided:
    """A verdict that is neither true nor false, as an array of several numbers is."""

    def __bool__(self) -> bool:
        raise ValueError("is it?")


@asyncio_test
async def test_a_verdict_that_says_nothing_stops_no_other_event() -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    options: Any = {"firewall": lambda key: Undecided(), "firewall_deadline": 200}
    async with setowire.Swarm(quiet(**options)) as one, setowire.Swarm(quiet()) as other:
        with pytest.raises(setowire.SetowireError):
            await other.connect(at(one), timeout=3)
        assert not one.peers and one.state.banned == 0
    assert failures and all("firewall" in failure["message"] for failure in failures), failures


def test_a_firewall_that_raises_does_not_keep_a_swarm_from_its_end() -> None:
    def raises(key: bytes) -> bool:
        raise ZeroDivisionError

    one = setowire.sync.Swarm(quiet(firewall=raises))
    with setowire.sync.Swarm(quiet()) as other:
        with pytest.raises(setowire.SetowireError):
            other.connect(at(one), timeout=1)  # nobody reads what it is asked meanwhile
        one.destroy()
    assert one.destroyed and one._end is not None
