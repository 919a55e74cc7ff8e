"""`on`, `once`, `off`: listeners by event name, as the older packages have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .errors import INVALID, InvalidArgumentError, NotAvailableError

Listener = Callable[..., Any]

#: Events of the older packages whose source does not exist in this version.
_NOT_AVAILABLE = ("sync", "nat", "nattype")


class Emitter:
    """Holds listeners and calls them in the order they were added."""

    #: The names that `on` takes.
    EVENTS: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self._listeners: dict[str, list[tuple[Listener, bool]]] = {}

    def on(self, event: str, callback: Listener) -> None:
        """Calls `callback` at every such event."""
        self._add(event, callback, False)

    def once(self, event: str, callback: Listener) -> None:
        """Calls `callback` at the next such event only."""
        self._add(event, callback, True)

    def off(self, event: str, callback: Listener) -> None:
        """Removes a listener; one that is not there is no error."""
        listeners = self._listeners.get(event, [])
        for index, (known, _) in enumerate(listeners):
            if known == callback:
                del listeners[index]
                return

    def _add(self, event: str, callback: Listener, once: bool) -> None:
        if event in _NOT_AVAILABLE:
            raise NotAvailableError(INVALID, f"event {event!r} is not available in this version")
        if event not in self.EVENTS:
            known = ", ".join(self.EVENTS)
            raise InvalidArgumentError(INVALID, f"event: there is no {event!r}; there are {known}")
        if not callable(callback):
            raise TypeError(f"callback: {callback!r} cannot be called")
        self._listeners.setdefault(event, []).append((callback, once))

    def _listens(self, event: str) -> bool:
        return bool(self._listeners.get(event))

    def _take_listeners(self, event: str) -> list[Listener]:
        """The listeners to call now; those for one call are removed."""
        listeners = self._listeners.get(event)
        if not listeners:
            return []
        self._listeners[event] = [entry for entry in listeners if not entry[1]]
        return [callback for callback, _ in listeners]
