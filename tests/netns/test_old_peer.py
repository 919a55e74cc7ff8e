"""Ours and the published peer of the old network, py-setowire 0.1.0, on one LAN."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from bed import Lan, Program
from conftest import Figure

TOPIC = hashlib.sha256(b"netns").hexdigest()


@dataclass
class Pair:
    """The old peer in host 1, ours in host 2."""

    lan: Lan
    old: Program
    ours: Program

    def old_port(self) -> int:
        port: int = self.old.ask("info", "info")["port"]
        return port

    def meet(self) -> None:
        self.ours.connection(self.old)
        self.old.connection(self.ours)


@contextmanager
def connected() -> Iterator[Pair]:
    with Lan(2, "4") as lan:
        pair = Pair(lan, lan.old(1), lan.ours(2))
        pair.old.start(topic=TOPIC)
        pair.ours.start(topic=TOPIC)
        pair.meet()
        yield pair


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """One pair for all tests of messages; the old peer needs two seconds to end."""
    with connected() as pair:
        yield pair


def unique(size: int, salt: str = "") -> bytes:
    """Bytes that the old peer has not seen: it delivers equal messages once in ten minutes."""
    seed = hashlib.sha256(f"{salt}:{size}".encode()).hexdigest().encode()
    return (seed * (size // len(seed) + 1))[:size]


@pytest.mark.parametrize("route", [False, True], ids=["no-default-route", "default-route"])
def test_found_by_its_beacon_alone(route: bool, figure: Figure) -> None:
    with Lan(2, "4") as lan:
        lan.sh("deaf", "1")  # our beacons do not reach it: it can only be found by its own
        if route:
            lan.sh("route", "1")
        old, ours = lan.old(1), lan.ours(2)
        ready = old.start(topic=TOPIC)
        assert ready["ip"] == ("10.77.0.1" if route else "127.0.0.1"), "the address in its beacon"
        ours.start(topic=TOPIC)
        at, event = ours.connection(old)
        assert (event["address"], event["port"]) == ("10.77.0.1", ready["port"])
        old.connection(ours)
        figure(f"{(at - ours.events[0][0]) * 1000:.0f} ms after our start; it sends its first beacon after 5 s")

        ours.write(old, b"from ours")
        old.receive(b"from ours")
        old.write(ours, b"from the old peer")
        ours.receive(b"from the old peer")


def test_found_by_our_beacon(figure: Figure) -> None:
    with Lan(2, "4") as lan:
        old, ours = lan.old(1), lan.ours(2)
        old.start(topic=TOPIC)
        ours.start()
        joined = ours.tell("join", topic=TOPIC)
        figure(f"{(ours.connection(old)[0] - joined) * 1000:.0f} ms from join to connection")
        old.connection(ours)


def test_the_same_message_twice_arrives_twice(pair: Pair) -> None:
    for _ in range(2):
        pair.old.write(pair.ours, b"again")
    pair.ours.receive(b"again", count=2)
    # A message behind them: nothing more than two came.
    pair.old.write(pair.ours, b"the end")
    pair.ours.receive(b"the end")
    assert len(pair.ours.find(pair.ours.got(b"again"))) == 2


@pytest.mark.parametrize("sender", ["old", "ours"])
def test_a_hundred_of_a_hundred(pair: Pair, sender: str, figure: Figure) -> None:
    source, target = (pair.old, pair.ours) if sender == "old" else (pair.ours, pair.old)
    messages = [unique(100, f"{sender} {n}") for n in range(100)]
    first = source.tell("info")
    for message in messages:
        source.tell("write", peer=target.id, hex=message.hex())
    last = 0.0
    for message in messages:
        last = max(last, target.wait(target.got(message), "one of the hundred")[0])
    sent = [message.hex() for message in messages]
    arrived = [event["hex"] for _, event in target.find(lambda e: e["ev"] == "data" and e["hex"] in sent)]
    assert len(arrived) == 100, "each once"
    in_order = arrived == sent
    figure(f"100 of 100 within {(last - first) * 1000:.0f} ms, {'in order' if in_order else 'not in order'}")


@pytest.mark.parametrize("size", [1, 1163, 1164, 1200, 1201, 5_000, 60_000])
@pytest.mark.parametrize("sender", ["old", "ours"])
def test_messages_of_each_size(pair: Pair, sender: str, size: int) -> None:
    source, target = (pair.old, pair.ours) if sender == "old" else (pair.ours, pair.old)
    source.write(target, unique(size, sender))
    target.receive(unique(size, sender))


def data_frames(frames: list[bytes], port: int, size: int) -> list[bytes]:
    """DATA frames with a message of this size to this port, over IPv4; the kernel may show several as one."""
    length = 1 + 12 + 4 + size + 16
    found = []
    for frame in frames:
        udp, payload = frame[34:42], frame[42:]
        if frame[12:14] == b"\x08\x00" and frame[23] == 17 and int.from_bytes(udp[2:4], "big") == port:
            if payload[0] == 0x01 and len(payload) % length == 0:
                found += [payload[at : at + length] for at in range(0, len(payload), length)]
    return found


def shown(groups: dict[bytes, list[bytes]]) -> bool:
    """Whether some place in the frames always shows the message."""
    size, length = len(next(iter(groups))), len(next(iter(groups.values()))[0])
    places = [slice(at, at + size) for at in range(length - size + 1)]
    return any(all(frame[place] == text for text, frames in groups.items() for frame in frames) for place in places)


@pytest.mark.parametrize("size", [8, 16, 100, 1163, 1164, 1200, 1201, 1500, 4063, 4064, 5_000, 20_000, 60_000])
def test_no_text_of_ours_is_on_the_wire(pair: Pair, size: int) -> None:
    canary = os.urandom(4).hex().encode()
    message = (canary * (size // len(canary) + 1))[:size]
    with pair.lan.capture(2) as link:
        pair.ours.write(pair.old, message)
        pair.old.receive(message)
    assert sum(map(len, link.frames)) >= size, "the capture saw the message pass"
    assert not link.holds(canary)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_no_short_text_of_ours_is_on_the_wire(pair: Pair, size: int) -> None:
    # Few bytes turn up by chance; but at no place in all datagrams, for two texts.
    groups: dict[bytes, list[bytes]] = {}
    for text in (b"CANARYC"[:size], b"\x9a\x01\x7f\xe0\x55\xaa\x31"[:size]):
        with pair.lan.capture(2) as link:
            for _ in range(12):
                pair.ours.write(pair.old, text)
            # The old peer delivers an equal message once; one more behind them shows that all have passed.
            pair.ours.write(pair.old, unique(33, f"end of {text!r}"))
            pair.old.receive(unique(33, f"end of {text!r}"))
        groups[text] = data_frames(link.frames, pair.old_port(), size)
        assert len(groups[text]) >= 12, "the capture saw the messages pass"
    assert not shown(groups)


@pytest.mark.parametrize("size", [5_000, 60_000])
def test_the_capture_would_show_it(pair: Pair, size: int) -> None:
    """The positive control: the old peer sends more than 1,200 bytes in clear fragments."""
    canary = os.urandom(4).hex().encode()
    message = (canary * (size // len(canary) + 1))[:size]
    with pair.lan.capture(2) as link:
        pair.old.write(pair.ours, message)
        pair.ours.receive(message)
    assert link.holds(canary)


def test_our_leave_is_noticed(figure: Figure) -> None:
    with connected() as pair:
        asked = pair.ours.destroy()
        figure(f"{(pair.old.disconnect(pair.ours)[0] - asked) * 1000:.0f} ms from our destroy to its disconnect")


def test_its_leave_is_noticed(figure: Figure) -> None:
    with connected() as pair:
        asked = pair.old.destroy()
        figure(f"{(pair.ours.disconnect(pair.old)[0] - asked) * 1000:.0f} ms from its destroy to our disconnect")


def test_two_of_ours_and_an_old_peer(figure: Figure) -> None:
    with Lan(3, "4") as lan:
        peers = [lan.old(1), lan.ours(2), lan.ours(3)]
        for peer in peers:
            peer.start(topic=TOPIC)
        for one in peers:
            for other in peers:
                if one is not other:
                    one.connection(other)
        for n, author in enumerate(peers):
            text = unique(200, f"broadcast {n}")
            assert author.ask("broadcast", "broadcasted", hex=text.hex())["sent"] == 2
            for other in peers:
                if other is not author:
                    other.receive(text)
