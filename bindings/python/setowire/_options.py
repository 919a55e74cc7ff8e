"""The options of a swarm: their types, and how they become a native configuration.

Defaults and checks are the library's; nothing is repeated here. An option of
the older packages that does not exist yet is refused by name, so that nobody
believes it works.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

from ._native import c_data, c_text, check, library
from .errors import INVALID, INTERNAL, InternalError, InvalidArgumentError, NotAvailableError


class SwarmOptions(TypedDict, total=False):
    """Every option may be left out."""

    #: 32 bytes, or 64 hexadecimal digits: the identity. Left out: a random one.
    seed: bytes | str | None
    #: Addresses like "0.0.0.0:0" to bind to, at most one of each family.
    bind: str | Iterable[str] | None
    #: Connected peers, both directions.
    max_peers: int
    #: False: no beacons on the local network.
    lan: bool
    #: Interfaces for beacons; left out: every one that can multicast. A name that does not exist is not an error: it is
    #: used when it appears.
    lan_interfaces: str | Iterable[str] | None
    #: "host:port" dialled at join, and every 30 s while nobody is connected. (The identity's seed is `seed`.)
    seeds: Iterable[str] | None
    #: Peers of an earlier run, as `on_save_peers` got them.
    peer_cache: list[dict[str, Any]] | None
    #: Called with the peers to keep: when they changed, at most every 30 s, and at the end.
    on_save_peers: Callable[[list[dict[str, Any]]], object] | None
    #: Called once at the start, returns the peers of an earlier run.
    on_load_peers: Callable[[], list[dict[str, Any]] | None] | None
    #: "chacha20", or "fastest": AES-128-GCM where both sides say so.
    cipher: str
    #: False: nothing of the older packages' protocol is sent or answered.
    legacy: bool
    #: Bytes of the largest message taken from a peer of our own kind, 1 KiB to 64 MiB.
    max_message: int
    #: False: peers of our own kind that dial us must have joined a topic of ours.
    accept_explicit: bool
    #: Send messages above one datagram to old peers as unencrypted fragments.
    clear_fragments: bool
    #: Bytes that may wait for one peer.
    send_buffer: int
    #: Events, and bytes of events, that may wait for the application.
    event_queue_items: int
    event_queue_bytes: int


#: Options of the older packages without a counterpart in this version.
NOT_AVAILABLE = (
    "relay",
    "bootstrap",
    "bootstrap_http",
    "piping_servers",
    "exclusive_piping",
    "storage",
    "store_cache_max",
)


def _boolean(value: object) -> str:
    return "true" if value else "false"


def _names(value: Any) -> str:
    return value if isinstance(value, str) else ",".join(str(part) for part in value)


_TO_TEXT: dict[str, Callable[[Any], str]] = {
    "max_peers": str,
    "lan": _boolean,
    "lan_interfaces": _names,
    "seeds": _names,
    "peer_cache": json.dumps,
    "cipher": str,
    "legacy": _boolean,
    "max_message": str,
    "accept_explicit": _boolean,
    "clear_fragments": _boolean,
    "send_buffer": str,
    "event_queue_items": str,
    "event_queue_bytes": str,
}


def merge(opts: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The options that have a value, from the mapping and the keywords; others are errors."""
    options = {**(opts or {}), **keywords}
    for name in options:
        if name in NOT_AVAILABLE:
            if options[name]:
                raise NotAvailableError(INVALID, f"option {name!r} is not available in this version")
        elif name not in SwarmOptions.__annotations__:
            known = ", ".join(SwarmOptions.__annotations__)
            raise InvalidArgumentError(INVALID, f"no option {name!r}; there are {known}")
    load = options.get("on_load_peers")
    if load is not None and options.get("peer_cache") is None:
        options["peer_cache"] = load()
    return {name: value for name, value in options.items() if value is not None}


def native_config(options: Mapping[str, Any]) -> int:
    """A `setowire_config` with these options; the caller frees it."""
    lib = library()
    config: int | None = lib.setowire_config_new()
    if not config:
        raise InternalError(INTERNAL, "no memory for a configuration")
    try:
        for name, to_text in _TO_TEXT.items():
            if name in options:
                _set(config, name, to_text(options[name]))
        seed = options.get("seed")
        if isinstance(seed, str):
            _set(config, "seed", seed)
        elif seed is not None:
            check(lib.setowire_config_set_identity_seed(config, *c_data(seed, "seed")))
        bind = options.get("bind", ())
        for address in [bind] if isinstance(bind, str) else bind:
            _set(config, "bind", address)
    except BaseException:
        lib.setowire_config_free(config)
        raise
    return config


def _set(config: int, name: str, value: str) -> None:
    check(library().setowire_config_set(config, name.encode("ascii"), c_text(name, value)))
