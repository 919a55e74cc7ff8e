#!/usr/bin/env python3
"""Replays tests/vectors/v13_*.json against the independent peer's reading of docs/protocol.md.

Ends with 1 at the first difference, otherwise prints how many vectors agree. It
needs the packages of requirements-aioquic.txt.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import v13_wire as wire
from v13_wire import Broken

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
Fields = dict[str, Any]


def raw(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def topic(inputs: Fields) -> wire.Topic:
    return wire.Topic(bytes.fromhex(inputs["topic"]), raw(inputs["secret"]))


def varint(inputs: Fields, expected: Fields) -> bool:
    if "value" in expected:
        data = bytes.fromhex(inputs["frame"])
        return wire.take_varint(data) == (int(expected["value"]), len(data))
    data = bytes.fromhex(expected["frame"])
    value = int(inputs["value"])
    return wire.varint(value) == data and wire.take_varint(data) == (value, len(data)) and wire.take_varint(data[:-1]) is None


def refusing(limit: int, read: Callable[[int, bytes], object], inputs: Fields, expected: Fields) -> bool:
    """A frame that the reader must refuse, wait for or skip."""
    data = bytes.fromhex(inputs["frame"])
    frames = wire.Frames(limit)
    frames.feed(data)
    try:
        found = frames.next()
        if "more" in expected:
            return found is None
        if "skipped" in expected:
            return found is not None and found[0] == expected["skipped"] and read(*found) is None
        if found is None:
            # Ours refuses a length that the type cannot have before the body is there; here the body decides.
            frames.feed(bytes(limit + 16))
            found = frames.next()
            assert found is not None
        read(*found)
    except Broken as broken:
        return "refused" in expected and broken.code == wire.PROTOCOL
    return False


def control(inputs: Fields, expected: Fields) -> bool:
    if "frame" in inputs:
        return refusing(wire.CONTROL_LIMIT, wire.read_control, inputs, expected)
    kind, content = inputs["type"], b""
    parsed: object
    match kind:
        case wire.HELLO:
            parsed = wire.Hello(int(inputs["instance"]), inputs["max_message"], inputs["explicit"], inputs.get("continues", False))
            content = parsed.body()
        case wire.TOPICS | wire.SHARED | wire.LEFT:
            parsed = [bytes.fromhex(tag) for tag in inputs["tags"]]
            content = b"".join(parsed)
        case wire.ADDRS:
            parsed = [(item["ip"], item["port"]) for item in inputs["addrs"]]
            content = wire.addrs(parsed)
        case _:
            parsed = content = bytes.fromhex(inputs.get("key") or inputs.get("mac") or "")
    frames = wire.Frames(wire.CONTROL_LIMIT)
    frames.feed(bytes.fromhex(expected["frame"]))
    found = frames.next()
    return wire.frame(kind, content).hex() == expected["frame"] and found is not None and wire.read_control(*found) == parsed


def mesh(inputs: Fields, expected: Fields) -> bool:
    if "frame" in inputs:
        return refusing(wire.MESH_LIMIT, wire.read_mesh, inputs, expected)
    kind = inputs["type"]
    message = None
    if kind == 1:
        topic, author, id, signature, payload = (bytes.fromhex(inputs[name]) for name in ("topic", "author", "id", "signature", "payload"))
        message = wire.MeshMessage(topic, author, id, inputs["hops"], inputs["flags"], int(inputs["time"]), signature, payload)
        body = message.body()
    elif kind == 2:
        body = b"".join(bytes.fromhex(item["topic"] + item["id"]) for item in inputs["messages"])
    else:
        body = bytes.fromhex("".join(inputs["ids"]) if kind == 3 else inputs["topic"])
    return wire.frame(kind, body).hex() == expected["frame"] and wire.read_mesh(kind, body) == message


def datagrams(inputs: Fields, expected: Fields) -> bool:
    if "frame" in inputs:
        data = bytes.fromhex(inputs["frame"])
        taken = wire.probe_nonce(data, bytes(32)), wire.read_ack(data), wire.check_session_probe(data, bytes(32), 0)
        return "refused" in expected and taken == (None, None, None) and not wire.is_beacon(data)
    data = bytes.fromhex(expected["frame"])
    if data[0] == 0xA3:
        return wire.probe(bytes.fromhex(inputs["nonce"]), None)[:18] == data[:18] and data[18:34].hex() == inputs["target"]
    if data[0] == 0xA4:
        ack = wire.Ack(bytes.fromhex(inputs["nonce"]), bytes.fromhex(inputs["cookie"]), inputs["ip"], inputs["port"])
        return wire.read_ack(data) == ack and wire.probe_ack(ack.nonce, ack.cookie, ack.ip, ack.port) == data
    if data[0] == 0xA5:
        return [data[9], data[:28].hex()] == [inputs["kind"], inputs["covered"]]
    return wire.is_beacon(data)


def certificate(inputs: Fields, expected: Any) -> bool:
    if "seed" not in inputs:
        try:
            return bool(wire.certificate_key(bytes.fromhex(inputs["certificate"])).hex() == expected)
        except ValueError:
            return expected is None
    identity = wire.Identity(bytes.fromhex(inputs["seed"]))
    key = wire.certificate_key(identity.certificate)
    return [key.hex(), identity.certificate.hex()] == [expected["key"], expected["certificate"]]


def topics(inputs: Fields, expected: Fields) -> bool:
    one, exported = topic(inputs), bytes.fromhex(inputs["exporter"])
    made = {"key": one.key, "dialler": one.tag(0, exported), "acceptor": one.tag(1, exported), "mesh": one.mesh_name}
    return {name: value.hex() for name, value in made.items()} == expected


def probe(inputs: Fields, expected: Fields) -> bool:
    key, nonce = bytes.fromhex(inputs["key"]), bytes.fromhex(inputs["nonce"])
    return wire.probe(nonce, key)[18:34] == bytes.fromhex(expected["target"]) and wire.probe_nonce(wire.probe(nonce, key), key) == nonce


def announce(inputs: Fields, expected: Fields) -> bool:
    one, instance, day = topic(inputs), int(inputs["instance"]), int(expected["day"])
    plain = bytes.fromhex(inputs["key"]), inputs["v4"], inputs["v6"], instance
    beacon = one.announce(day, bytes.fromhex(inputs["nonce"]), *plain)
    right: bool = beacon[2:18].hex() == expected["tag"] and beacon[30:].hex() == expected["sealed"]
    right = right and day == int(inputs["unix_us"]) // 86_400_000_000
    return right and one.open(beacon, range(day, day + 1)) == plain


def path(inputs: Fields, expected: Fields) -> bool:
    key, n, number, nonce = bytes.fromhex(inputs["key"]), inputs["n"], inputs["number"], bytes.fromhex(inputs["nonce"])
    frame = wire.session_probe(key, n, wire.CHALLENGE, number, nonce)
    return frame.hex() == expected["frame"] and wire.check_session_probe(frame, key, n) == (wire.CHALLENGE, number, nonce)


def legacy(inputs: Fields, expected: Fields) -> bool:
    identity, exported = wire.Identity(bytes.fromhex(inputs["seed"])), bytes.fromhex(inputs["exporter"])
    made = [identity.legacy_proof(bytes.fromhex(inputs["their_public"]), role, exported) for role in (0, 1)]
    return [proof and proof.hex() for proof in made] == [expected["dialler"], expected["acceptor"]]


CHECKS: dict[str, Callable[[Fields, Any], bool]] = {
    "varint": varint, "control": control, "mesh": mesh, "datagrams": datagrams, "certificate": certificate,
    "topic": topics, "probe": probe, "announce": announce, "path": path, "legacy": legacy,
}


def main() -> int:
    count = 0
    for file in sorted(VECTORS.glob("v13_*.json")):
        check = CHECKS[file.stem.removeprefix("v13_")]
        for vector in json.loads(file.read_text())["vectors"]:
            if not check(vector["inputs"], vector["expected"]):
                print(f"{file.name}: {vector['name']} differs", file=sys.stderr)
                return 1
            count += 1
    print(f"{count} vectors agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
