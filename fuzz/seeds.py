#!/usr/bin/env python3
"""Writes the named part of the corpus: frames of the test vectors and edge cases made by hand.

Run it from anywhere after a change of the vectors or of the cases below. Files with other
names are what the fuzzers found and are left alone; README.md says how they were added.
"""

import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "tests" / "vectors"
LARGEST_SEED = 4096

KINDS = {
    0x01: "data",
    0x03: "ping",
    0x04: "ping",
    0x07: "ihave",
    0x09: "beacon",
    0x0A: "ping",
    0x0B: "frag",
    0x10: "values",
    0x11: "values",
    0x12: "values",
    0x13: "batch",
    0x14: "values",
    0x20: "relay",
    0x21: "relay",
    0x22: "relay",
    0x30: "pex",
    0xA1: "handshake",
    0xA2: "handshake",
}
ID = "6e46eb890d7b6ca5204178b3432f1dd6c06bc5f4"
HASH = "0123456789ab"


def from_vectors() -> dict[str, dict[str, bytes]]:
    """Every binary frame and JSON text of the vectors, by target and name."""
    seeds: dict[str, dict[str, bytes]] = {}

    def add(target: str, name: str, data: bytes) -> None:
        if len(data) <= LARGEST_SEED:
            seeds.setdefault(target, {})[name] = data

    def walk(file: str, name: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(file, f"{name}-{key}" if isinstance(inner, (dict, list)) else name, inner)
        elif isinstance(value, list):
            for number, inner in enumerate(value[:3]):
                walk(file, f"{name}-{number}", inner)
        elif isinstance(value, str) and value.startswith("{"):
            add("dht" if file == "dht" else "json", name, value.encode())
        elif isinstance(value, str) and file == "stun" and re.fullmatch("(?:[0-9a-f]{2}){20,}", value):
            add("stun", name, bytes.fromhex(value))
        elif isinstance(value, str) and re.fullmatch("(?:[0-9a-f]{2})+", value):
            frame = bytes.fromhex(value)
            target = KINDS.get(frame[0])
            # Keys and ids are hex text too: only what stands where frames stand is one.
            if target and file in FRAME_FILES.get(target, ()):
                add(target, name, frame)

    for path in sorted(VECTORS.glob("*.json")):
        for vector in json.loads(path.read_text())["vectors"]:
            if path.stem in MODERN:
                data = bytes.fromhex(vector["expected"].get("frame") or vector["inputs"]["frame"])
                add(MODERN[path.stem] or MODERN_KINDS.get(data[0], "probe"), vector["name"], data)
                continue
            if len(str(vector["expected"])) < 20_000:
                walk(path.stem, vector["name"], vector)
    return seeds


# Files of setowire/13 and their target; for datagrams the first byte decides.
MODERN = {"v13_control": "control", "v13_mesh": "mesh", "v13_varint": "varint", "v13_datagrams": None}
MODERN_KINDS = {0xA6: "beacon13"}

FRAME_FILES = {
    "data": ("data", "captured"),
    "ping": ("ping", "captured"),
    "ihave": ("json",),
    "beacon": ("lan",),
    "frag": ("frag",),
    "values": ("sync",),
    "batch": ("batch",),
    "relay": ("relay",),
    "pex": ("pex", "captured"),
    "handshake": ("handshake", "captured"),
}


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def prefixed(ip: str, port: int) -> bytes:
    return bytes([len(ip)]) + ip.encode() + u16(port)


def stun(attributes: bytes, kind: int = 0x0101, cookie: str = "2112a442", length: int | None = None) -> bytes:
    size = len(attributes) if length is None else length
    return u16(kind) + u16(size) + bytes.fromhex(cookie) + bytes(range(12)) + attributes


def attribute(kind: int, value: bytes) -> bytes:
    return u16(kind) + u16(len(value)) + value + bytes(-len(value) % 4)


def framed(kind: int, body: bytes) -> bytes:
    """A frame of a stream of setowire/13, for types below 64 and bodies below 16 KiB."""
    return bytes([kind]) + (0x4000 | len(body)).to_bytes(2, "big") + body


def dht(**fields: object) -> bytes:
    return json.dumps({"from": ID, **fields}).encode()


def by_hand() -> dict[str, dict[str, bytes]]:
    """What no honest peer sends, and what few do."""
    id8, id20, key = bytes(range(8)), bytes(range(20)), bytes(range(32))
    node = {"id": ID, "ip": "10.0.0.5", "port": 4444}
    addr4, addr6 = b"\x04\x0a\x00\x00\x09\x00\x07", b"\x06" + bytes(16) + b"\x00\x07"
    hello = framed(1, b"\x0d" + id8 + b"\x05\x00")
    tags = framed(2, key * 4)
    message = framed(1, id8 + key + id20[:16] + b"\x00\x00" + id8 + key + key + b"payload")
    nested = b"\x0a\x00"
    for _ in range(500):
        nested = b"\x13\x01" + u16(len(nested)) + nested
    return {
        "handshake": {
            "short": b"\xa1" + id8 + key[:-1],
            "long": b"\xa1" + id8 + key + bytes(16),
            "low-order-key": b"\xa1" + id8 + bytes(32),
            "type-only": b"\xa2",
            "no-key": b"\xa2" + id8,
        },
        "data": {
            "shorter-than-a-tag": b"\x01" + bytes(12 + 15),
            "only-a-tag": b"\x01" + bytes(12 + 16),
            "no-nonce": b"\x01" + bytes(11),
            "like-stun": b"\x01" * 40,
        },
        "ping": {
            "type-only": b"\x03",
            "two-bytes": b"\x03\x00",
            "time-only": b"\x03" + bytes(8),
            "time-and-id8": b"\x03" + bytes(16),
            "tail": b"\x03" + bytes(40),
            "pong-type-only": b"\x04",
            "pong-two-bytes": b"\x04\x00",
            "pong-between": b"\x04" + bytes(24),
            "pong-echo-and-tail": b"\x04" + bytes(29),
            "goaway-1": b"\x0a",
            "goaway-2": b"\x0a\x00",
            "goaway-9": b"\x0a" * 9,
        },
        "ihave": {"empty": b"\x07", "part": b"\x07" + bytes(7), "two-and-part": b"\x07" + bytes(19)},
        "beacon": {
            name: b"\x09" + text.encode()
            for name, text in {
                "empty": "",
                "ipv6-form": f"{ID}::40001:{HASH}",
                "long-hash": f"{ID}:10.0.0.9:1:{HASH}{HASH}",
                "fifth-field": f"{ID}:10.0.0.9:1:{HASH}:x=1",
                "three-fields": f"{ID}:10.0.0.9:1",
                "one-field": ID,
                "port-zero": f"{ID}:10.0.0.9:0:",
                "port-large": f"{ID}:10.0.0.9:65536:",
                "port-sign": f"{ID}:10.0.0.9:+7:",
                "port-empty": f"{ID}:10.0.0.9::",
                "port-zeros": f"{ID}:10.0.0.9:00007:",
                "ip-name": f"{ID}:localhost:1:",
                "ip-octal": f"{ID}:10.0.0.010:1:",
                "id-short": f"{ID[:16]}:10.0.0.9:1:",
                "id-odd": f"{ID[1:]}g:10.0.0.9:1:",
                "hash-11": f"{ID}:10.0.0.9:1:{HASH[1:]}",
                "hash-not-hex": f"{ID}:10.0.0.9:1:{HASH[1:]}g",
                "upper-case": f"{ID.upper()}:10.0.0.9:1:{HASH.upper()}",
                "too-long": f"{ID}:10.0.0.9:1::" + "x" * 512,
                "colons": ":" * 300,
                "not-ascii": f"{ID}:10.0.0.9:1:é",
            }.items()
        }
        | {"not-utf8": b"\x09" + ID.encode() + b":\xff\xfe:1:"},
        "frag": {
            "total-zero": b"\x0b" + id8 + u16(0) + u16(0) + b"x",
            "index-at-total": b"\x0b" + id8 + u16(5) + u16(5) + b"x",
            "index-beyond": b"\x0b" + id8 + u16(5) + u16(1) + b"x",
            "empty": b"\x0b" + id8 + u16(0) + u16(1),
            "one-byte": b"\x0b" + id8 + u16(65534) + u16(65535) + b"x",
            "too-large": b"\x0b" + id8 + u16(0) + u16(1) + bytes(1189),
            "largest": b"\x0b" + id8 + u16(0) + u16(1) + bytes(1188),
            "no-total": b"\x0b" + id8 + u16(0),
            "no-index": b"\x0b" + id8,
        },
        "values": {
            "have-none": b"\x10\x00",
            "have-no-count": b"\x10",
            "have-cut": b"\x10\x02\x01a\x05b",
            "have-empty-key": b"\x10\x02\x00\x01b",
            "have-64-long": b"\x10\x0f" + (b"\xff" + b"k" * 255) * 15,
            "have-more-than-counted": b"\x10\x01\x01a\x01b",
            "want-empty": b"\x11\x00",
            "want-cut": b"\x11\x05abc",
            "want-tail": b"\x11\x01kx",
            "chunk-index-beyond": bytes.fromhex("12016bffff00050001aa"),
            "chunk-total-zero": bytes.fromhex("12016bffff00000000aa"),
            "chunk-no-data": bytes.fromhex("12016bffff00000001"),
            "chunk-cut": bytes.fromhex("12016b0009aa"),
            "chunk-tail": bytes.fromhex("12016b0001aabb"),
            "chunk-large": bytes.fromhex("12016bffff00000001") + bytes(901),
            "chunk-no-total": bytes.fromhex("12016bffff0000"),
            "chunk-no-index": bytes.fromhex("12016bffff"),
            "chunk-no-length": bytes.fromhex("12016b"),
            "chunk-empty-key": bytes.fromhex("12000001aa"),
            "ack-empty-key": bytes.fromhex("14000000"),
            "ack-no-index": bytes.fromhex("14016b00"),
            "ack-tail": bytes.fromhex("14016b000000"),
        },
        "batch": {
            "no-count": b"\x13",
            "none": b"\x13\x00",
            "count-only": b"\x13\xff",
            "nested": b"\x13\x01\x00\x06\x13\x01\x00\x02\x0a\x00",
            "deep": nested,
            "empty-frames": b"\x13\xff" + bytes(510),
            "length-beyond": b"\x13\x02\x00\x01\x0a\xff\xff\x0a",
            "cut-length": b"\x13\x02\x00\x01\x0a\x00",
            "tail": b"\x13\x01\x00\x02\x0a\x00tail",
        },
        "relay": {
            "ann-v6": b"\x20" + id8 + prefixed("2001:db8::1", 5),
            "ann-port-zero": b"\x20" + id8 + prefixed("10.0.0.9", 0),
            "ann-unspecified": b"\x20" + id8 + prefixed("0.0.0.0", 5),
            "ann-tail": b"\x20" + id8 + prefixed("10.0.0.9", 5) + b"x",
            "ann-name": b"\x20" + id8 + prefixed("localhost", 5),
            "ann-rust": b"\x20" + id20 + prefixed("10.0.0.9", 5),
            "ann-rust-with-port": b"\x20" + id20 + prefixed("10.0.0.9:7", 5),
            "ann-rust-tail": b"\x20" + id20 + prefixed("10.0.0.9", 5) + b"x",
            "ann-rust-v6-with-port": b"\x20" + id20 + prefixed("[::1]:7", 5),
            "ann-rust-no-port": b"\x20" + id20 + b"\x02ab",
            "ann-cut": b"\x20" + id20,
            "ann-short": b"\x20" + id8,
            "req-rust": b"\x21" + id20,
            "req-short": b"\x21" + id20[:7],
            "req-name": b"\x21" + id8 + id8 + prefixed("host", 5),
            "req-port-zero": b"\x21" + id8 + id8 + prefixed("10.0.0.9", 0),
            "fwd-rust": b"\x22" + id20 + b"10.0.0.9\x00" + u16(5),
            "fwd-rust-no-zero": b"\x22" + id20 + b"10.0.0.9\x01" + u16(5),
            "fwd-rust-name": b"\x22" + id20 + b"host\x00" + u16(5),
            "fwd-rust-empty": b"\x22" + id20,
            "fwd-rust-one": b"\x22" + id20 + b"\x00",
            "fwd-short": b"\x22" + id8,
            "fwd-v6": b"\x22" + id8 + prefixed("::ffff:10.0.0.9", 5),
        },
        "pex": {
            "none": b"\x30\x00",
            "no-count": b"\x30",
            "v6": b"\x30\x01\x08" + id8 + prefixed("2001:db8::1", 5),
            "id-20": b"\x30\x01\x14" + id20 + prefixed("10.0.0.9", 5),
            "cut": b"\x30\x02\x08" + id8 + prefixed("10.0.0.9", 5),
            "tail": b"\x30\x01\x08" + id8 + prefixed("10.0.0.9", 5) + b"x",
            "bad-ip": b"\x30\x01\x08" + id8 + prefixed("10.0.0.999", 5),
            "port-zero": b"\x30\x01\x08" + id8 + prefixed("10.0.0.9", 0),
            "two-characters": b"\x30\x01\x08" + id8 + prefixed("::", 5),
            "rust-port-zero": b"\x30\x01" + id8 + bytes([10, 0, 0, 9]) + u16(0),
            "rust-unspecified": b"\x30\x01" + id8 + bytes(4) + u16(5),
            "rust-255": b"\x30\xff" + (id8 + bytes([10, 0, 0, 9]) + u16(7)) * 255,
            "255": b"\x30\xff" + (b"\x08" + id8 + prefixed("1.2.3.4", 7)) * 255,
        },
        "json": {
            name: text.encode()
            for name, text in {
                "announce-null": f'{{"id":"{ID}","ip":null,"port":null,"lip":"10.0.0.1","lport":5}}',
                "announce-16": f'{{"id":"{ID[:16]}"}}',
                "announce-no-id": "{}",
                "announce-list": "[]",
                "announce-v6": f'{{"id":"{ID}","ip":"::1","port":5}}',
                "gossip-bare": '{"_gossip":true}',
                "gossip-nulls": '{"_gossip":null,"id":null,"ip":null,"port":null}',
                "gossip-port-text": f'{{"_gossip":true,"id":"{ID}","ip":"10.0.0.9","port":"1"}}',
                "gossip-port-large": f'{{"_gossip":true,"id":"{ID}","ip":"10.0.0.9","port":65536}}',
                "gossip-port-real": f'{{"_gossip":true,"id":"{ID}","ip":"10.0.0.9","port":1.5}}',
                "gossip-id-not-ascii": '{"_gossip":true,"id":"éééééééé","ip":"x","port":-1}',
                "gossip-inside": '{"x":{"_gossip":true}}',
                "gossip-quoted": '{"x":"\\"_gossip\\""}',
                "gossip-broken": '{"_gossip":tru',
                "gossip-deep": '{"_gossip":' + "[" * 250,
                "gossip-wide": '{"_gossip":[' + "1," * 250 + "1]}",
                "gossip-wider": '{"_gossip":[' + "1," * 300 + "1]}",
                "gossip-long": '{"_gossip":"' + "x" * 2048 + '"}',
                "gossip-many-keys": "{" + ",".join(f'"{i}":[0]' for i in range(120)) + ',"_gossip":1}',
                "gossip-twice": '{"_gossip":1,"_gossip":2,"port":1,"port":2}',
                "number": "1",
                "space": " ",
                "surrogate": '{"_gossip":"\\ud800"}',
            }.items()
        }
        | {"not-utf8": b'{"_gossip":"\xff"}'},
        "cache": {
            name: text.encode()
            for name, text in {
                "empty": "",
                "none": "[]",
                "object": "{}",
                "number": "[1]",
                "broken": "[{",
                "one": f'[{{"id":"{ID}","ip":"10.0.0.9","port":4444,"lastSeen":1700000000123}}]',
                "of-python": f'[{{"id":"{ID[:16]}","ip":"10.0.0.9","port":4444,"last_seen":1700000000.25}}]',
                "id-null": '[{"id":null,"ip":"2001:db8::1","port":1,"x":[]}]',
                "id-number": '[{"id":7,"ip":"10.0.0.9","port":1}]',
                "id-not-hex": '[{"id":"é","ip":"10.0.0.9","port":1}]',
                "id-short": '[{"id":"ab","ip":"10.0.0.9","port":1}]',
                "port-large": '[{"ip":"10.0.0.9","port":65536}]',
                "port-zero": '[{"ip":"10.0.0.9","port":0}]',
                "ip-name": '[{"ip":"localhost","port":1}]',
                "ip-multicast": '[{"ip":"239.0.0.1","port":1}]',
                "seen-negative": '[{"ip":"10.0.0.9","port":1,"lastSeen":-1e300}]',
                "seen-huge": '[{"ip":"10.0.0.9","port":1,"lastSeen":1e300}]',
                "201": "[" + ",".join(f'{{"ip":"10.0.0.9","port":{port}}}' for port in range(1, 202)) + "]",
                "many-small-lists": "[" + "[0]," * 900 + "0]",
                "deep": "[" * 250,
            }.items()
        }
        | {"not-utf8": b"[\xff]"},
        "stun": {
            "empty": b"",
            "header-only": stun(b""),
            "request": stun(b"", kind=1),
            "wrong-cookie": stun(b"", cookie="2112a443"),
            "length-beyond": stun(b"", length=8),
            "v6": stun(attribute(0x20, b"\x00\x02" + u16(0x2113) + bytes(range(16)))),
            "v6-plain": stun(attribute(1, b"\x00\x02" + u16(5) + bytes(range(16)))),
            "family-9": stun(attribute(1, b"\x00\x09" + u16(5) + b"abcd")),
            "port-zero": stun(attribute(1, b"\x00\x01" + u16(0) + b"abcd")),
            "unspecified": stun(attribute(1, b"\x00\x01" + u16(5) + bytes(4))),
            "short-address": stun(attribute(1, b"\x00\x01" + u16(5) + b"abc")),
            "short-port": stun(attribute(1, b"\x00\x01\x05")),
            "two": stun(attribute(1, b"\x00\x01" + u16(5) + b"abcd") + attribute(0x20, b"\x00\x01" + u16(5) + b"abcd")),
            "plain-twice": stun(attribute(1, b"\x00\x01" + u16(5) + b"abcd") * 2),
            "cut-attribute": stun(u16(1) + u16(8) + b"\x00\x01"),
            "cut-length": stun(u16(1) + b"\x00"),
            "unpadded": stun(attribute(1, b"\x00\x01" + u16(5) + b"abcd") + u16(0x8022) + u16(1) + b"x"),
            "attribute-of-65535": stun(u16(0x8022) + u16(65535) + b"x"),
            "no-cookie": stun(b"")[:6],
            "no-transaction": stun(b"")[:12],
        },
        "probe": {
            "type-only": b"\xa3",
            "padded-with-ones": b"\xa3\x01" + bytes(32) + b"\xff" * 30,
            "ack-v6-port-zero": b"\xa4\x01" + bytes(32) + b"\x06" + bytes(18),
            "ack-family-0": b"\xa4\x01" + bytes(51),
            "ack-53": b"\xa4\x01" + bytes(52),
            "challenge": b"\xa5" + id8 + b"\x01\xff\xff" + key,
            "answer-and-tail": b"\xa5" + id8 + b"\x02\x00\x01" + key + b"x",
        },
        "beacon13": {"type-only": b"\xa6", "zero": b"\xa6\x01" + bytes(88), "short": b"\xa6\x01" + bytes(87)},
        "varint": {
            "empty": b"",
            "one-byte": b"\x00",
            "cut-2": b"\x40",
            "cut-4": b"\x80\x00\x00",
            "cut-8": b"\xff" * 7,
            "largest": b"\xff" * 8,
            "zero-in-8": b"\xc0" + bytes(7),
            "tail": b"\x25" * 9,
        },
        "control": {
            "empty": b"",
            "all": hello
            + tags
            + framed(3, key)
            + framed(4, b"")
            + framed(5, key)
            + framed(6, addr4 + addr6)
            + framed(7, key)
            + framed(8, key)
            + framed(9, b"?"),
            "hello-to-come": framed(1, b"\x0e" + id8 + b"\x05\x03" + b"more"),
            "hello-empty": framed(1, b""),
            "hello-cut-flags": framed(1, b"\x0d" + id8 + b"\x05\x40"),
            "hello-cut-version": framed(1, b"\xc0"),
            "hello-no-max": framed(1, b"\x0d" + id8),
            "hello-largest": framed(1, b"\xff" * 8 + id8 + b"\xff" * 16),
            "addrs-8-of-v6": framed(6, addr6 * 8),
            "addrs-8-and-more": framed(6, addr4 * 8 + b"\x04"),
            "addrs-family-only": framed(6, addr4 + b"\x06"),
            "addrs-no-port": framed(6, addr4[:5]),
            "long-forms": b"\xc0" + bytes(6) + b"\x04" + b"\xc0" + bytes(7),
            "largest-type": b"\xff" * 8 + b"\x00",
            "largest-length": b"\x01" + b"\xff" * 8,
            "100-asks": b"\x04\x00" * 100,
            "second-is-bad": hello + framed(7, key[:31]),
            "tags-64": framed(2, bytes(2048)),
        },
        "mesh": {
            "empty": b"",
            "all": message
            + framed(2, id20[:16] + id8 + bytes(24))
            + framed(3, key)
            + framed(4, id8)
            + framed(5, b"?")
            + message,
            "have-160": framed(2, bytes(24 * 160)),
            "want-250": framed(3, bytes(16 * 250)),
            "message-empty": framed(1, b""),
            "message-cut": message[:-1],
            "message-large": framed(1, bytes(130) + b"x" * 3900),
            "message-hops-255": framed(1, bytes(56) + b"\xff\xff" + bytes(72)),
            "largest-length": b"\x01" + b"\xff" * 8,
            "100-prunes": framed(4, id8) * 100,
        },
        "dht": {
            "type-0": dht(type=0),
            "type-8": dht(type=8),
            "type-text": dht(type="1"),
            "no-type": dht(),
            "list": b"[1]",
            "empty": b"",
            "from-number": b'{"type":1,"from":7}',
            "from-null": b'{"type":1,"from":null}',
            "rpc-null": dht(type=2, rpcId=None),
            "rpc-number": dht(type=2, rpcId=7),
            "rpc-odd": dht(type=2, rpcId="0102030"),
            "store-no-key": dht(type=3, value="x"),
            "store-object": dht(type=3, key=ID, value={}),
            "store-long": dht(type=3, key=ID, value="x" * 4096),
            "store-escapes": dht(type=3, key=ID, value='\u0000\u2028\U0001f600"\\'),
            "find-no-target": dht(type=4, rpcId="01020304"),
            "found-none": dht(type=5, nodes=[]),
            "found-object": dht(type=5, nodes={}),
            "found-20": dht(type=5, nodes=[node] * 20),
            "found-30": dht(type=5, nodes=[node] * 30),
            "found-mixed": dht(
                type=5, nodes=[7, None, {}, {**node, "port": 0}, {**node, "ip": "x"}, {**node, "id": "x"}, node]
            ),
            "found-v6": dht(type=5, nodes=[{**node, "ip": "2001:db8::1"}]),
            "value": dht(type=7, value="x"),
            "value-number": dht(type=7, value=7),
            "store-hidden-commas": b'{"type":7,"from":"' + ID.encode() + b'","value":"' + b"\\u002c" * 300 + b'"}',
            "store-grows": b'{"type":7,"from":"' + ID.encode() + b'","value":"' + b"\\t" * 1900 + b"\x7f" * 200 + b'"}',
            "deep": b'{"type":' + b"[" * 250,
            "wide": dht(type=1, x=[1] * 300),
            "many-small-lists": dht(type=1)[:-1] + b',"x":[' + b"[0]," * 980 + b"0]}",
            "extra": dht(type=1, x={"y": [1, {}]}),
        },
    }


def main() -> None:
    seeds = from_vectors()
    for target, cases in by_hand().items():
        seeds.setdefault(target, {}).update({f"hand-{name}": data for name, data in cases.items()})
    # The whole dispatcher gets a few of each, and what is no frame at all.
    frames = {
        f"{target}-{name}": data
        for target in sorted(set(KINDS.values()))
        for name, data in sorted(seeds[target].items())[:3]
    }
    seeds["frame"] = frames | {
        "hand-empty": b"",
        "hand-zero": b"\x00",
        "hand-unknown": b"\x02\x00",
        "hand-probe": b"\xa3" + bytes(63),
        "hand-batch-of-all": b"\x13"
        + bytes([8])
        + b"".join(
            u16(len(frame)) + frame
            for frame in [
                b"\x0a\x00",
                b"\x03" + bytes(28),
                b"\x04" + bytes(20),
                b"\xa1" + bytes(40),
                b"\x11\x01k",
                b"\xfe",
                b"\x13\x00",
                b"",
            ]
        ),
    }
    for target, cases in seeds.items():
        directory = HERE / "corpus" / target
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in cases.items():
            (directory / re.sub("[^a-z0-9-]+", "-", name.lower())).write_bytes(data)


if __name__ == "__main__":
    main()
