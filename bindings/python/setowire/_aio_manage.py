"""The part of the asyncio `Swarm` that is about topics, known peers and the swarm as a whole."""

from __future__ import annotations

import asyncio
import inspect
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from ._aio_stream import Stream
from ._aio_topic import Lookup, Topic
from ._core import SwarmBase, connected_peer, outcome
from ._inbox import Inbox
from ._manage import limit_of
from ._source import results, take_back
from ._text import key_bytes, topic_bytes, topic_name
from .errors import INVALID, NOT_FOUND, ClosedError, InvalidArgumentError, NotFoundError, PeerClosedError, UnreachableError

if TYPE_CHECKING:
    from ._asking import Question
    from ._control import Begin
    from ._records import Record
    from ._source import Round
    from .aio import Message, Peer
    from .known import Candidate

#: Seconds that the end of a swarm waits for its source to take announcements back.
TAKE_BACK_S = 5.0
#: The longest that the library waits for an answer of a firewall.
LONGEST_ANSWER_MS = 8000


class ManagedSwarm(SwarmBase["Peer", Stream, Topic]):
    """What `Swarm` does without sending or receiving anything."""

    _loop: asyncio.AbstractEventLoop | None
    _operations: dict[int, asyncio.Future[Record]]
    _quiet: list[asyncio.Future[None]]
    #: What the source is at, by the number of the round; and announcements that it takes back.
    _rounds: dict[int, asyncio.Task[None]]
    _taking_back: set[asyncio.Task[None]]

    async def join(
        self,
        topic: bytes | bytearray | str,
        announce: bool | None = None,
        lookup: bool | None = None,
        *,
        client: bool | None = None,
        server: bool | None = None,
        limit: float | None = None,
        secret: bytes | bytearray | str | None = None,
    ) -> Topic:
        """Looks for the other members of a topic, and lets them find us: 32 bytes, by custom the SHA-256 of a name.

        `client` (or `lookup`) alone only looks, `server` (or `announce`) alone only lets itself be found. Without any of
        them it does both, under the preset v2 it only looks. Of the peers found, `limit` are dialled.

        With a secret (32 random bytes) the topic is private: only those who have it too find each other, or learn who is
        a member. It is another topic than the one without it. It may be joined more than once: each session has its own
        wishes, and the topic is left with the last.
        """
        return self._join(topic, self._roles(announce, lookup, client, server), limit, secret)

    def _join(
        self, topic: bytes | bytearray | str, roles: int, limit: float | None, secret: bytes | bytearray | str | None
    ) -> Topic:
        self._attach()
        name, shared = topic_bytes(topic), key_bytes("secret", secret)
        kept = topic_name(name, shared)
        self._left_for(kept)
        number = self._native.join(name, shared, roles, limit_of(limit))
        joined = self._topics[number] = Topic(self, self._native, number, kept, self._new_inbox())
        return joined

    async def leave(self, topic: bytes | bytearray | str) -> None:
        """Ends every session of a topic, private ones too; connections stay. A topic that is not joined is no error."""
        self._attach()
        name = topic_bytes(topic)
        self._native.leave(name)
        for joined in [one for one in self._topics.values() if one.topic == name]:
            await joined.close()

    async def flush(self) -> bool:
        """Waits until everybody was tried who is found by now: all rounds of discovery, then one dial of each peer.

        True also when there was nobody, or no place for one more. False: the swarm ended before.
        """
        return await self._succeeds(self._native.flush)

    def lookup(self, topic: bytes | bytearray | str, *, secret: bytes | bytearray | str | None = None) -> Lookup:
        """Looks once who is there, without joining: ``async for candidate in ...``, or ``await`` for a list."""
        return Lookup(self, self._native.lookup(topic_bytes(topic), key_bytes("secret", secret), False))

    async def announce(self, topic: bytes | bytearray | str, *, secret: bytes | bytearray | str | None = None) -> bool:
        """Lets others find us by a topic, once and without joining; whether a source took it. `unannounce` ends it."""
        return await self._succeeds(self._native.lookup(topic_bytes(topic), key_bytes("secret", secret), True))

    async def listen(self) -> None:
        """Others can find us by our key from now on; joining a topic as a server does that, too."""
        self._attach()
        self._native.listen()

    async def suspend(self) -> None:
        """Ends all connections and waits for that; nothing is dialled, announced or let in until `resume`."""
        self._attach()
        self._flush_all()
        self._native.suspend()
        assert self._loop is not None
        while self._peers and not self._destroyed:
            waiter = self._loop.create_future()
            self._quiet.append(waiter)
            await self._wait_stream(waiter)

    async def resume(self) -> None:
        """Looks, announces and dials again."""
        self._attach()
        self._native.resume()

    async def connect(
        self,
        address: str | None = None,
        timeout: float | None = None,
        *,
        key: bytes | bytearray | str | None = None,
    ) -> Peer:
        """Connects to "host:port". No timeout: the library's own (10 s); `math.inf`: none.

        With a key only the peer that holds it will do: whoever else answers there learns nothing of us. Without an
        address the network is asked where it is. Cancelled, it gives the attempt up and returns when that is done.
        """
        pinned = key_bytes("key", key)
        if address is None and pinned is None:
            raise InvalidArgumentError(INVALID, "connect: an address or a key is wanted")
        record = await self._operate(self._native.connect(address, pinned, timeout))
        failure = outcome(record)
        if failure is not None:
            raise failure
        peer = self._peers.get(connected_peer(record))
        if peer is None:
            raise PeerClosedError(NOT_FOUND, f"{address or 'the peer'} answered and left at once")
        return peer

    # -- operations ---------------------------------------------------------

    async def _operate(self, begin: Begin, find: Callable[[Candidate], None] | None = None) -> Record:
        """Begins an operation and waits for its end; `find` gets what it finds. Cancelled, it waits for that, too."""
        self._attach()
        tag = next(self._tags)
        done = self._operation(tag)
        if find is not None:
            self._finds[tag] = find
        try:
            number = begin(tag)
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                if not done.done():
                    self._native.cancel(number)
                    await asyncio.wait([done])
                raise
        finally:
            self._finds.pop(tag, None)
            self._forget(tag)

    async def _succeeds(self, begin: Begin) -> bool:
        """Whether an operation has a result; none at the end of the topic or the swarm."""
        try:
            failure = outcome(await self._operate(begin))
        except (ClosedError, NotFoundError):
            return False
        if failure is None or isinstance(failure, (ClosedError, UnreachableError)):
            return failure is None
        raise failure

    # -- the firewall -------------------------------------------------------

    def _wanted(self, event: str) -> bool:
        return self._listens(event)

    def _asked(self, question: Question) -> None:
        try:
            verdict = self._ask(question)
            if inspect.isawaitable(verdict):
                self._spawn(self._answer_later(question, verdict))
            else:
                self._answer(question, verdict)
        except Exception as failure:
            self._firewall_failed(failure)

    async def _answer_later(self, question: Question, verdict: Awaitable[object]) -> None:
        thinking = asyncio.ensure_future(verdict)
        try:
            await asyncio.wait([thinking], timeout=self._options.get("firewall_deadline", LONGEST_ANSWER_MS) / 1000)
            if thinking.done():
                self._answer(question, thinking.result())
        except Exception as failure:
            self._firewall_failed(failure)
        finally:
            thinking.cancel()  # too late: nobody waits for it any more

    def _firewall_failed(self, failure: Exception) -> None:
        """Nobody is let in, or banned, because of it."""
        assert self._loop is not None
        self._loop.call_exception_handler({"message": f"the firewall of {self!r} failed", "exception": failure})

    # -- the source ---------------------------------------------------------

    def _round_begins(self, asked: Round) -> None:
        task = self._rounds[asked.query] = self._spawn(self._ask_source(asked))
        task.add_done_callback(lambda _: self._rounds.pop(asked.query, None))

    async def _ask_source(self, asked: Round) -> None:
        ok = False
        try:
            for finds, answer in asked.put_to(self._options["source"]):
                if not finds:
                    if inspect.isawaitable(answer):
                        await answer
                    continue
                async with aclosing(results(answer)) as peers:
                    async for key, address in peers:
                        self._source_found(asked.query, key, address)
            ok = True
        except Exception as failure:
            self._source_failed(failure)
        finally:
            self._source_done(asked.query, ok)

    def _source_found(self, query: int, key: bytes, address: str) -> None:
        try:
            self._native.found(query, key, address)
        except ClosedError:
            pass  # too late
        except InvalidArgumentError as failure:
            self._source_failed(failure)  # of this one; who announces nonsense hides nobody

    def _round_ends(self, query: int) -> None:
        task = self._rounds.get(query)
        if task is not None:
            task.cancel()

    def _takes_back(self, name: bytes, key: bytes) -> None:
        task = self._spawn(self._take_back(name, key))
        self._taking_back.add(task)
        task.add_done_callback(self._taking_back.discard)

    async def _take_back(self, name: bytes, key: bytes) -> None:
        try:
            answer = take_back(self._options["source"], name, key)
            if inspect.isawaitable(answer):
                await answer
        except Exception as failure:
            self._source_failed(failure)
        finally:
            self._source_took_back(name)

    async def _end_source(self) -> None:
        """The swarm has ended: what it announced is taken back, if the source does not take too long."""
        if self._taking_back:
            _, late = await asyncio.wait(self._taking_back, timeout=TAKE_BACK_S)
            for task in late:
                task.cancel()

    def _source_failed(self, failure: Exception) -> None:
        assert self._loop is not None
        self._loop.call_exception_handler({"message": f"the source of {self!r} failed", "exception": failure})

    # -- of the swarm -------------------------------------------------------

    @abstractmethod
    def _attach(self) -> None: ...

    @abstractmethod
    def _operation(self, tag: int) -> asyncio.Future[Record]: ...

    @abstractmethod
    def _forget(self, tag: int) -> None: ...

    @abstractmethod
    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]: ...

    @abstractmethod
    async def _wait_stream(self, waiter: asyncio.Future[Any]) -> Any: ...

    @abstractmethod
    def _new_inbox(self) -> Inbox[Message]: ...
