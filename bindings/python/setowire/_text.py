"""Topics, keys and secrets as callers give them: bytes, or hexadecimal digits."""

from __future__ import annotations

import hashlib

from .errors import INVALID, InvalidArgumentError


def topic_bytes(topic: bytes | bytearray | str) -> bytes:
    """A topic as bytes; text is taken as hexadecimal digits. The library checks the length."""
    hint = "; a name becomes a topic with hashlib.sha256(name).digest()"
    return _bytes_of("topic", topic, hint)


def key_bytes(name: str, key: bytes | bytearray | str | None) -> bytes | None:
    """A key or secret, if there is one, as bytes; text is taken as hexadecimal digits."""
    return None if key is None else _bytes_of(name, key, "")


def _bytes_of(name: str, value: bytes | bytearray | str, hint: str) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview, str)):
        raise TypeError(f"{name}: bytes or hexadecimal text are wanted, not {type(value).__name__}")
    if isinstance(value, str):
        try:
            return bytes.fromhex(value)
        except ValueError:
            shown = repr(value) if name == "topic" else "the text"
            raise InvalidArgumentError(INVALID, f"{name}: {shown} is not hexadecimal{hint}") from None
    return bytes(value)


def topic_name(topic: bytes, secret: bytes | None) -> tuple[bytes, bytes | None]:
    """What two sessions of one topic have in common; a secret is not kept."""
    return topic, None if secret is None else hashlib.sha256(secret).digest()
