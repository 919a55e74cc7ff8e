"""What the asyncio and the synchronous `Topic` have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._control import ALL
from ._manage import limit_of, roles_of
from .errors import ClosedError, NotFoundError

if TYPE_CHECKING:
    from ._control import Begin
    from ._handle import Data, NativeSwarm

@dataclass(frozen=True)
class TopicInfo:
    """What a session of a topic does, and what all of its sessions do together."""

    #: Look for others and dial them; be found by others.
    client: bool
    server: bool
    #: Of the peers that look-ups find, so many are dialled; None: all.
    limit: int | None
    client_in_all: bool
    server_in_all: bool
    #: Others can find us by the topic.
    announced: bool

    @property
    def lookup(self) -> bool:
        """The same as `client`."""
        return self.client

    @property
    def announce(self) -> bool:
        """The same as `server`."""
        return self.server


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

    @property
    def info(self) -> TopicInfo:
        """What it does now. `NotFoundError` once it is closed."""
        native = self._native.topic_info(self.number)
        in_all = native.client_in_all, native.server_in_all, native.announced
        return TopicInfo(native.client, native.server, native.limit or None, *in_all)

    status = info

    def _refreshing(
        self,
        client: bool | None,
        server: bool | None,
        limit: float | None,
        lookup: bool | None,
        announce: bool | None,
    ) -> Begin:
        """A refresh in which what is not said stays."""
        client = lookup if client is None else client
        server = announce if server is None else server
        roles = 0
        if client is not None or server is not None:
            now = self.info
            roles = roles_of(now.client if client is None else client, now.server if server is None else server)
        return self._native.refresh(self.number, roles, 0 if limit is None else limit_of(limit) or ALL)

    @abstractmethod
    def _left(self) -> None:
        """It is over here; the library knows, or is to be told."""

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            try:
                self._native.close_topic(self.number)
            except (NotFoundError, ClosedError):
                pass  # `leave`, or the end of the swarm, was first

    def __repr__(self) -> str:
        return f"<Topic {self.topic.hex()[:16]}{' private' if self.private else ''}{' closed' if self.closed else ''}>"
