"""The option `source`: swarms that meet through one of the application's own, and what happens when it fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import setowire
from conftest import quiet
from setowire import Announced, Directory
from setowire.hyperswarm import Hyperswarm
from setowire.hyperswarm2 import hyperswarm
from test_discovery import FAST
from waiting import Next, asyncio_test, until

Entries = dict[bytes, dict[bytes, str]]


def swarm_at(source: Any, **options: Any) -> setowire.Swarm:
    return setowire.Swarm(quiet(source=source, **FAST, **options))


@pytest.fixture
def failures() -> list[dict[str, Any]]:
    """What went to the loop's exception handler, once a test has set it."""
    return []


def listen_for(failures: list[dict[str, Any]]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))


@asyncio_test
async def test_two_swarms_meet_through_a_directory(topic: bytes) -> None:
    directory = Directory()
    async with swarm_at(directory) as one, swarm_at(directory) as other:
        assert await (await other.join(topic, server=True, client=False)).flushed()
        assert topic not in directory._entries, "it learns no topic"
        met = Next(other, "connection")
        assert await (await one.join(topic, client=True, server=False)).flushed()
        assert await one.flush()
        assert [(peer.key, peer.source, peer.client) for peer in one.peers] == [(other.key, "outside", True)]
        assert (await met()).key == one.key
        await other.peers[0].send(b"acknowledged")
        found = await one.lookup(topic)
        assert [(peer.key, peer.address, peer.port, peer.source) for peer in found] == [
            (other.key, "127.0.0.1", other.port, "outside")
        ]
    assert directory._entries == {}, "the end takes everything back"


@asyncio_test
async def test_three_swarms_share_a_directory(topic: bytes) -> None:
    directory = Directory()
    swarms = [swarm_at(directory if n else directory.at("127.0.0.1")) for n in range(3)]
    try:
        for swarm in swarms:
            assert await (await swarm.join(topic)).flushed()
        await until(lambda: all(swarm.size == 2 for swarm in swarms), "a mesh of three")
    finally:
        for swarm in swarms:
            await swarm.destroy()
    assert directory._entries == {}


@asyncio_test
async def test_what_is_left_is_taken_back(topic: bytes) -> None:
    directory = Directory()
    async with swarm_at(directory) as one, swarm_at(directory) as other:
        joined = await other.join(topic, server=True, client=False)
        assert await joined.flushed()
        assert [peer.key for peer in await one.lookup(topic)] == [other.key]
        await joined.close()
        while await one.lookup(topic):
            pass  # It is taken back soon after the session was closed.
        joined = await other.join(topic, server=True, client=False)
        assert await joined.flushed(), "it is announced after it was taken back"
        assert await joined.refresh(client=True, server=False)
        assert await one.lookup(topic) == [], "who is only a client takes it back in the same round"
        assert await other.announce(topic)
        assert len(await one.lookup(topic)) == 1
        other.unannounce(topic)
        await until(lambda: not other._taking_back)


@asyncio_test
async def test_peers_are_found_by_key() -> None:
    directory = Directory()
    async with swarm_at(directory) as one, swarm_at(directory) as other:
        await other.listen()
        await until(lambda: directory._entries, "an announcement of the key")
        peer = await one.connect(key=other.key)
        assert peer.key == other.key


class Asynchronous:
    """A directory whose methods are async, and which streams what it finds."""

    def __init__(self) -> None:
        self.entries: Entries = {}
        self.asked: list[str] = []
        #: Until then it has found one peer, and looks for more.
        self.more = asyncio.Event()

    async def announce(self, name: bytes, peer: Announced) -> AsyncIterator[tuple[bytes, str]]:
        await asyncio.sleep(0)
        self.asked.append("announce")
        self.entries.setdefault(name, {})[peer["key"]] = f"127.0.0.1:{peer['port_v4']}"
        return self._stream(name)

    def lookup(self, name: bytes) -> AsyncIterator[tuple[bytes, str]]:
        self.asked.append("lookup")
        return self._stream(name)

    async def unannounce(self, name: bytes, key: bytes) -> None:
        await asyncio.sleep(0.01)
        self.asked.append("unannounce")
        self.entries.get(name, {}).pop(key, None)

    async def _stream(self, name: bytes) -> AsyncIterator[tuple[bytes, str]]:
        for key, address in list(self.entries.get(name, {}).items()):
            yield key, address
        await self.more.wait()


