"""Calls of the native swarm about topics, known peers and the swarm as a whole. None blocks."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from typing import Any

from ._native import StateDetails, TopicDetails, c_text, check
from .errors import NOT_FOUND

#: What a session of a topic does; neither: what the preset has.
CLIENT = 1
SERVER = 2
#: In a refresh: there is no limit any more.
ALL = 2**64 - 1
#: A ban for the life of the swarm.
FOR_EVER = 0

#: Begins an operation under a tag; returns its number.
Begin = Callable[[int], int]


class NativeControl:
    """The part of `NativeSwarm` that is not about sending and receiving."""

    _lib: ctypes.CDLL
    _swarm: int

    # -- topics -------------------------------------------------------------

    def join(self, topic: bytes, secret: bytes | None, roles: int, limit: int) -> int:
        """The number of a new session. A limit of 0: none."""
        number = ctypes.c_uint64()
        check(
            self._lib.setowire_swarm_join_as(
                self._swarm, topic, len(topic), *_secret(secret), roles, limit, ctypes.byref(number)
            )
        )
        return number.value

    def leave(self, topic: bytes) -> None:
        code = self._lib.setowire_swarm_leave(self._swarm, topic, len(topic))
        if code != NOT_FOUND:  # it was not joined: nothing to leave
            check(code)

    def close_topic(self, number: int) -> None:
        check(self._lib.setowire_topic_close(self._swarm, number))

    def topic_info(self, number: int) -> TopicDetails:
        out = TopicDetails(struct_size=ctypes.sizeof(TopicDetails))
        check(self._lib.setowire_topic_info(self._swarm, number, ctypes.byref(out)))
        return out

    def refresh(self, number: int, roles: int, limit: int) -> Begin:
        return lambda tag: self._begin(self._lib.setowire_topic_refresh, number, roles, limit, tag)

    def flushed(self, number: int) -> Begin:
        return lambda tag: self._begin(self._lib.setowire_topic_flushed, number, tag)

    def flush(self, tag: int) -> int:
        return self._begin(self._lib.setowire_swarm_flush, tag)

    def lookup(self, topic: bytes, secret: bytes | None, announce: bool) -> Begin:
        """Its FOUND events carry the tag, too."""
        call = self._lib.setowire_swarm_lookup
        return lambda tag: self._begin(call, topic, len(topic), *_secret(secret), announce, tag)

    def unannounce(self, topic: bytes, secret: bytes | None) -> None:
        check(self._lib.setowire_swarm_unannounce(self._swarm, topic, len(topic), *_secret(secret)))

    # -- as a source --------------------------------------------------------

    def found(self, query: int, key: bytes, address: str) -> None:
        where = c_text("address", address)
        check(self._lib.setowire_swarm_found(self._swarm, query, key, len(key), where))

    def round_done(self, query: int, ok: bool) -> None:
        check(self._lib.setowire_swarm_round_done(self._swarm, query, ok))

    def unannounced(self, name: bytes) -> None:
        check(self._lib.setowire_swarm_unannounced(self._swarm, name, len(name)))

    # -- peers --------------------------------------------------------------

    def join_peer(self, key: bytes, address: str | None) -> None:
        where = None if address is None else c_text("address", address)
        check(self._lib.setowire_swarm_join_peer(self._swarm, key, len(key), where))

    def leave_peer(self, key: bytes) -> None:
        check(self._lib.setowire_swarm_leave_peer(self._swarm, key, len(key)))

    def ban(self, key: bytes, duration_ms: int, close: bool) -> None:
        check(self._lib.setowire_swarm_ban(self._swarm, key, len(key), duration_ms, close))

    def unban(self, key: bytes) -> None:
        check(self._lib.setowire_swarm_unban(self._swarm, key, len(key)))

    def set_reconnect(self, key: bytes, on: bool) -> None:
        check(self._lib.setowire_swarm_set_reconnect(self._swarm, key, len(key), on))

    def backoff(self, key: bytes) -> bool:
        return check(self._lib.setowire_swarm_backoff(self._swarm, key, len(key))) == 1

    def deduplicate(self, peer: int, local: bytes, remote: bytes) -> bool:
        call = self._lib.setowire_peer_deduplicate
        return check(call(self._swarm, peer, local, len(local), remote, len(remote))) == 1

    def known_peers(self) -> list[dict[str, Any]]:
        return list(self._json(self._lib.setowire_swarm_known_peers))

    def known_peer(self, key: bytes) -> dict[str, Any]:
        """`NotFoundError` for one that is not known."""
        return dict(self._json(self._lib.setowire_swarm_known_peer, key, len(key)))

    # -- the swarm ----------------------------------------------------------

    def answer(self, question: int, allowed: bool) -> None:
        check(self._lib.setowire_swarm_answer(self._swarm, question, allowed))

    def listen(self) -> None:
        check(self._lib.setowire_swarm_listen(self._swarm))

    def suspend(self) -> None:
        check(self._lib.setowire_swarm_suspend(self._swarm))

    def resume(self) -> None:
        check(self._lib.setowire_swarm_resume(self._swarm))

    def close_now(self) -> None:
        """Ends at once: peers hear of it, but nothing that is queued is waited for."""
        check(self._lib.setowire_swarm_close_now(self._swarm))

    def state(self) -> StateDetails:
        out = StateDetails(struct_size=ctypes.sizeof(StateDetails))
        check(self._lib.setowire_swarm_state(self._swarm, ctypes.byref(out)))
        return out

    # -- how they are made --------------------------------------------------

    def _begin(self, call: Any, *arguments: Any) -> int:
        operation = ctypes.c_uint64()
        check(call(self._swarm, *arguments, ctypes.byref(operation)))
        return operation.value

    def _json(self, call: Any, *arguments: Any) -> Any:
        """What a call writes into a buffer that may have to grow."""
        size, length = 4096, ctypes.c_size_t()
        while True:
            buffer = ctypes.create_string_buffer(size)
            check(call(self._swarm, *arguments, buffer, size, ctypes.byref(length)))
            if length.value < size:
                return json.loads(ctypes.string_at(buffer, length.value))
            size = 2 * length.value


def _secret(secret: bytes | None) -> tuple[bytes | None, int]:
    return secret, 0 if secret is None else len(secret)
