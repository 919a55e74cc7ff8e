"""Two ways for an event loop to learn that events wait; the swarm does not care which.

`DescriptorReader` watches the queue's descriptor. `ThreadReader` is for loops
that cannot (the default one of Windows): one daemon thread waits in the library
and makes one call into the loop per batch. Both are level-triggered: `callback`
is called again while events are left, and other work of the loop has its turn
in between. Paused, they call nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol

from ._handle import NativeSwarm
from .errors import SetowireError


class Reader(Protocol):
    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def stop(self) -> None: ...


class DescriptorReader:
    """`loop.add_reader`; raises `NotImplementedError` where there is none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, native: NativeSwarm, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._descriptor = native.descriptor()
        self._watching = False
        self.resume()

    def pause(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._descriptor)

    def resume(self) -> None:
        if not self._watching:
            self._loop.add_reader(self._descriptor, self._callback)
            self._watching = True

    stop = pause


class ThreadReader:
    """A thread that waits for events, and for the loop to have read them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, native: NativeSwarm, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._native = native
        self._callback = callback
        self._paused = False
        self._stopped = False
        self._go = threading.Event()
        threading.Thread(target=self._run, name="setowire events", daemon=True).start()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._go.set()

    def stop(self) -> None:
        """The thread itself ends when the native swarm is released, which wakes it."""
        self._stopped = True
        self._go.set()

    def _run(self) -> None:
        while not self._stopped:
            try:
                if not self._native.wait():
                    continue
                self._go.clear()
                self._loop.call_soon_threadsafe(self._on_loop)
            except (SetowireError, RuntimeError):
                return  # the swarm was released, or the loop is closed
            self._go.wait()

    def _on_loop(self) -> None:
        if not self._stopped and not self._paused:
            self._callback()
        if not self._paused:
            self._go.set()


def make_reader(loop: asyncio.AbstractEventLoop, native: NativeSwarm, callback: Callable[[], None]) -> Reader:
    try:
        return DescriptorReader(loop, native, callback)
    except NotImplementedError:
        return ThreadReader(loop, native, callback)
