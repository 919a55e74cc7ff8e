"""Exceptions: one base class, one subclass per thing a caller can do about it.

Every exception carries the number (`code`) and the name (`name`) that the C
library gives the failure, and `detail`, the sentence that says what was wrong.
Subclasses also inherit the built-in exception that reads right, so that
``except TimeoutError`` and ``except ValueError`` work as expected.
"""

from __future__ import annotations

__all__ = [
    "SetowireError",
    "BadKeyError",
    "ClosedError",
    "ForkedError",
    "InternalError",
    "InvalidArgumentError",
    "LibraryError",
    "MessageTooLargeError",
    "NotAvailableError",
    "NotFoundError",
    "NotSupportedError",
    "OperationCancelledError",
    "PeerClosedError",
    "PermissionDeniedError",
    "ProtocolError",
    "RefusedError",
    "ResolveError",
    "SetowireTimeoutError",
    "StreamResetError",
    "StreamStoppedError",
    "UnreachableError",
    "WouldBlockError",
    "WrongLoopError",
]


class SetowireError(Exception):
    """The base of every exception of this package."""

    code: int
    name: str
    detail: str

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{detail} [{code_name(code)}]" if detail else code_name(code))
        self.code = code
        self.name = code_name(code)
        self.detail = detail

    def __reduce__(self) -> tuple[type[SetowireError], tuple[int, str]]:
        return (type(self), (self.code, self.detail))


class InvalidArgumentError(SetowireError, ValueError):
    """A parameter has a value that is not allowed; the text names it."""


class NotAvailableError(InvalidArgumentError):
    """Something the older packages had that this version does not offer yet."""


class NotFoundError(SetowireError, LookupError):
    """The topic or operation is not alive any more."""


class ClosedError(SetowireError):
    """The swarm, the topic or our end of the stream is closed."""


class PeerClosedError(SetowireError, ConnectionError):
    """The peer is not connected any more."""


class WouldBlockError(SetowireError, BlockingIOError):
    """A bounded queue is full; try again after the `writable` event."""


class SetowireTimeoutError(SetowireError, TimeoutError):
    """The time that was given ran out."""


class OperationCancelledError(SetowireError):
    """The operation was cancelled by its caller."""


class ForkedError(SetowireError, RuntimeError):
    """The swarm was made before a fork and is used in the child."""


class WrongLoopError(SetowireError, RuntimeError):
    """An asyncio swarm is used in another event loop than its own."""


class InternalError(SetowireError, RuntimeError):
    """The library caught a bug of its own, or the system refused what it cannot do without."""


class PermissionDeniedError(SetowireError, PermissionError):
    """The operating system said no."""


class UnreachableError(SetowireError, ConnectionError):
    """Nobody answered at any known address."""


class RefusedError(SetowireError, ConnectionRefusedError):
    """The other side, or a limit of ours, refused."""


class ResolveError(SetowireError, ConnectionError):
    """A host name could not be resolved to an address."""


class BadKeyError(SetowireError, ValueError):
    """A key or id is not what it claims to be."""


class MessageTooLargeError(SetowireError, ValueError):
    """The message is larger than this peer can take (`peer.max_message`)."""


class ProtocolError(SetowireError, ConnectionError):
    """The other side broke the protocol, or says that we did."""


class NotSupportedError(SetowireError):
    """The session with this peer has no such thing: datagrams and streams need a modern one (`peer.session`)."""


class StreamResetError(SetowireError, ConnectionResetError):
    """The peer gave up its direction of a stream: what it wrote may be missing in part."""

    #: The number the peer gave; the applications give it a meaning.
    reset_code: int

    def __init__(self, code: int, detail: str, reset_code: int = 0) -> None:
        super().__init__(code, detail)
        self.reset_code = reset_code

    def __reduce__(self) -> tuple[type[SetowireError], tuple[int, str, int]]:  # type: ignore[override]
        return (type(self), (self.code, self.detail, self.reset_code))


class StreamStoppedError(SetowireError, BrokenPipeError):
    """The peer wants nothing more of a stream, so nothing more can be written to it."""


class LibraryError(SetowireError, OSError):
    """The shared library was not found, or is not the one this package was written for."""


INVALID = -1
NOT_FOUND = -2
CLOSED = -3
WOULD_BLOCK = -4
TIMED_OUT = -5
TOO_SMALL = -7
FORKED = -9
INTERNAL = -11

#: number -> (name in the C header without SETOWIRE_ERR_, exception)
CODES: dict[int, tuple[str, type[SetowireError]]] = {
    INVALID: ("INVALID", InvalidArgumentError),
    NOT_FOUND: ("NOT_FOUND", NotFoundError),
    CLOSED: ("CLOSED", ClosedError),
    WOULD_BLOCK: ("WOULD_BLOCK", WouldBlockError),
    TIMED_OUT: ("TIMED_OUT", SetowireTimeoutError),
    -6: ("CANCELLED", OperationCancelledError),
    TOO_SMALL: ("TOO_SMALL", InternalError),
    -8: ("WOULD_DEADLOCK", InternalError),
    FORKED: ("FORKED", ForkedError),
    -10: ("PANIC", InternalError),
    INTERNAL: ("INTERNAL", InternalError),
    -12: ("PERMISSION", PermissionDeniedError),
    -100: ("UNREACHABLE", UnreachableError),
    -101: ("REFUSED", RefusedError),
    -102: ("RESOLVE", ResolveError),
    -200: ("BAD_KEY", BadKeyError),
    -300: ("TOO_LARGE", MessageTooLargeError),
    -301: ("PROTOCOL", ProtocolError),
    -302: ("NOT_SUPPORTED", NotSupportedError),
}


def code_name(code: int) -> str:
    """The name of an error number, also of one this version does not know."""
    known = CODES.get(code)
    return known[0] if known else f"ERROR {code}"


def error(code: int, detail: str) -> SetowireError:
    """The exception for an error number; a number that is not known keeps its value."""
    known = CODES.get(code)
    return (known[1] if known else SetowireError)(code, detail)


def peer_error(code: int, detail: str) -> SetowireError:
    """As `error`, for a call about one peer: a peer that is gone reads as a lost connection."""
    if code == NOT_FOUND:
        return PeerClosedError(code, detail)
    return error(code, detail)
