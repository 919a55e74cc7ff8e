"""The options of a swarm: their types, and how they become a native configuration.

Defaults and checks are the library's; nothing is repeated here. An option of
the older packages that does not exist yet is refused by name, so that nobody
believes it works.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypedDict

from ._asking import Asked
from ._source import check_source
from ._native import c_data, c_text, check, library
from .errors import INVALID, INTERNAL, InternalError, InvalidArgumentError, NotAvailableError


class SwarmOptions(TypedDict, total=False):
    """Every option may be left out."""

    #: Whose defaults: "setowire", "v4" or "v2" of Hyperswarm.
    preset: Literal["setowire", "v4", "v2"]
    #: 32 bytes, or 64 hexadecimal digits: the identity. Left out: a random one.
    seed: bytes | str | None
    #: The identity as an Ed25519 secret key of 64 bytes (seed, then public key), or as a mapping or object with a
    #: `secret_key`. Wins over `seed`.
    key_pair: Any
    #: Addresses like "0.0.0.0:0" to bind to, at most one of each family. A range "0.0.0.0:10000-10100": the first free port.
    bind: str | Iterable[str] | None
    #: Connected peers, both directions; with the preset v4 only dials are held back by it.
    max_peers: int
    #: Connections that we dialled, with those in progress, and that others dialled. `math.inf`, the default: no limit.
    max_client_connections: float
    max_server_connections: float
    #: Dials in progress.
    max_parallel: int
    #: Four waits in ms before a peer is dialled again: short, middle, long, and that of peers joined by key.
    backoffs: Iterable[int]
    #: Up to so many ms more, drawn once.
    jitter: int
    #: Of the preset v2: three waits in ms, one for each retry; ms until a peer that did not answer after these is forgotten;
    #: ms until a banned one is (None: never).
    requeue: Iterable[int]
    forget_unresponsive: int
    forget_banned: float | None
    #: `firewall(key, info)` returns true to ban a peer before it is dialled or let in, `validate(key, info)` returns false to
    #: leave one alone that was found. Both may be async; without an answer in time the peer is turned away, not banned.
    firewall: Asked | None
    validate: Asked | None
    #: ms that their answers are waited for, and that a refusal is remembered.
    firewall_deadline: int
    handshake_clear_wait: int
    #: False: no beacons on the local network.
    lan: bool
    #: Interfaces for beacons; left out: every one that can multicast. A name that does not exist is not an error: it is
    #: used when it appears.
    lan_interfaces: str | Iterable[str] | None
    #: "host:port" dialled at join, and every 30 s while nobody is connected. (The identity's seed is `seed`.)
    seeds: Iterable[str] | None
    #: "host:port" of nodes that are dialled while nobody was met, every 15 s.
    bootstrap: Iterable[str] | None
    #: A source of peers of the application's own: an object with `announce(name, peer)`, `lookup(name)` and
    #: `unannounce(name, key)`, sync or async, such as `setowire.Directory`. `dht` is another name for it.
    source: Any
    dht: Any
    #: The port that beacons and announcements name instead of the one that is bound, where it is forwarded.
    announce_port: int
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
    "bootstrap_http",
    "piping_servers",
    "exclusive_piping",
    "storage",
    "store_cache_max",
)


def _boolean(name: str) -> Callable[[Any], str]:
    """Of an option that is on or off: a boolean, or text that the library knows. Nothing else: "off" is not true."""

    def text(value: Any) -> str:
        if isinstance(value, str):
            return value
        if value in (True, False):
            return "true" if value else "false"
        raise TypeError(f"{name}: True or False is wanted, not {value!r}")

    return text


def _names(value: Any) -> str:
    return value if isinstance(value, str) else ",".join(str(part) for part in value)


def _count(value: float) -> str:
    return "unlimited" if value == math.inf else str(value)


def _given(value: object) -> str:
    """Of a callable: whether there is one. None was left out before."""
    return "true"


#: In this order: a preset sets the defaults of what follows.
_TO_TEXT: dict[str, Callable[[Any], str]] = {
    "preset": str,
    "max_peers": str,
    "max_client_connections": _count,
    "max_server_connections": _count,
    "max_parallel": str,
    "backoffs": _names,
    "jitter": str,
    "requeue": _names,
    "forget_unresponsive": str,
    "forget_banned": lambda value: "never" if value == math.inf else str(value),
    "firewall": _given,
    "validate": _given,
    "firewall_deadline": str,
    "handshake_clear_wait": str,
    "bootstrap": _names,
    "source": _given,
    "announce_port": str,
    "lan": _boolean("lan"),
    "lan_interfaces": _names,
    "seeds": _names,
    "peer_cache": json.dumps,
    "cipher": str,
    "legacy": _boolean("legacy"),
    "max_message": str,
    "accept_explicit": _boolean("accept_explicit"),
    "clear_fragments": _boolean("clear_fragments"),
    "send_buffer": str,
    "event_queue_items": str,
    "event_queue_bytes": str,
}


def secret_key(pair: Any) -> Any:
    """The 64 bytes of a key pair, however it is given."""
    if isinstance(pair, (bytes, bytearray, memoryview)):
        return pair
    if isinstance(pair, str):
        try:
            return bytes.fromhex(pair)
        except ValueError:
            raise InvalidArgumentError(INVALID, "key_pair: the text is not hexadecimal") from None
    for name in ("secret_key", "secretKey"):
        secret = pair.get(name) if isinstance(pair, Mapping) else getattr(pair, name, None)
        if secret is not None:
            return secret
    raise TypeError("key_pair: the 64 bytes of a secret key are wanted, or something with a `secret_key`")


def merge(opts: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The options that have a value, from the mapping and the keywords; others are errors."""
    options = {**(opts or {}), **keywords}
    for name in options:
        if name in NOT_AVAILABLE:
            if options[name]:
                raise NotAvailableError(INVALID, f"option {name!r} is not available in this version")
        elif name not in SwarmOptions.__annotations__:
            near = difflib.get_close_matches(name, SwarmOptions.__annotations__, 1)
            meant = f"; is {near[0]!r} meant?" if near else f"; there are {', '.join(SwarmOptions.__annotations__)}"
            raise InvalidArgumentError(INVALID, f"no option {name!r}{meant}")
    for name in ("firewall", "validate"):
        if options.get(name) is not None and not callable(options[name]):
            raise TypeError(f"{name}: {options[name]!r} cannot be called")
    if options.get("dht") is not None:
        if options.get("source") is not None:
            raise InvalidArgumentError(INVALID, "source: say either source or dht, which is the same")
        options["source"] = options["dht"]
    options.pop("dht", None)
    if options.get("source") is not None:
        check_source(options["source"])
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
        pair = options.get("key_pair")
        if pair is not None:
            check(lib.setowire_config_set_key_pair(config, *c_data(secret_key(pair), "key_pair")))
        bind = options.get("bind", ())
        for address in [bind] if isinstance(bind, str) else bind:
            _set(config, "bind", address)
    except BaseException:
        lib.setowire_config_free(config)
        raise
    return config


def _set(config: int, name: str, value: str) -> None:
    check(library().setowire_config_set(config, name.encode("ascii"), c_text(name, value)))
