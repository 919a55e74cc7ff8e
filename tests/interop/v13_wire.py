"""Bytes and keys of setowire/13 as docs/protocol.md describes them.

Part of the independent peer `peer_aioquic.py`: written from that page alone, it
shares nothing with the library. Pure functions over bytes; `Broken` is raised for
what the page calls PROTOCOL, `None` is returned for what it says to drop.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import struct
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature, InvalidTag  # type: ignore[import-not-found]
from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # type: ignore[import-not-found]
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (  # type: ignore[import-not-found]
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305  # type: ignore[import-not-found]

DIALLER, ACCEPTOR = 0, 1

# Types of control frames.
HELLO, TOPICS, SHARED, ASK, LEFT, ADDRS, LEGACY, LEGACY_PROOF = range(1, 9)
# Types of streams.
CONTROL, APPLICATION, MESSAGES, MESH = range(4)
# Close codes.
CLOSED, PROTOCOL, NO_TOPIC, REPLACED, DUPLICATE, REFUSED, BAD_PROOF, SELF, TIMED_OUT, TOO_LARGE, GOING = range(11)
CLOSE_NAMES = ["CLOSED", "PROTOCOL", "NO_TOPIC", "REPLACED", "DUPLICATE", "REFUSED", "BAD_PROOF", "SELF", "TIMED_OUT", "TOO_LARGE", "GOING"]

CONTROL_LIMIT = 65_536
MESH_LIMIT = 1_049_088
TAGS_LIMIT = 2_048
MESSAGE_LIMIT = 16_777_216
DATAGRAM_LIMIT = 1_150

# Encodings of the points of order 1, 2, 4 and 8 on the curve of Ed25519: no key of a peer is one of them.
_P = 2**255 - 19
_ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
SMALL_ORDER = {
    (y | sign << 255).to_bytes(32, "little")
    for y in (0, 1, _P - 1, _P, _P + 1, _ORDER_8, _P - _ORDER_8)
    for sign in (0, 1)
}


class Broken(Exception):
    """The peer broke a rule: the close code and what to say."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf(salt: bytes, material: bytes, info: bytes) -> bytes:
    """RFC 5869 for 32 bytes of output, which is one block."""
    return mac(mac(salt or bytes(32), material), info, b"\x01")


def expand_label(secret: bytes, label: bytes, context: bytes) -> bytes:
    """HKDF-Expand-Label of RFC 8446 for 32 bytes."""
    label = b"tls13 " + label
    return mac(secret, b"\x00\x20", bytes([len(label)]), label, bytes([len(context)]), context, b"\x01")


def exporter(master: bytes, name: str) -> bytes:
    """The exporter `name`, from the exporter master secret."""
    empty = hashlib.sha256(b"").digest()
    return expand_label(expand_label(master, b"EXPORTER-setowire-13-" + name.encode(), empty), b"exporter", empty)


# ---- Integers and frames ----


def varint(value: int) -> bytes:
    for prefix, size in enumerate((1, 2, 4, 8)):
        if value < 1 << 8 * size - 2:
            return (value | prefix << 8 * size - 2).to_bytes(size, "big")
    raise ValueError(f"{value} does not fit a varint")


def take_varint(data: bytes | bytearray, at: int = 0) -> tuple[int, int] | None:
    """The value at `at` and where it ends; None while it is not whole."""
    if at >= len(data):
        return None
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        return None
    return int.from_bytes(data[at : at + size], "big") & (1 << 8 * size - 2) - 1, at + size


def frame(kind: int, body: bytes) -> bytes:
    return varint(kind) + varint(len(body)) + body


class Frames:
    """Cuts what a stream brings into frames, or into messages without a type."""

    def __init__(self, limit: int, typed: bool = True, too_long: int = PROTOCOL) -> None:
        self._data = bytearray()
        self._limit = limit
        self._typed = typed
        self._too_long = too_long

    def feed(self, data: bytes) -> None:
        self._data += data

    def next(self) -> tuple[int, bytes] | None:
        kind, at = 0, 0
        if self._typed:
            if (first := take_varint(self._data)) is None:
                return None
            kind, at = first
        if (second := take_varint(self._data, at)) is None:
            return None
        length, at = second
        if length > self._limit:
            raise Broken(self._too_long, f"a frame of {length} bytes, at most {self._limit} are allowed")
        if at + length > len(self._data):
            return None
        body = bytes(self._data[at : at + length])
        del self._data[: at + length]
        return kind, body

    @property
    def empty(self) -> bool:
        return not self._data


# ---- Control frames ----


