#!/usr/bin/env python3
"""Writes the vectors of setowire/13, v13_*.json in this directory, from docs/protocol.md.

It shares no code with the library: layouts are put together here byte by byte, with Python's
standard library alone. Run it after a change of the format and of nothing else.
"""

import ipaddress
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
Vector = dict[str, object]


def varint(value: int) -> bytes:
    for prefix, size in ((0, 1), (1, 2), (2, 4), (3, 8)):
        if value < 1 << (8 * size - 2):
            return (prefix << (8 * size - 2) | value).to_bytes(size, "big")
    raise ValueError(value)


def frame(kind: int, body: bytes, length: int | None = None) -> bytes:
    return varint(kind) + varint(len(body) if length is None else length) + body


def fill(first: int, size: int) -> bytes:
    """Bytes that differ from each other and from those of other fields."""
    return bytes((first + 7 * i) % 256 for i in range(size))


def good(name: str, data: bytes, **inputs: object) -> Vector:
    plain = {key: value.hex() if isinstance(value, bytes) else value for key, value in inputs.items()}
    return {"name": name, "inputs": plain, "expected": {"frame": data.hex()}}


def bad(name: str, data: bytes, field: str) -> Vector:
    return {"name": name, "inputs": {"frame": data.hex()}, "expected": {"refused": field}}


def waits(name: str, data: bytes) -> Vector:
    return {"name": name, "inputs": {"frame": data.hex()}, "expected": {"more": True}}


def varints() -> list[Vector]:
    values = [0, 1, 37, 63, 64, 15293, 16383, 16384, 494878333, 2**30 - 1, 2**30, 151288809941952652, 2**62 - 2, 2**62 - 1]
    vectors = [good(f"varint-{value}", varint(value), value=str(value)) for value in values]
    # Longer than needed: read, never written.
    return vectors + [{"name": "varint-long-form", "inputs": {"frame": "4025"}, "expected": {"value": "37"}}]


def observed(address: str, port: int) -> bytes:
    ip = ipaddress.ip_address(address)
    return bytes([ip.version]) + ip.packed + bytes(16 - len(ip.packed)) + port.to_bytes(2, "big")


def datagrams() -> list[Vector]:
    nonce, target, cookie = fill(1, 16), fill(2, 16), fill(3, 16)
    tag, mac, sealed = fill(4, 8), fill(5, 16), fill(6, 60)
    probe = b"\xa3\x01" + nonce + target + bytes(30)
    vectors = [
        good("probe", probe, nonce=nonce, target=target),
        good("probe-anybody", b"\xa3\x01" + nonce + bytes(46), nonce=nonce, target=bytes(16)),
        bad("probe-version-2", b"\xa3\x02" + probe[2:], "version"),
        bad("probe-63", probe[:-1], "padding"),
        bad("probe-65", probe + b"\x00", "end"),
    ]
    for name, address, port in [("ack-v4", "192.0.2.1", 45678), ("ack-v6", "2001:db8::1", 1)]:
        data = b"\xa4\x01" + nonce + cookie + observed(address, port)
        vectors.append(good(name, data, nonce=nonce, cookie=cookie, ip=address, port=port))
    ack = b"\xa4\x01" + nonce + cookie + observed("192.0.2.1", 7)
    vectors += [
        bad("ack-family-5", ack[:34] + b"\x05" + ack[35:], "family"),
        bad("ack-v4-not-padded", ack[:50] + b"\x01" + ack[51:], "ip"),
        bad("ack-52", ack[:-1], "port"),
    ]
    for name, kind, number in [("challenge", 1, 0), ("answer", 2, 65535)]:
        covered = b"\xa5" + tag + bytes([kind]) + number.to_bytes(2, "big") + nonce
        inputs = {"tag": tag, "kind": kind, "number": number, "nonce": nonce, "mac": mac, "covered": covered}
        vectors.append(good(name, covered + mac, **inputs))
    vectors += [
        bad("session-probe-kind-3", b"\xa5" + tag + b"\x03" + bytes(34), "kind"),
        bad("session-probe-43", b"\xa5" + tag + b"\x01" + bytes(33), "mac"),
        good("beacon", b"\xa6\x01" + nonce + nonce[:12] + sealed, tag=nonce, nonce=nonce[:12], sealed=sealed),
        bad("beacon-version-0", b"\xa6\x00" + bytes(88), "version"),
        bad("beacon-91", b"\xa6\x01" + bytes(89), "end"),
        bad("unknown", b"\xa7\x01" + bytes(62), "type"),
    ]
    return vectors


def address(text: str, port: int) -> bytes:
    ip = ipaddress.ip_address(text)
    return bytes([ip.version]) + ip.packed + port.to_bytes(2, "big")


