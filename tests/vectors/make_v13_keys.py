#!/usr/bin/env python3
"""Writes the vectors of what setowire/13 computes with keys, from docs/protocol.md.

It shares no code with the library: hashes are Python's own, ciphers and curves those of the
package `cryptography`. `make_v13.py` writes the vectors of the layouts. Run it after a change
of the protocol and of nothing else.
"""

import hashlib
import hmac
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = pathlib.Path(__file__).resolve().parent
Vector = dict[str, object]

DIALLER, ACCEPTOR = b"\x00", b"\x01"

# The inputs of the examples in docs/protocol.md.
SEED, TOPIC, SECRET, EXPORTER = (bytes(range(first, first + 32)) for first in (0x00, 0x20, 0x40, 0x60))
NONCE16, NONCE12 = bytes(range(0xA0, 0xB0)), bytes(range(0xB0, 0xBC))
SECOND_SEED = bytes(range(0xC0, 0xE0))
NOW = 1_795_000_000_000_000


def mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf(salt: bytes, material: bytes, info: bytes) -> bytes:
    """RFC 5869 for 32 bytes, which is one block."""
    return mac(mac(salt, material), info, b"\x01")


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def raw(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def vector(name: str, inputs: dict[str, object], expected: dict[str, object]) -> Vector:
    def plain(values: dict[str, object]) -> dict[str, object]:
        return {key: value.hex() if isinstance(value, bytes) else value for key, value in values.items()}

    return {"name": name, "inputs": plain(inputs), "expected": plain(expected)}


def topic_key(topic: bytes, secret: bytes | None) -> bytes:
    if secret is None:
        return hkdf(b"setowire/13", topic, b"public topic")
    return hkdf(b"setowire/13", topic + secret, b"private topic")


TOPICS: list[tuple[str, bytes, bytes | None]] = [
    ("public", TOPIC, None),
    ("private", TOPIC, SECRET),
    ("public-my-topic", hashlib.sha256(b"my-topic").digest(), None),
    ("private-zero", bytes(32), bytes(32)),
]


def topics() -> list[Vector]:
    vectors = []
    for name, topic, secret in TOPICS:
        key = topic_key(topic, secret)
        expected: dict[str, object] = {
            "key": key,
            "dialler": mac(key, b"setowire/13 topic", DIALLER, EXPORTER),
            "acceptor": mac(key, b"setowire/13 topic", ACCEPTOR, EXPORTER),
            "mesh": mac(key, b"setowire/13 mesh"),
        }
        vectors.append(vector(name, {"topic": topic, "secret": secret, "exporter": EXPORTER}, expected))
    return vectors


def announcements() -> list[Vector]:
    vectors = []
    for name, topic, secret in TOPICS:
        for unix_us, v4, v6, instance in [(NOW, 40_001, 40_002, NOW), (86_400_000_000, 0, 65535, 2**64 - 1)]:
            key, day = topic_key(topic, secret), unix_us // 86_400_000_000
            tag = mac(key, b"setowire/13 announce", u32(day))[:16]
            sealing = hkdf(b"", key, b"setowire/13 seal" + u32(day))
            own = raw(Ed25519PrivateKey.from_private_bytes(SEED))
            plain = own + v4.to_bytes(2, "big") + v6.to_bytes(2, "big") + instance.to_bytes(8, "big")
            sealed = ChaCha20Poly1305(sealing).encrypt(NONCE12, plain, tag)
            inputs = {"topic": topic, "secret": secret, "unix_us": str(unix_us), "nonce": NONCE12}
            inputs |= {"key": own, "v4": v4, "v6": v6, "instance": str(instance)}
            vectors.append(vector(f"{name}-day-{day}", inputs, {"day": day, "tag": tag, "sealed": sealed}))
    return vectors


def probes() -> list[Vector]:
    vectors = []
    for name, seed, nonce in [("target", SEED, NONCE16), ("target-of-another", SECOND_SEED, bytes(16))]:
        key = raw(Ed25519PrivateKey.from_private_bytes(seed))
        target = mac(key, b"setowire/13 probe", nonce)[:16]
        vectors.append(vector(name, {"key": key, "nonce": nonce}, {"target": target}))
    return vectors


def paths() -> list[Vector]:
    vectors = []
    for n, number in [(0, 0), (1, 513), (2**32 - 1, 65535)]:
        tag = mac(EXPORTER, b"tag", u32(n))[:8]
        covered = b"\xa5" + tag + b"\x01" + number.to_bytes(2, "big") + NONCE16
        code = mac(EXPORTER, b"probe", u32(n), covered)[:16]
        inputs = {"key": EXPORTER, "n": n, "number": number, "nonce": NONCE16}
        vectors.append(vector(f"challenge-{n}", inputs, {"tag": tag, "mac": code, "frame": covered + code}))
    return vectors


def legacy() -> list[Vector]:
    def private(seed: bytes) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())

    vectors = []
    for name, seed, their_seed in [("honest", SEED, SECOND_SEED), ("zero-and-one", bytes(32), bytes([1]) * 32)]:
        own, their = private(seed), raw(private(their_seed))
        shared = own.exchange(X25519PublicKey.from_public_bytes(their))
        proofs: dict[str, object] = {
            "dialler": mac(shared, b"setowire/13 legacy", DIALLER, EXPORTER),
            "acceptor": mac(shared, b"setowire/13 legacy", ACCEPTOR, EXPORTER),
        }
        inputs = {"seed": seed, "their_seed": their_seed, "their_public": their, "exporter": EXPORTER}
        vectors.append(vector(name, inputs, proofs))
    # Points of small order (RFC 7748 section 6.1): everybody knows the shared secret.
    p = 2**255 - 19
    low = [0, 1, p - 1, p, p + 1, 325606250916557431795983626356110631294008115727848805560023387167927233504]
    for value in low:
        inputs = {"seed": SEED, "their_public": value.to_bytes(32, "little"), "exporter": EXPORTER}
        vectors.append(vector(f"low-order-{value:x}", inputs, {"dialler": None, "acceptor": None}))
    return vectors