@asyncio_test
async def test_peers_are_dialled_as_they_are_found(topic: bytes) -> None:
    source = Asynchronous()
    async with swarm_at(source) as one, swarm_at(source) as other:
        source.more.set()
        assert await (await other.join(topic, server=True, client=False)).flushed()
        source.more.clear()
        joined = await one.join(topic, client=True, server=False)
        waiting = asyncio.ensure_future(joined.flushed())
        await until(lambda: one.size == 1, "a connection while the source still looks")
        assert not waiting.done()
        source.more.set()
        assert await waiting
    assert not any(source.entries.values()) and source.asked[-1] == "unannounce"


class Failing:
    """It works in one way and not in another."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.withdrawn = 0
        self.cancelled = 0

    async def announce(self, name: bytes, peer: Announced) -> Any:
        if self.how == "raises":
            raise ZeroDivisionError
        if self.how == "never answers":
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        return self._found(peer)

    async def _found(self, peer: Announced) -> AsyncIterator[Any]:
        if self.how == "nonsense":
            yield b"no key"
        if self.how == "wrong address":
            yield bytes(32), "0.0.0.0:0"
        if self.how == "raises later":
            yield bytes(32), "127.0.0.1:9"
            raise ZeroDivisionError

    async def lookup(self, name: bytes) -> Any:
        return await self.announce(name, Announced(key=bytes(32), port_v4=0, port_v6=0))

    def unannounce(self, name: bytes) -> bool:
        self.withdrawn += 1
        if self.how == "raises":
            raise ZeroDivisionError
        return True


@pytest.mark.parametrize("how", ["raises", "raises later", "nonsense"])
@asyncio_test
async def test_a_source_that_fails(how: str, topic: bytes, failures: list[dict[str, Any]]) -> None:
    listen_for(failures)
    source = Failing(how)
    async with swarm_at(source) as swarm:
        updated = Next(swarm, "updated")
        joined = await swarm.join(topic, server=True, client=False)
        assert await joined.flushed() is False
        assert await updated() == (joined, False)
        assert await swarm.flush()
    assert source.withdrawn >= 1, "it may have been announced"
    assert failures and all("source" in failure["message"] for failure in failures)
    expected = ValueError if how == "nonsense" else ZeroDivisionError
    assert isinstance(failures[0]["exception"], expected)


@asyncio_test
async def test_who_announces_nonsense_hides_nobody(topic: bytes, failures: list[dict[str, Any]]) -> None:
    listen_for(failures)
    async with swarm_at(Failing("wrong address")) as swarm:
        assert await (await swarm.join(topic, server=True, client=False)).flushed()
    assert isinstance(failures[0]["exception"], setowire.InvalidArgumentError)


@asyncio_test
async def test_a_source_that_never_answers_is_not_waited_for(topic: bytes) -> None:
    """The library would end the round after 30 s, which its own tests show."""
    source = Failing("never answers")
    async with swarm_at(source) as swarm:
        joined = await swarm.join(topic, client=True, server=False)
        waiting = asyncio.ensure_future(joined.flushed())
        await until(lambda: swarm._rounds, "a round")
        await joined.close()
        assert await waiting is False
        await until(lambda: not swarm._rounds and source.cancelled, "the end of the question")
        await swarm.join(topic)
        await until(lambda: swarm._rounds, "a round")
    assert not swarm._tasks and not swarm._rounds, "the end of the swarm ends what the source is at"


@asyncio_test
async def test_an_end_by_force_does_not_wait_for_the_source(topic: bytes) -> None:
    directory = Directory()
    swarm = swarm_at(directory)
    assert await (await swarm.join(topic)).flushed()
    await swarm.destroy(force=True)
    assert directory._entries, "nothing was taken back"


class Slow(Directory):
    """It blocks: with threads a source may."""

    def announce(self, name: bytes, peer: Announced) -> list[tuple[bytes, str]]:
        threading.Event().wait(0.1)
        return super().announce(name, peer)


def test_without_asyncio(topic: bytes) -> None:
    directory = Slow()
    with setowire.sync.Swarm(quiet(source=directory)) as one, setowire.sync.Swarm(quiet(dht=directory)) as other:
        assert other.join(topic, server=True, client=False).flushed()
        assert one.join(topic, client=True, server=False).flushed() and one.flush()
        assert [peer.key for peer in one.peers] == [other.key]
        assert [peer.key for peer in one.lookup(topic)] == [other.key]
        other.leave(topic)
        while one.lookup(topic):  # until the source was told
            other.poll(0.2)
    assert directory._entries == {}


class Raising(Directory):
    fails = True

    def announce(self, name: bytes, peer: Announced) -> list[tuple[bytes, str]]:
        if self.fails:
            raise ZeroDivisionError
        return super().announce(name, peer)

    def unannounce(self, name: bytes, key: bytes) -> None:
        raise ArithmeticError


def test_a_source_that_fails_without_asyncio(topic: bytes) -> None:
    directory = Raising()
    swarm = setowire.sync.Swarm(quiet(source=directory))
    joined = swarm.join(topic, server=True, client=False)
    with pytest.raises(ArithmeticError):
        joined.flushed()
    for _ in range(3):  # our key was to be announced, too
        try:
            assert joined.flushed() is False
            break
        except ArithmeticError:
            pass
    with pytest.raises(ArithmeticError):
        swarm.destroy()
    assert swarm.destroyed and swarm.poll() is None


def test_an_async_source_without_asyncio(topic: bytes) -> None:
    class Later(Directory):
        async def lookup(self, name: bytes) -> Any:
            return []

    with setowire.sync.Swarm(quiet(source=Later())) as swarm:
        joined = swarm.join(topic, client=True, server=False)
        with pytest.raises(TypeError, match="async"):
            joined.flushed()


@asyncio_test
async def test_as_the_option_dht_of_hyperswarm(topic: bytes) -> None:
    directory = Directory()
    options: dict[str, Any] = {"bind": "127.0.0.1:0", "lan": False, "dht": directory}
    async with Hyperswarm(options) as one, Hyperswarm(options) as other, hyperswarm(options, ephemeral=True) as third:
        assert await other.join(topic, server=True, client=False).flushed()
        one.join(topic, client=True, server=False)
        assert await one.flush() and len(one.connections) == 1
        third.join(topic)
        await until(lambda: len(other.connections) == 2)


@asyncio_test
async def test_another_port_is_announced(topic: bytes) -> None:
    directory = Directory()
    async with swarm_at(directory, announce_port=40_077) as swarm:
        assert await (await swarm.join(topic)).flushed()
        addresses = {address for entries in directory._entries.values() for address, _ in entries.values()}
        assert addresses == {"127.0.0.1:40077"} and swarm.port != 40_077


@pytest.mark.parametrize(
    "wrong, what",
    [
        (lambda: setowire.Swarm(quiet(source=object())), "announce"),
        (lambda: setowire.Swarm(quiet(source=Directory(), dht=Directory())), "either"),
        (lambda: setowire.Swarm(quiet(announce_port=0)), "announce_port"),
        (lambda: Directory("example.org"), "example.org"),
    ],
)
def test_what_is_no_source(wrong: Callable[[], object], what: str) -> None:
    with pytest.raises((TypeError, ValueError), match=what):
        wrong()


def test_a_directory_of_the_other_family() -> None:
    directory = Directory("::1")
    peer = Announced(key=bytes(32), port_v4=5, port_v6=None)
    with pytest.raises(ValueError, match="IPv6"):
        directory.announce(bytes(32), peer)
    assert directory.announce(bytes(32), {**peer, "port_v6": 6}) == []
    assert directory.at("127.0.0.1").lookup(bytes(32)) == [(bytes(32), "[::1]:6")]
    directory.unannounce(bytes(32), bytes(32))
    directory.unannounce(bytes(32), bytes(32))
    assert directory._entries == {}


def test_a_directory_forgets_who_announces_himself_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("setowire._source.monotonic", lambda: now[0])
    directory = Directory()
    gone, there = (Announced(key=bytes([n]) * 32, port_v4=n, port_v6=None) for n in (1, 2))
    for name in (b"one", b"other"):
        directory.announce(name, gone)
    now[0] += 1200
    assert directory.announce(b"one", there) == [(gone["key"], "127.0.0.1:1")]
    now[0] += 601
    assert directory.lookup(b"one") == [(there["key"], "127.0.0.1:2")]
    assert directory.lookup(b"other") == [] and list(directory._entries) == [b"one"]
    directory.announce(b"one", there)
    now[0] += 1200
    assert directory.lookup(b"one") == [(there["key"], "127.0.0.1:2")], "who repeats it stays"
