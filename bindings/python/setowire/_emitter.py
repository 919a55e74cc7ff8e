"""`on`, `once`, `off`: listeners by event name, as the older packages have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar, overload

from .errors import INVALID, InvalidArgumentError, NotAvailableError

Listener = Callable[..., Any]
ListenerT = TypeVar("ListenerT", bound=Listener)

#: Counts the changes of the listeners of all that have some. A list: it is looked at for every message, and the
#: attribute of a class takes five times as long.
CHANGES: Final = [0]

#: No callback was given.
_NONE: Final = object()

#: Events of the older packages whose source does not exist in this version.
_NOT_AVAILABLE = ("sync", "nat", "nattype")


class Emitter:
    """Holds listeners and calls them in the order they were added."""

    #: The names that `on` takes.
    EVENTS: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        #: Listeners of an event, and whether each is for one call.
        self._listeners: dict[str, list[tuple[Listener, bool]]] = {}
        #: The same as what `_take_listeners` gives, of events that have listeners: it is looked at for every message.
        self._calls: dict[str, tuple[Listener, ...]] = {}
        self._brief: set[str] = set()

    @overload
    def on(self, event: str) -> Callable[[ListenerT], ListenerT]: ...

    @overload
    def on(self, event: str, callback: Listener) -> None: ...

    def on(self, event: str, callback: Any = _NONE) -> Any:
        """Calls `callback` at every such event. Without one it is a decorator for the function to call."""
        return self._listen(event, callback, False)

    @overload
    def once(self, event: str) -> Callable[[ListenerT], ListenerT]: ...

    @overload
    def once(self, event: str, callback: Listener) -> None: ...

    def once(self, event: str, callback: Any = _NONE) -> Any:
        """Calls `callback` at the next such event only. Without one it is a decorator for the function to call."""
        return self._listen(event, callback, True)

    def off(self, event: str, callback: Listener) -> None:
        """Removes a listener; one that is not there is no error."""
        listeners = self._listeners.get(event, [])
        for index, (known, _) in enumerate(listeners):
            if known == callback:
                self._set(event, listeners[:index] + listeners[index + 1 :])
                return

    def _listen(self, event: str, callback: Any, once: bool) -> Any:
        def decorate(function: ListenerT) -> ListenerT:
            self._add(event, function, once)
            return function

        if callback is _NONE:
            return decorate
        self._add(event, callback, once)
        return None

    def _add(self, event: str, callback: Listener, once: bool) -> None:
        if event in _NOT_AVAILABLE:
            raise NotAvailableError(INVALID, f"event {event!r} is not available in this version")
        if event not in self.EVENTS:
            known = ", ".join(self.EVENTS)
            raise InvalidArgumentError(INVALID, f"event: there is no {event!r}; there are {known}")
        if not callable(callback):
            raise TypeError(f"callback: {callback!r} cannot be called")
        self._set(event, [*self._listeners.get(event, []), (callback, once)])

    def _set(self, event: str, listeners: list[tuple[Listener, bool]]) -> None:
        CHANGES[0] += 1
        self._listeners[event] = listeners
        self._calls[event] = tuple(callback for callback, _ in listeners)
        if not listeners:
            del self._calls[event]
        if any(once for _, once in listeners):
            self._brief.add(event)
        else:
            self._brief.discard(event)

    def _listens(self, event: str) -> bool:
        return event in self._calls

    def _take_listeners(self, event: str) -> tuple[Listener, ...]:
        """The listeners to call now; those for one call are removed."""
        calls = self._calls.get(event, ())
        if calls and event in self._brief:
            self._set(event, [entry for entry in self._listeners[event] if not entry[1]])
        return calls