def certificates() -> list[Vector]:
    def der(tag: int, *parts: bytes) -> bytes:
        content = b"".join(parts)
        return bytes([tag]) + (bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])) + content

    ed25519 = der(0x30, bytes.fromhex("06032b6570"))
    name = der(0x30, der(0x31, der(0x30, bytes.fromhex("0603550403"), der(0x0C, b"setowire"))))
    validity = der(0x30, der(0x17, b"000101000000Z"), der(0x18, b"99991231235959Z"))
    vectors = []
    for label, seed in [("example", SEED), ("zero", bytes(32))]:
        key = Ed25519PrivateKey.from_private_bytes(seed)
        spki = der(0x30, ed25519, der(0x03, b"\x00" + raw(key)))
        version, serial = der(0xA0, b"\x02\x01\x02"), der(0x02, b"\x01")
        signed = der(0x30, version, serial, ed25519, name, validity, name, spki)
        certificate = der(0x30, signed, ed25519, der(0x03, b"\x00" + key.sign(signed)))
        # A reader that knows nothing of ours takes it too.
        read = x509.load_der_x509_certificate(certificate)
        assert read.public_key() == key.public_key()
        read.verify_directly_issued_by(read)
        vectors.append(vector(label, {"seed": seed}, {"key": raw(key), "certificate": certificate}))
    return vectors


FILES = {
    "v13_topic": ("Topic keys, proofs over an exported key by role, names in the mesh. secret null: a public topic.", topics),
    "v13_announce": ("Announcements: day, tag and sealed text.", announcements),
    "v13_probe": ("Whom a PROBE is meant for.", probes),
    "v13_path": ("Challenges of session probes under the key of their sender.", paths),
    "v13_legacy": ("Proof of a v12 key, by the role of who sends it. null: the key is refused.", legacy),
    "v13_certificate": ("The certificate of a seed.", certificates),
}


def main() -> None:
    for name, (description, vectors) in FILES.items():
        content = {"file": name, "description": description, "generator": "make_v13_keys.py", "vectors": vectors()}
        (HERE / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
