"""Questions of the library: may this peer be dialled, let in, or taken as a candidate?

The application's `firewall` and `validate` answer them. The network goes on
meanwhile; without an answer in time the peer is turned away and not banned.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Union

#: Called with the peer's key (over p2p-v12: the first 8 bytes of its id) and what else is known, or only with the key.
Asked = Union[
    Callable[[bytes, dict[str, Any]], Union[bool, Awaitable[bool]]], Callable[[bytes], Union[bool, Awaitable[bool]]]
]


@dataclass(frozen=True)
class Question:
    number: int
    #: "incoming", "dial" or "candidate".
    purpose: str
    key: bytes
    info: dict[str, Any]

    def put_to(self, asked: Asked) -> Any:
        """What the application says, or something that can be awaited for it."""
        ask: Callable[..., Any] = asked
        return ask(self.key, self.info) if _takes_two(asked) else ask(self.key)

    def allowed(self, verdict: object) -> bool:
        """A firewall says whom it does not want, a validator whom it wants."""
        return bool(verdict) if self.purpose == "candidate" else not verdict


def _takes_two(asked: Asked) -> bool:
    """Whether it wants to know more than the key."""
    try:
        inspect.signature(asked).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        pass  # it has no signature
    return True
