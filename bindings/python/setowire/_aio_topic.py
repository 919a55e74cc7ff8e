"""The asyncio `Topic`, and look-ups of topics that are not joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING

from ._core import outcome
from ._inbox import Inbox, Iteration
from .topic import TopicBase

if TYPE_CHECKING:
    from ._aio_manage import ManagedSwarm
    from ._control import Begin
    from ._handle import NativeSwarm
    from .aio import Message
    from .known import Candidate


class Topic(TopicBase):
    """A joined topic: ``async for message in topic``.

    It gets what is broadcast to the topic, and what peers that have joined it
    too send to us. Peers of the older packages do not tell their topics: all of
    them get what such a peer sends. The loop ends when the topic or the swarm is
    closed.
    """

    def __init__(
        self, swarm: ManagedSwarm, native: NativeSwarm, number: int, name: tuple[bytes, bytes | None], inbox: Inbox[Message]
    ) -> None:
        super().__init__(native, number, name)
        self._swarm = swarm
        self._inbox = inbox

    def __aiter__(self) -> Iteration[Message]:
        return Iteration(self._inbox)

    async def flushed(self) -> bool:
        """Waits for the round of discovery that runs: after it others can find us. False: no source worked, or it is closed.

        That somebody has connected it does not say.
        """
        return await self._swarm._succeeds(self._native.flushed(self.number))

    ready = flushed

    async def refresh(
        self,
        *,
        client: bool | None = None,
        server: bool | None = None,
        limit: float | None = None,
        lookup: bool | None = None,
        announce: bool | None = None,
    ) -> bool:
        """Changes what this session does, as far as it is said, and makes a round of discovery; whether that worked."""
        return await self._swarm._succeeds(self._refreshing(client, server, limit, lookup, announce))

    async def close(self) -> None:
        """Ends this session; connections stay."""
        self._left()

    destroy = close

    def _left(self) -> None:
        self._close()
        self._inbox.finish(None)
        self._swarm._topics.pop(self.number, None)


class Lookup:
    """``async for candidate in swarm.lookup(topic)``, or ``await`` for the list of all that were found."""

    def __init__(self, swarm: ManagedSwarm, begin: Begin) -> None:
        self._swarm = swarm
        self._begin = begin

    def __aiter__(self) -> AsyncIterator[Candidate]:
        return self._run()

    def __await__(self) -> Generator[object, None, list[Candidate]]:
        return self._all().__await__()

    async def _all(self) -> list[Candidate]:
        return [candidate async for candidate in self._run()]

    async def _run(self) -> AsyncIterator[Candidate]:
        found: asyncio.Queue[Candidate | None] = asyncio.Queue()
        seen: set[Candidate] = set()

        def find(candidate: Candidate) -> None:
            if candidate not in seen:
                seen.add(candidate)
                found.put_nowait(candidate)

        looking = asyncio.get_running_loop().create_task(self._swarm._operate(self._begin, find))
        looking.add_done_callback(lambda _: found.put_nowait(None))
        try:
            while (candidate := await found.get()) is not None:
                yield candidate
        finally:
            if not looking.done():
                looking.cancel()
                await asyncio.wait([looking])
        failure = outcome(looking.result())
        if failure is not None:
            raise failure
