"""Waiting with deadlines: no test sleeps, each waits for what should happen."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from typing import Any

from conftest import DEADLINE


def asyncio_test(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs a coroutine function as a test, in a loop of its own, in debug mode, with a deadline."""

    @functools.wraps(test)
    def run(*arguments: Any, **keywords: Any) -> None:
        async def limited() -> None:
            await asyncio.wait_for(test(*arguments, **keywords), DEADLINE)

        asyncio.run(limited(), debug=True)

    return run


async def until(happened: Callable[[], object], what: str = "it") -> None:
    """Gives the loop its turn until something holds."""
    deadline = time.monotonic() + DEADLINE / 2
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen"
        await asyncio.sleep(0)


class Next:
    """Waits for events of a swarm, one after the other: `await Next(swarm, "connection")()`."""

    def __init__(self, emitter: Any, event: str) -> None:
        self._queue: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        emitter.on(event, lambda *arguments: self._queue.put_nowait(arguments))

    async def __call__(self) -> Any:
        arguments = await asyncio.wait_for(self._queue.get(), DEADLINE / 2)
        return arguments[0] if len(arguments) == 1 else arguments