def control() -> list[Vector]:
    tags = [fill(n, 32) for n in range(4)]
    hexes = [tag.hex() for tag in tags]
    instance, most = 1_795_000_000_123_456, 16 << 20
    hello = varint(13) + instance.to_bytes(8, "big") + varint(most)
    told = [("192.0.2.1", 45678), ("2001:db8::1", 1)]
    numbers = {"version": 13, "instance": str(instance), "max_message": most}
    return [
        good("hello", frame(1, hello + b"\x00"), type=1, **numbers, explicit=False, continues=False),
        good("hello-explicit", frame(1, hello + b"\x01"), type=1, **numbers, explicit=True, continues=False),
        good("hello-continues", frame(1, hello + b"\x03"), type=1, **numbers, explicit=True, continues=True),
        bad("hello-version-12", frame(1, b"\x0c" + hello[1:] + b"\x00"), "version"),
        bad("hello-no-flags", frame(1, hello), "flags"),
        bad("hello-too-long", frame(1, b"", 65537), "length"),
        waits("hello-half", frame(1, hello + b"\x00")[:9]),
        waits("no-length", varint(2)),
        good("topics", frame(2, b"".join(tags)), type=2, tags=hexes),
        good("shared", frame(3, tags[0]), type=3, tags=hexes[:1]),
        good("shared-none", frame(3, b""), type=3, tags=[]),
        waits("topics-2048-announced", frame(2, tags[0], 65536)),
        bad("topics-2049-announced", frame(2, tags[0], 65568), "length"),
        bad("topics-half-a-tag", frame(2, tags[0] + tags[1][:16]), "tags"),
        good("ask", frame(4, b""), type=4),
        bad("ask-with-body", frame(4, b"", 1), "length"),
        good("left", frame(5, tags[1] + tags[2]), type=5, tags=hexes[1:3]),
        good(
            "addrs",
            frame(6, b"".join(address(*pair) for pair in told)),
            type=6,
            addrs=[{"ip": ip, "port": port} for ip, port in told],
        ),
        good("addrs-none", frame(6, b""), type=6, addrs=[]),
        bad("addrs-9", frame(6, address("192.0.2.1", 7) * 9), "count"),
        bad("addrs-family-0", frame(6, bytes(7)), "family"),
        bad("addrs-cut", frame(6, address("192.0.2.1", 7)[:-1]), "port"),
        bad("addrs-153-announced", frame(6, b"", 153), "length"),
        good("legacy", frame(7, tags[3]), type=7, key=tags[3]),
        bad("legacy-31", frame(7, tags[3][:31]), "key"),
        bad("legacy-33", frame(7, b"", 33), "length"),
        good("legacy-proof", frame(8, tags[3]), type=8, mac=tags[3]),
        {"name": "unknown", "inputs": {"frame": frame(900, b"later").hex()}, "expected": {"skipped": 900}},
    ]


def mesh() -> list[Vector]:
    topic, author, id_, signature = fill(1, 8), fill(2, 32), fill(3, 16), fill(4, 64)
    time = 1_795_000_000_123_456

    def message(hops: int, flags: int, payload: bytes) -> bytes:
        numbers = bytes([hops, flags]) + time.to_bytes(8, "big")
        return frame(1, topic + author + id_ + numbers + signature + payload)

    fields = {"type": 1, "topic": topic, "author": author, "id": id_, "time": str(time), "signature": signature}
    header = fill(0, 130)
    return [
        good("message", message(0, 0, b"hello"), **fields, hops=0, flags=0, payload=b"hello"),
        good("message-bridged", message(3, 1, b""), **fields, hops=3, flags=1, payload=b""),
        bad("message-no-payload-and-less", frame(1, header[:129]), "signature"),
        waits("message-of-1-mib-announced", frame(1, header, 130 + 2**20)),
        bad("message-of-1-mib-and-1-announced", frame(1, header, 131 + 2**20), "length"),
        good("have", frame(2, topic + id_ + topic + id_[::-1]), type=2, messages=[
            {"topic": topic.hex(), "id": id_.hex()}, {"topic": topic.hex(), "id": id_[::-1].hex()}]),
        good("have-none", frame(2, b""), type=2, messages=[]),
        bad("have-cut", frame(2, topic + id_[:15]), "ids"),
        bad("have-257-announced", frame(2, b"", 257 * 24), "length"),
        good("want", frame(3, id_), type=3, ids=[id_.hex()]),
        bad("want-cut", frame(3, id_ + b"\x00"), "ids"),
        bad("want-257-announced", frame(3, b"", 257 * 16), "length"),
        good("prune", frame(4, topic), type=4, topic=topic),
        bad("prune-9", frame(4, b"", 9), "length"),
        bad("prune-7", frame(4, topic[:7]), "topic"),
        {"name": "unknown", "inputs": {"frame": frame(64, b"later").hex()}, "expected": {"skipped": 64}},
        bad("unknown-too-long", frame(64, b"", 2**20 + 513), "length"),
    ]


FILES = {
    "v13_control": ("Frames of the control stream.", control),
    "v13_datagrams": ("PROBE, PROBE_ACK, SESSION_PROBE and BEACON.", datagrams),
    "v13_mesh": ("Frames of the mesh stream.", mesh),
    "v13_varint": ("The variable-length integer of QUIC; RFC 9000, appendix A.1, has four of these.", varints),
}


def main() -> None:
    for name, (description, vectors) in FILES.items():
        content = {"file": name, "description": description, "generator": "make_v13.py", "vectors": vectors()}
        (HERE / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
