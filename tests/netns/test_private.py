"""Private topics: an outsider who knows the topic but not the secret, with all sources there are."""

from __future__ import annotations

import hashlib
import secrets

from bed import Lan

TOPIC = hashlib.sha256(b"private").hexdigest()
#: First byte of a beacon of setowire/13, and where its tag stands: type, version, tag, nonce, sealed part.
BEACON, TAG = 0xA6, slice(2, 18)
GROUP = bytes([239, 0, 0, 1])


def multicast(frames: list[bytes], host: int) -> list[bytes]:
    """What this host sent to the IPv4 group: payloads of UDP in Ethernet."""
    found = []
    for frame in frames:
        ip = frame[14:]
        if frame[12:14] == b"\x08\x00" and ip[9] == 17 and ip[12:16] == bytes([10, 77, 0, host]) and ip[16:20] == GROUP:
            found.append(ip[(ip[0] & 15) * 4 + 8 :])
    return found


def test_an_outsider_neither_finds_nor_joins_nor_links() -> None:
    secret = secrets.token_hex(32)
    with Lan(4, "4") as lan:
        with lan.capture(1) as capture:
            one, other, outsider, old = lan.ours(1), lan.ours(2), lan.ours(3), lan.old(4)
            # The topic in the open and with a wrong secret, and an old peer that listens.
            outsider.start(topic=TOPIC)
            outsider.ask("join", "joined", topic=TOPIC, secret=secrets.token_hex(32))
            old.start(topic=TOPIC)
            outsider.connection(old)
            one.start(topic=TOPIC, secret=secret)
            other.start(topic=TOPIC, secret=secret)
            one.connection(other)
            other.connection(one)
            one.write(other, b"between us")
            other.receive(b"between us")
            # Beacons of all have passed by now, and again: the second round of each comes 0.4 s after the first.
            for turn in range(2):
                outsider.ask("leave", "left_topic", topic=TOPIC)
                outsider.ask("join", "joined", topic=TOPIC)
                one.write(other, f"turn {turn}".encode())
                other.receive(f"turn {turn}".encode())
            for member in (one, other):
                assert len(member.find(lambda e: e["ev"] == "connection")) == 1, member.report()
            assert len(outsider.find(lambda e: e["ev"] == "connection")) == 1, outsider.report()
            # By address it gets a connection, because dials by address are accepted; a topic is not shared by that.
            outsider.ask("dial", "dialing", ip="10.77.0.1", port=one.ask("info", "info")["port"])
            _, met = outsider.connection(one)
            assert met["session"] == "setowire/13" and met["topics"] == 0, "nothing but the address was known"
        frames = capture.frames

    told = {host: multicast(frames, host) for host in (1, 2, 3, 4)}
    digits = hashlib.sha1(TOPIC.encode()).hexdigest()[:12].encode()
    for host, member in ((1, one), (2, other)):
        assert told[host], "a member announces"
        for beacon in told[host]:
            assert beacon[0] == BEACON, "no beacon of the old wire leaves for a private topic"
            for known in (bytes.fromhex(member.id), member.id.encode(), bytes.fromhex(member.key), digits):
                assert known not in beacon
    tags = {host: {beacon[TAG] for beacon in told[host] if beacon[0] == BEACON} for host in told}
    assert tags[1] == tags[2] and len(tags[1]) == 1, "members know each other by the tag of the day"
    assert len(tags[3]) == 2 and not tags[1] & tags[3], "the topic alone, or with another secret, has other tags"
    assert any(beacon[0] != BEACON for beacon in told[3]), "the public topic is announced in the old way too"
