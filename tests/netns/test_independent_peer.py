"""The independent peer of setowire/13 (tests/interop/peer_aioquic.py) against itself.

What it does here it does to our peer too, in test_independent_and_ours.py: a
difference between the two files points at the side that is wrong.
"""

from __future__ import annotations

import hashlib
import os
import subprocess

import pytest
from bed import INTEROP, Lan, Program
from v13 import DATAGRAMS, DIALLER, by_address, close, exchange, meet_by_address, outcome

TOPIC = hashlib.sha256(b"independent").hexdigest()
SECRET = "5e" * 32


def pair(lan: Lan, *, lan_one: bool = False, lan_two: bool = False) -> tuple[Program, Program]:
    one, two = lan.independent(1), lan.independent(2)
    one.start(topic=TOPIC, lan=lan_one)
    two.start(topic=TOPIC, lan=lan_two)
    return one, two


def test_it_computes_what_the_vectors_say() -> None:
    subprocess.run([os.environ["SETOWIRE_AIOQUIC_PYTHON"], str(INTEROP / "check_v13_wire.py")], check=True)


@pytest.mark.parametrize("families", ["4", "6"])
def test_meets_itself_by_beacon(families: str) -> None:
    with Lan(2, families) as lan:
        one, two = pair(lan, lan_one=True, lan_two=True)
        one.connection(two)
        two.connection(one)
        exchange(one, two, datagrams=DATAGRAMS)


@pytest.mark.parametrize("probe", [True, False], ids=["cookie", "retry"])
def test_meets_itself_by_address(probe: bool) -> None:
    with Lan(2, "4") as lan:
        one, two = pair(lan)
        meet_by_address(one, two, probe=probe)
        assert bool(two.find(lambda e: e["ev"] == "retry")) == (not probe)
        exchange(one, two, datagrams=DATAGRAMS)
        close(one, two, 0, "that is all")


def test_a_private_topic_and_both_suites() -> None:
    with Lan(2, "4") as lan:
        one, two = lan.independent(1), lan.independent(2)
        for peer in (one, two):
            peer.start(topic=TOPIC, secret=SECRET, cipher="fastest", legacy=True)
        connection = one.connection(two)[1]
        assert connection["cipher"] == "AES_128_GCM_SHA256"
        two.connection(one)


def test_legacy_proofs() -> None:
    with Lan(2, "4") as lan:
        one, two = lan.independent(1), lan.independent(2)
        ids = [peer.start(topic=TOPIC, lan=False, legacy=True)["v12_id"] for peer in (one, two)]
        meet_by_address(one, two)
        for peer, other in ((one, ids[1]), (two, ids[0])):
            assert peer.wait(lambda e: e["ev"] == "legacy", "LEGACY_PROOF")[1]["id"] == other


def test_topics_that_are_joined_and_left_later() -> None:
    with Lan(2, "4") as lan:
        one, two = pair(lan)
        meet_by_address(one, two)
        for first, second in ((one, two), (two, one)):
            name = hashlib.sha256(first.name.encode()).hexdigest()
            second.ask("join", "joined", topic=name)
            first.ask("join", "joined", topic=name)
            for peer in (one, two):
                peer.wait(lambda e: e["ev"] == "shared" and e["topic"] == name, "a topic shared later")
            first.ask("leave", "left_topic", topic=name)
            second.wait(lambda e: e["ev"] == "left" and e["topic"] == name, "LEFT")


def test_a_wrong_key_is_refused() -> None:
    with Lan(2, "4") as lan:
        one, two = pair(lan)
        by_address(one, two, key="11" * 32, probe=False)
        refused = one.wait(lambda e: e["ev"] == "refused", "the end of the handshake")[1]
        assert not refused["application"] and refused["code"] == 0x100 + 46, "alert certificate_unknown"


def test_no_certificate_is_refused() -> None:
    with Lan(2, "4") as lan:
        one, two = pair(lan)
        one.ask("settings", "set", certificates=[])
        by_address(one, two)
        refused = one.wait(lambda e: e["ev"] in ("refused", "disconnect"), "the end of the handshake")[1]
        assert not refused["application"] and refused["code"] == 0x100 + 116, "alert certificate_required"


def test_no_topic() -> None:
    with Lan(2, "4") as lan:
        one, two = lan.independent(1), lan.independent(2)
        one.start(topic=TOPIC, lan=False)
        two.start(name="another", lan=False)
        by_address(one, two, explicit=False)
        assert outcome(one) == "NO_TOPIC"
        two.ask("settings", "set", accept_explicit=False)
        by_address(one, two, explicit=True)
        assert outcome(one, 2) == "REFUSED"


def test_reflected_and_replayed_proofs_are_refused() -> None:
    with Lan(2, "4") as lan:
        one, two = pair(lan)
        meet_by_address(one, two)
        tags = one.ask("tags", "tags", peer=two.id)
        # The dialler shows the acceptor's own proof.
        one.ask("raw", "wrote", peer=two.id, stream=0, hex="0220" + tags["acceptor"][0])
        assert one.disconnect(two)[1]["name"] == "BAD_PROOF"
        # The acceptor shows what it received, then a proof of the last connection.
        for count, shared in enumerate((None, [tags["acceptor"][0]]), 1):
            two.ask("settings", "set", reflect=shared is None, shared=shared)
            by_address(one, two)
            one.wait(lambda e: e["ev"] == "refused" and e["role"] == DIALLER and e["name"] == "BAD_PROOF", "BAD_PROOF", count)
        # The dialler shows a proof of the last connection: it means nothing.
        one.ask("settings", "set", topics=[tags["dialler"][0]])
        two.ask("settings", "set", shared=None)
        by_address(one, two, explicit=False)
        one.wait(lambda e: e["ev"] == "refused" and e["name"] == "NO_TOPIC", "NO_TOPIC")


def test_a_dial_of_itself() -> None:
    with Lan(1, "4") as lan:
        one = lan.independent(1)
        ready = one.start(topic=TOPIC, lan=False)
        one.tell("dial", ip="10.77.0.1", port=ready["port"])
        assert outcome(one) == "SELF"


@pytest.mark.parametrize("order", [False, True], ids=["greater dials first", "lower dials first"])
def test_two_dials_at_once_leave_one_connection(order: bool) -> None:
    with Lan(2, "4") as lan:
        peers = sorted(pair(lan), key=lambda peer: peer.id, reverse=not order)
        for peer, other in (peers, peers[::-1]):
            by_address(peer, other, explicit=False)
        lower, greater = sorted(peers, key=lambda peer: peer.id)
        lower.wait(lambda e: e.get("name") == "DUPLICATE" and e["role"] == DIALLER, "the end of its own dial")
        greater.connection(lower)
        exchange(lower, greater)
        kept = [event for _, event in greater.find(lambda e: e["ev"] == "connection")][-1]
        assert kept["role"] == DIALLER, "the dial of the greater key stays"
