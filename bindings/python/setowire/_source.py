"""Sources of peers that the application brings along: the option `source` (also `dht`), and `Directory`.

The library asks, by name: what a topic is called outside, from which nobody
learns the topic. How an answer is waited for is the swarms' matter.
"""

from __future__ import annotations

import inspect
import ipaddress
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypedDict

from ._text import key_bytes
from .errors import INVALID, InvalidArgumentError

__all__ = ["Announced", "Directory"]

#: What a source has to have.
METHODS = ("announce", "lookup", "unannounce")
ANNOUNCE = "announce"
#: Seconds for which a directory keeps an announcement; each is repeated after at most twelve minutes.
KEPT_S = 1800.0


class Announced(TypedDict):
    """What a source is to announce: whoever has this key is to be dialled at one of these ports."""

    key: bytes
    #: None: not reachable by that family. At which address, the source knows.
    port_v4: int | None
    port_v6: int | None


@dataclass(frozen=True)
class Round:
    """What a source is asked for."""

    #: The library's number for it.
    query: int
    name: bytes
    #: "announce", "lookup" or "lookup-and-unannounce".
    kind: str
    #: Also take back what an earlier run with our key may have left.
    clear: bool
    peer: Announced

    @classmethod
    def read(cls, query: int, data: dict[str, Any]) -> Round:
        key = bytes.fromhex(data["key"])
        peer = Announced(key=key, port_v4=data["port_v4"], port_v6=data["port_v6"])
        return cls(query, bytes.fromhex(data["name"]), data["kind"], data["clear"], peer)

    def put_to(self, source: Any) -> Iterator[tuple[bool, Any]]:
        """The calls of the source, one after the other: whether it finds peers, and what it gave."""
        if self.clear or self.kind not in (ANNOUNCE, "lookup"):
            yield False, take_back(source, self.name, self.peer["key"])
        yield True, source.announce(self.name, self.peer) if self.kind == ANNOUNCE else source.lookup(self.name)


def take_back(source: Any, name: bytes, key: bytes) -> Any:
    """Has it remove an announcement. One that serves one swarm need not be told whose."""
    call: Callable[..., Any] = source.unannounce
    try:
        inspect.signature(call).bind(name, key)
    except TypeError:
        return call(name)
    except ValueError:
        pass  # it has no signature
    return call(name, key)


def found(item: Any) -> tuple[bytes, str]:
    """One result: the key of a peer, and "host:port"."""
    key, address = item
    if not isinstance(address, str):
        raise TypeError(f'source: an address is text like "192.0.2.7:40001", not {type(address).__name__}')
    whole = key_bytes("key", key)
    if whole is None:
        raise TypeError("source: a peer without a key cannot be dialled")
    return whole, address


async def results(answer: Any) -> AsyncGenerator[tuple[bytes, str], None]:
    """What a source gave, as it comes: an iterable, an async one, something to await for one, or nothing."""
    if inspect.isawaitable(answer):
        answer = await answer
    if answer is None:
        return
    if not hasattr(answer, "__aiter__"):
        for item in answer:
            yield found(item)
    elif hasattr(answer, "aclose"):
        async with aclosing(answer):
            async for item in answer:
                yield found(item)
    else:
        async for item in answer:
            yield found(item)


def results_now(answer: Any) -> Iterator[tuple[bytes, str]]:
    """The same where nothing can be awaited."""
    return map(found, () if answer is None else answer)


def at_once(answer: Any) -> Any:
    """What a source gave, unless it would have to be awaited."""
    if inspect.isawaitable(answer) or hasattr(answer, "__aiter__"):
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError("a source cannot have async functions with setowire.sync")
    return answer


def check_source(source: Any) -> None:
    missing = [name for name in METHODS if not callable(getattr(source, name, None))]
    if missing:
        raise TypeError(f"source: {source!r} has no {' and no '.join(missing)}")


class Directory:
    """A source in this process: swarms that share it find each other, without a network of their own to ask.

        directory = setowire.Directory()
        one, other = setowire.Swarm(source=directory), setowire.Swarm(source=directory)

    Each swarm is announced at `host`, an address under which others reach it. For a swarm that is reached at another one,
    give it `directory.at(host)`. It may be used from any thread. What was announced by a swarm that was ended by force is
    forgotten after half an hour.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        try:
            self._host = ipaddress.ip_address(host)
        except ValueError:
            raise InvalidArgumentError(INVALID, f"host: {host!r} is not an IP address") from None
        self._lock = threading.Lock()
        #: By name and key: where, and until when that is kept.
        self._entries: dict[bytes, dict[bytes, tuple[str, float]]] = {}

    def at(self, host: str) -> Directory:
        """The same directory for swarms that are reached at another address."""
        other = Directory(host)
        other._lock, other._entries = self._lock, self._entries
        return other

    def announce(self, name: bytes, peer: Announced) -> list[tuple[bytes, str]]:
        v6 = self._host.version == 6
        port = peer["port_v6"] if v6 else peer["port_v4"]
        if port is None:
            raise ValueError(f"the swarm has no IPv{self._host.version} socket to be reached at {self._host}")
        address = f"[{self._host}]:{port}" if v6 else f"{self._host}:{port}"
        with self._lock:
            self._forget_old(name)
            self._entries.setdefault(name, {})[peer["key"]] = address, monotonic() + KEPT_S
        return [one for one in self.lookup(name) if one[0] != peer["key"]]

    def lookup(self, name: bytes) -> list[tuple[bytes, str]]:
        with self._lock:
            self._forget_old(name)
            return [(key, address) for key, (address, _) in self._entries.get(name, {}).items()]

    def unannounce(self, name: bytes, key: bytes) -> None:
        with self._lock:
            entries = self._entries.get(name, {})
            entries.pop(key, None)
            if not entries:
                self._entries.pop(name, None)

    def _forget_old(self, name: bytes) -> None:
        entries, now = self._entries.get(name, {}), monotonic()
        for key in [key for key, (_, until) in entries.items() if until <= now]:
            del entries[key]
        if not entries:
            self._entries.pop(name, None)

    def __repr__(self) -> str:
        return f"<setowire.Directory at {self._host}, {len(self._entries)} names>"
