"""What the asyncio and the synchronous `Topic` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ClosedError, NotFoundError

if TYPE_CHECKING:
    from ._handle import Data, NativeSwarm


class TopicBase:
    """One session of a joined topic; the topic is left when its last session closes."""

    def __init__(self, native: NativeSwarm, number: int, name: tuple[bytes, bytes | None]) -> None:
        self._native = native
        self._name = name
        #: The library's number for this session.
        self.number = number
        #: The 32 bytes.
        self.topic = name[0]
        #: Only those who have the secret too are members.
        self.private = name[1] is not None
        self.closed = False

    def broadcast(self, data: Data) -> int:
        """Sends a message to the members; the number of peers it went to.

        Members with modern sessions pass it on to each other, so that it reaches those who are not connected to us, and
        know its author (`message.author`). Peers of the older packages are told no topic: if this one is public, all of them
        get it.
        """
        return self._native.broadcast_topic(self.number, data)

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            try:
                self._native.close_topic(self.number)
            except (NotFoundError, ClosedError):
                pass  # `leave`, or the end of the swarm, was first

    def __repr__(self) -> str:
        return f"<Topic {self.topic.hex()[:16]}{' private' if self.private else ''}{' closed' if self.closed else ''}>"