@dataclass(frozen=True)
class Hello:
    instance: int
    max_message: int = MESSAGE_LIMIT
    explicit: bool = False
    continues: bool = False

    def body(self) -> bytes:
        flags = self.explicit | self.continues << 1
        return varint(13) + self.instance.to_bytes(8, "big") + varint(self.max_message) + varint(flags)


def read_hello(body: bytes) -> Hello:
    version = take_varint(body)
    limit = take_varint(body, version[1] + 8) if version else None
    flags = take_varint(body, limit[1]) if limit else None
    if version is None or limit is None or flags is None:
        raise Broken(PROTOCOL, "HELLO is too short")
    if version[0] < 13:
        raise Broken(PROTOCOL, f"HELLO names version {version[0]}")
    instance = int.from_bytes(body[version[1] : version[1] + 8], "big")
    return Hello(instance, limit[0], bool(flags[0] & 1), bool(flags[0] & 2))


def read_tags(kind: int, body: bytes) -> list[bytes]:
    if len(body) % 32:
        raise Broken(PROTOCOL, f"control frame {kind} of {len(body)} bytes, not a multiple of 32")
    return [body[at : at + 32] for at in range(0, len(body), 32)]


def fill_up(tags: list[bytes]) -> list[bytes]:
    """The tags and random values up to a power of two, in random order."""
    size = 4
    while size < len(tags):
        size *= 2
    values = tags + [os.urandom(32) for _ in range(size - len(tags))]
    secrets.SystemRandom().shuffle(values)
    return values


def addrs(places: list[tuple[str, int]]) -> bytes:
    body = b""
    for ip, port in places:
        address = ipaddress.ip_address(ip)
        body += bytes([address.version]) + address.packed + port.to_bytes(2, "big")
    return body


def read_addrs(body: bytes) -> list[tuple[str, int]]:
    found, at = [], 0
    while at < len(body):
        size = {4: 4, 6: 16}.get(body[at])
        if size is None or at + 3 + size > len(body):
            raise Broken(PROTOCOL, "ADDRS has an item of no known form")
        ip = ipaddress.ip_address(body[at + 1 : at + 1 + size])
        found.append((str(ip), int.from_bytes(body[at + 1 + size : at + 3 + size], "big")))
        at += 3 + size
    if len(found) > 8:
        raise Broken(PROTOCOL, f"ADDRS has {len(found)} items")
    return found


def read_control(kind: int, body: bytes) -> Hello | list[bytes] | list[tuple[str, int]] | bytes | None:
    """The content of a control frame; None for a type that is not known."""
    match kind:
        case 1:
            return read_hello(body)
        case 2 | 3 | 5:
            return read_tags(kind, body)
        case 6:
            return read_addrs(body)
        case 4 | 7 | 8:
            if len(body) != (0 if kind == ASK else 32):
                raise Broken(PROTOCOL, f"control frame {kind} of {len(body)} bytes")
            return body
    return None


# ---- Identity ----


class Identity:
    """What one seed makes: the key of the peer, its certificate and its v12 key."""

    NAME = bytes.fromhex("3013 3111 300f 0603 5504 03 0c08") + b"setowire"
    ED25519 = bytes.fromhex("3005 0603 2b6570")

    def __init__(self, seed: bytes) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key: bytes = self.private.public_key().public_bytes_raw()
        self.v12 = X25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())
        self.v12_public: bytes = self.v12.public_key().public_bytes_raw()
        validity = bytes.fromhex("3020 170d") + b"000101000000Z" + bytes.fromhex("180f") + b"99991231235959Z"
        subject_key = bytes.fromhex("302a 3005 0603 2b6570 032100") + self.key
        fields = bytes.fromhex("a003020102 020101") + self.ED25519 + self.NAME + validity + self.NAME + subject_key
        signed = bytes.fromhex("308187") + fields
        self.certificate = bytes.fromhex("3081d4") + signed + self.ED25519 + bytes.fromhex("034100") + self.private.sign(signed)

    def legacy_proof(self, their_v12: bytes, sender: int, exported: bytes) -> bytes | None:
        """The mac of LEGACY_PROOF, the same on both sides; None for a key without a shared secret."""
        try:
            shared = self.v12.exchange(X25519PublicKey.from_public_bytes(their_v12))
        except ValueError:
            return None
        return mac(shared, b"setowire/13 legacy", bytes([sender]), exported)


def v12_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:40]


