"""The part of the synchronous `Swarm` that is about topics, known peers and the swarm as a whole; and its `Topic`."""

from __future__ import annotations

import inspect
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._core import SwarmBase, connected_peer, outcome
from ._handle import seconds
from ._manage import limit_of
from ._source import at_once, results_now, take_back
from ._sync_stream import Stream
from ._text import key_bytes, topic_bytes, topic_name
from .errors import (
    INVALID,
    NOT_FOUND,
    TIMED_OUT,
    ClosedError,
    InvalidArgumentError,
    NotFoundError,
    PeerClosedError,
    SetowireError,
    SetowireTimeoutError,
    UnreachableError,
)
from .topic import TopicBase

if TYPE_CHECKING:
    from ._asking import Question
    from ._control import Begin
    from ._handle import NativeSwarm
    from ._records import Record
    from ._source import Round
    from .known import Candidate
    from .sync import Peer


class Topic(TopicBase):
    """A joined topic."""

    def __init__(self, swarm: ManagedSwarm, native: NativeSwarm, number: int, name: tuple[bytes, bytes | None]) -> None:
        super().__init__(native, number, name)
        self._swarm = swarm

    def flushed(self, timeout: float | None = None) -> bool:
        """Waits for the round of discovery that runs: after it others can find us. False: no source worked, or it is closed.

        That somebody has connected it does not say.
        """
        return self._swarm._succeeds(self._native.flushed(self.number), timeout)

    ready = flushed

    def refresh(
        self,
        *,
        client: bool | None = None,
        server: bool | None = None,
        limit: float | None = None,
        lookup: bool | None = None,
        announce: bool | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Changes what this session does, as far as it is said, and makes a round of discovery; whether that worked."""
        return self._swarm._succeeds(self._refreshing(client, server, limit, lookup, announce), timeout)

    def close(self) -> None:
        """Ends this session; connections stay."""
        self._left()

    destroy = close

    def _left(self) -> None:
        self._close()
        self._swarm._topics.pop(self.number, None)


class ManagedSwarm(SwarmBase["Peer", Stream, Topic]):
    """What `Swarm` does without sending or receiving anything."""

    _changed: threading.Condition
    _operations: dict[int, Record | None]
    #: Not answered yet.
    _questions: deque[Question]
    #: What the source is still to do: rounds, and announcements to take back, by name and key.
    _rounds: deque[Round | tuple[bytes, bytes]]
    #: What it raised while the swarm was being closed.
    _source_failures: list[Exception]

    def join(
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
        roles = self._roles(announce, lookup, client, server)
        name, shared = topic_bytes(topic), key_bytes("secret", secret)
        kept = topic_name(name, shared)
        with self._changed:  # a message for it may be there at once
            self._left_for(kept)
            number = self._native.join(name, shared, roles, limit_of(limit))
            joined = self._topics[number] = Topic(self, self._native, number, kept)
        return joined

    def leave(self, topic: bytes | bytearray | str) -> None:
        """Ends every session of a topic, private ones too; connections stay. A topic that is not joined is no error."""
        name = topic_bytes(topic)
        self._native.leave(name)
        with self._changed:
            left = [one for one in self._topics.values() if one.topic == name]
        for joined in left:
            joined.close()

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until everybody was tried who is found by now: all rounds of discovery, then one dial of each peer.

        True also when there was nobody, or no place for one more. False: the swarm ended before.
        """
        return self._succeeds(self._native.flush, timeout)

    def lookup(
        self,
        topic: bytes | bytearray | str,
        timeout: float | None = None,
        *,
        secret: bytes | bytearray | str | None = None,
    ) -> list[Candidate]:
        """Looks once who is there, without joining."""
        found: dict[Candidate, None] = {}
        begin = self._native.lookup(topic_bytes(topic), key_bytes("secret", secret), False)
        failure = outcome(self._operate(begin, timeout, lambda candidate: found.setdefault(candidate)))
        if failure is not None:
            raise failure
        return list(found)

    def announce(
        self,
        topic: bytes | bytearray | str,
        timeout: float | None = None,
        *,
        secret: bytes | bytearray | str | None = None,
    ) -> bool:
        """Lets others find us by a topic, once and without joining; whether a source took it. `unannounce` ends it."""
        return self._succeeds(self._native.lookup(topic_bytes(topic), key_bytes("secret", secret), True), timeout)

    def listen(self) -> None:
        """Others can find us by our key from now on; joining a topic as a server does that, too."""
        self._native.listen()

    def suspend(self, timeout: float | None = None) -> None:
        """Ends all connections and waits for that; nothing is dialled, announced or let in until `resume`."""
        self._native.suspend()
        with self._changed:
            if not self._read_until(lambda: not self._peers, deadline_of(timeout)) and not self._destroyed:
                raise SetowireTimeoutError(TIMED_OUT, "connections had not ended in the given time")

    def resume(self) -> None:
        """Looks, announces and dials again."""
        self._native.resume()

    def connect(
        self,
        address: str | None = None,
        timeout: float | None = None,
        *,
        key: bytes | bytearray | str | None = None,
    ) -> Peer:
        """Connects to "host:port". No timeout: the library's own (10 s); `math.inf`: none.

        With a key only the peer that holds it will do: whoever else answers there learns nothing of us. Without an
        address the network is asked where it is.
        """
        pinned = key_bytes("key", key)
        if address is None and pinned is None:
            raise InvalidArgumentError(INVALID, "connect: an address or a key is wanted")
        record = self._operate(self._native.connect(address, pinned, timeout))
        failure = outcome(record)
        if failure is not None:
            raise failure
        peer = self._peers.get(connected_peer(record))
        if peer is None:
            raise PeerClosedError(NOT_FOUND, f"{address or 'the peer'} answered and left at once")
        return peer

    # -- operations ---------------------------------------------------------

    def _operate(
        self, begin: Begin, timeout: float | None = None, find: Callable[[Candidate], object] | None = None
    ) -> Record:
        """Begins an operation and waits for its end; `find` gets what it finds."""
        deadline = deadline_of(timeout)
        tag = next(self._tags)
        with self._changed:
            self._operations[tag] = None
            if find is not None:
                self._finds[tag] = find
        try:
            number = begin(tag)
            try:
                return self._await(tag, deadline)
            except BaseException:  # too late, or Ctrl-C: nobody will ask for the result
                self._cancel(number)
                raise
        finally:
            with self._changed:
                self._operations.pop(tag, None)
                self._finds.pop(tag, None)

    def _succeeds(self, begin: Begin, timeout: float | None) -> bool:
        """Whether an operation has a result; none at the end of the topic or the swarm."""
        try:
            failure = outcome(self._operate(begin, timeout))
        except (ClosedError, NotFoundError):
            return False
        if failure is None or isinstance(failure, (ClosedError, UnreachableError)):
            return failure is None
        raise failure

    def _cancel(self, number: int) -> None:
        try:
            self._native.cancel(number)
        except SetowireError:
            pass

    # -- the firewall -------------------------------------------------------

    def _wanted(self, event: str) -> bool:
        return True

    def _asked(self, question: Question) -> None:
        self._questions.append(question)

    def _answer_questions(self) -> None:
        """Puts questions to the application, without the lock; what it raises comes out of the call that reads."""
        if self._destroyed:
            self._questions.clear()  # nobody is let in any more
        while self._questions:
            try:
                question = self._questions.popleft()
            except IndexError:
                return  # another thread was faster
            verdict = self._ask(question)
            if inspect.isawaitable(verdict):
                if inspect.iscoroutine(verdict):
                    verdict.close()
                raise TypeError("firewall and validate cannot be async functions with setowire.sync")
            self._answer(question, verdict)

    # -- the source ---------------------------------------------------------

    def _round_begins(self, asked: Round) -> None:
        self._rounds.append(asked)

    def _round_ends(self, query: int) -> None:
        for asked in list(self._rounds):
            if not isinstance(asked, tuple) and asked.query == query:
                self._rounds.remove(asked)

    def _takes_back(self, name: bytes, key: bytes) -> None:
        self._rounds.append((name, key))

    def _ask_source(self) -> None:
        """Puts rounds to the source, without the lock; what it raises comes out of the call that reads."""
        while self._rounds:
            try:
                asked = self._rounds.popleft()
            except IndexError:
                return  # another thread was faster
            try:
                self._ask_source_for(asked)
            except Exception as failure:
                if not self._destroyed:
                    raise
                self._source_failures.append(failure)  # the end goes on, and raises it then

    def _ask_source_for(self, asked: Round | tuple[bytes, bytes]) -> None:
        source, ok = self._options["source"], False
        if isinstance(asked, tuple):
            try:
                at_once(take_back(source, *asked))
            finally:
                self._source_took_back(asked[0])
            return
        refused: InvalidArgumentError | None = None
        try:
            for finds, answer in asked.put_to(source):
                peers = at_once(answer)
                for key, address in results_now(peers) if finds else ():
                    try:
                        self._native.found(asked.query, key, address)
                    except ClosedError:
                        return  # too late
                    except InvalidArgumentError as failure:
                        refused = failure  # of this one; who announces nonsense hides nobody
            ok = True
        finally:
            self._source_done(asked.query, ok)
        if refused is not None:
            raise refused

    # -- of the swarm -------------------------------------------------------

    @abstractmethod
    def _await(self, tag: int, deadline: float | None) -> Record: ...

    @abstractmethod
    def _read_until(self, ready: Callable[[], bool], deadline: float | None) -> bool: ...


def deadline_of(timeout: float | None) -> float | None:
    """When a time limit ends; none for None and for more than Python can wait."""
    return None if timeout is None or seconds(timeout) >= threading.TIMEOUT_MAX else time.monotonic() + timeout
