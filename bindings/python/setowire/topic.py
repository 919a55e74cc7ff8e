"""What the asyncio and the synchronous `Topic` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ClosedError, NotFoundError

if TYPE_CHECKING:
    from ._handle import NativeSwarm


class TopicBase:
    """One session of a joined topic; the topic is left when its last session closes."""

    def __init__(self, native: NativeSwarm, number: int, topic: bytes) -> None:
        self._native = native
        #: The library's number for this session.
        self.number = number
        #: The 32 bytes.
        self.topic = topic
        self.closed = False

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            try:
                self._native.close_topic(self.number)
            except (NotFoundError, ClosedError):
                pass  # `leave`, or the end of the swarm, was first

    def __repr__(self) -> str:
        return f"<Topic {self.topic.hex()[:16]}{' closed' if self.closed else ''}>"