def _der(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends."""
    if at + 2 > len(data) or data[at] != tag:
        raise ValueError(f"no element {tag:02x} at {at}")
    length, begin = data[at + 1], at + 2
    if length >= 0x80:
        size = length & 0x7F
        length, begin = int.from_bytes(data[begin : begin + size], "big"), begin + size
        if size == 0 or length < 0x80 or length < 1 << 8 * (size - 1):
            raise ValueError(f"the length at {at} is not in its shortest form")
    if begin + length > len(data):
        raise ValueError(f"the element at {at} is not whole")
    return begin, begin + length


def certificate_key(der: bytes) -> bytes:
    """The Ed25519 key of a certificate; ValueError if it has none."""
    if len(der) > 4_096:
        raise ValueError(f"a certificate of {len(der)} bytes")
    begin, end = _der(der, 0, 0x30)
    if end != len(der):
        raise ValueError("bytes behind the certificate")
    at, tbs_end = _der(der, begin, 0x30)
    # Version, serial number, signature algorithm, issuer, validity, subject.
    for tag in (0xA0, 0x02, 0x30, 0x30, 0x30, 0x30):
        content, after = _der(der, at, tag)
        if tag == 0xA0 and der[content:after] != bytes.fromhex("020102"):
            raise ValueError("not X.509 version 3")
        at = after
    content, after = _der(der, at, 0x30)
    spki = der[content:after]
    if after > tbs_end or len(spki) != 42 or spki[:10] != bytes.fromhex("300506032b6570032100"):
        raise ValueError("not an Ed25519 key")
    return spki[10:]


def signed_by(key: bytes, signature: bytes, text: bytes) -> bool:
    if key in SMALL_ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except InvalidSignature:
        return False
    return True


# ---- Topics ----


@dataclass(frozen=True)
class Topic:
    topic: bytes
    secret: bytes | None = None

    @cached_property
    def key(self) -> bytes:
        kind = b"public topic" if self.secret is None else b"private topic"
        return hkdf(b"setowire/13", self.topic + (self.secret or b""), kind)

    def tag(self, role: int, exported: bytes) -> bytes:
        return mac(self.key, b"setowire/13 topic", bytes([role]), exported)

    @cached_property
    def mesh_name(self) -> bytes:
        return mac(self.key, b"setowire/13 mesh")

    def announce_tag(self, day: int) -> bytes:
        return mac(self.key, b"setowire/13 announce", day.to_bytes(4, "big"))[:16]

    def announce(self, day: int, nonce: bytes, key: bytes, v4: int, v6: int, instance: int) -> bytes:
        """BEACON of this topic."""
        plain = key + struct.pack(">HHQ", v4, v6, instance)
        tag = self.announce_tag(day)
        sealed: bytes = self._cipher(day).encrypt(nonce, plain, tag)
        return b"\xa6\x01" + tag + nonce + sealed

    def open(self, beacon: bytes, days: range) -> tuple[bytes, int, int, int] | None:
        """Key, ports and instance of a BEACON of this topic."""
        tag, nonce, sealed = beacon[2:18], beacon[18:30], beacon[30:]
        for day in days:
            if tag == self.announce_tag(day):
                try:
                    plain = self._cipher(day).decrypt(nonce, sealed, tag)
                except InvalidTag:
                    return None
                v4, v6, instance = struct.unpack(">HHQ", plain[32:])
                return plain[:32], v4, v6, instance
        return None

    def _cipher(self, day: int) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(hkdf(b"", self.key, b"setowire/13 seal" + day.to_bytes(4, "big")))


def is_beacon(data: bytes) -> bool:
    return len(data) == 90 and data[:2] == b"\xa6\x01"


# ---- Datagrams of the main socket ----


def probe_target(key: bytes, nonce: bytes) -> bytes:
    return mac(key, b"setowire/13 probe", nonce)[:16]


def probe(nonce: bytes, key: bytes | None) -> bytes:
    return b"\xa3\x01" + nonce + (bytes(16) if key is None else probe_target(key, nonce)) + bytes(30)


def probe_nonce(data: bytes, own_key: bytes) -> bytes | None:
    """The nonce of a PROBE that is meant for us."""
    if len(data) != 64 or data[:2] != b"\xa3\x01":
        return None
    nonce, target = data[2:18], data[18:34]
    return nonce if target == bytes(16) or hmac.compare_digest(target, probe_target(own_key, nonce)) else None


def probe_ack(nonce: bytes, cookie: bytes, ip: str, port: int) -> bytes:
    address = ipaddress.ip_address(ip)
    return b"\xa4\x01" + nonce + cookie + bytes([address.version]) + address.packed.ljust(16, b"\0") + port.to_bytes(2, "big")


@dataclass(frozen=True)
class Ack:
    nonce: bytes
    cookie: bytes
    ip: str
    port: int


def read_ack(data: bytes) -> Ack | None:
    if len(data) != 53 or data[:2] != b"\xa4\x01":
        return None
    family, ip = data[34], data[35:51]
    if family == 4 and ip[4:] == bytes(12):
        ip = ip[:4]
    elif family != 6:
        return None
    return Ack(data[2:18], data[18:34], str(ipaddress.ip_address(ip)), int.from_bytes(data[51:53], "big"))


class Cookies:
    """Cookies of PROBE_ACK: good for an address in the minute they were made and the next."""

    def __init__(self) -> None:
        self._secret = os.urandom(32)

    def make(self, ip: str, port: int, seconds: float, ago: int = 0) -> bytes:
        address = ipaddress.ip_address(ip)
        wide = address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
        epoch = int(seconds // 60) - ago
        return mac(self._secret, epoch.to_bytes(4, "big"), wide, port.to_bytes(2, "big"))[:16]

    def good(self, cookie: bytes, ip: str, port: int, seconds: float) -> bool:
        return any(hmac.compare_digest(cookie, self.make(ip, port, seconds, ago)) for ago in (0, 1))


# ---- Session probes ----

CHALLENGE, ANSWER = 1, 2


def path_tag(key: bytes, n: int) -> bytes:
    return mac(key, b"tag", n.to_bytes(4, "big"))[:8]


def session_probe(key: bytes, n: int, kind: int, number: int, nonce: bytes) -> bytes:
    head = b"\xa5" + path_tag(key, n) + bytes([kind]) + number.to_bytes(2, "big") + nonce
    return head + mac(key, b"probe", n.to_bytes(4, "big"), head)[:16]


def check_session_probe(data: bytes, key: bytes, n: int) -> tuple[int, int, bytes] | None:
    """Kind, number and nonce of a probe under this key."""
    if len(data) != 44 or data[1:9] != path_tag(key, n) or data[9] not in (CHALLENGE, ANSWER):
        return None
    if not hmac.compare_digest(data[28:], mac(key, b"probe", n.to_bytes(4, "big"), data[:28])[:16]):
        return None
    return data[9], int.from_bytes(data[10:12], "big"), data[12:28]


# ---- Mesh ----

#: The mesh name between an author and a peer that shares no topic with it.
NEIGHBOUR = bytes(32)


@dataclass(frozen=True)
class MeshMessage:
    topic: bytes
    author: bytes
    id: bytes
    hops: int
    flags: int
    time: int
    signature: bytes
    payload: bytes

    def body(self) -> bytes:
        head = self.topic + self.author + self.id + bytes([self.hops, self.flags]) + self.time.to_bytes(8, "big")
        return head + self.signature + self.payload

    def good(self, mesh_name: bytes) -> bool:
        """The id fits and the author signed it for this topic."""
        text = _mesh_text(mesh_name, self.id, self.flags, self.time, self.payload)
        return self.id == mesh_id(self.author, self.flags, self.time, self.payload) and signed_by(self.author, self.signature, text)


def mesh_id(author: bytes, flags: int, time: int, payload: bytes) -> bytes:
    digest = hashlib.sha256(payload).digest()
    return hashlib.sha256(b"setowire/13 id" + author + bytes([flags]) + time.to_bytes(8, "big") + digest).digest()[:16]


def _mesh_text(mesh_name: bytes, id: bytes, flags: int, time: int, payload: bytes) -> bytes:
    return b"setowire/13 mesh" + mesh_name + id + bytes([flags]) + time.to_bytes(8, "big") + payload


def mesh_message(identity: Identity, mesh_name: bytes, time: int, payload: bytes) -> MeshMessage:
    id = mesh_id(identity.key, 0, time, payload)
    signature = identity.private.sign(_mesh_text(mesh_name, id, 0, time, payload))
    return MeshMessage(mesh_name[:8], identity.key, id, 0, 0, time, signature, payload)


def read_mesh(kind: int, body: bytes) -> MeshMessage | None:
    """The message in a mesh frame, if it has one."""
    item = {2: 24, 3: 16}.get(kind)
    if item is not None and (len(body) % item or len(body) // item > 256) or kind == 4 and len(body) != 8:
        raise Broken(PROTOCOL, f"mesh frame {kind} of {len(body)} bytes")
    return read_mesh_message(body) if kind == 1 else None


def read_mesh_message(body: bytes) -> MeshMessage:
    if len(body) < 130:
        raise Broken(PROTOCOL, f"a mesh MESSAGE of {len(body)} bytes")
    if len(body) > 130 + 1_048_576:
        raise Broken(PROTOCOL, f"a mesh payload of {len(body) - 130} bytes")
    time = int.from_bytes(body[58:66], "big")
    return MeshMessage(body[:8], body[8:40], body[40:56], body[56], body[57], time, body[66:130], body[130:])
