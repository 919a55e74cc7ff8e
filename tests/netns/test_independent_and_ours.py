"""Our peer and the independent one (tests/interop/peer_aioquic.py): setowire/13 by two hands.

Each test has both roles where the protocol has two. test_independent_peer.py does
the same with two independent peers.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from bed import Event, Lan, Program
from v13 import ACCEPTOR, DATAGRAMS, DIALLER, by_address, exchange, is_content, outcome, pattern

TOPIC = hashlib.sha256(b"two hands").hexdigest()
# The certificate of a seed as the protocol page has it; the same key with an extension, a long name and other dates, signed
# by nobody that matters; one with a key on P-256. Made with the Python package `cryptography`.
CERTIFICATE_SEED = "06" * 32
CERTIFICATES = (
    "3081d4308187a003020102020101300506032b657030133111300f06035504030c087365746f776972653020170d3030303130313030303030305a18"
    "0f39393939313233313233353935395a30133111300f06035504030c087365746f77697265302a300506032b65700321008a875fff1eb38451577acd"
    "5afee405456568dd7c89e090863a0557bc7af49f17300506032b6570034100a31d5eface8774d49fa27525eaa1227985b4488234fe056560d7d6b737"
    "ba3f51ab06b01f4e4f0b715c6bb022f44625d2e84fc500a008f68d277ea4a194a17202",
    "3082014b3081fea0030201020209400000000000000005300506032b6570303c31163014060355040a0c0d736f6d65626f647920656c736531223020"
    "06035504030c1961206c6f6e67206e616d65206f66206e6f206d65616e696e67301e170d3230303130313030303030305a170d323030313032303030"
    "3030305a303c31163014060355040a0c0d736f6d65626f647920656c73653122302006035504030c1961206c6f6e67206e616d65206f66206e6f206d"
    "65616e696e67302a300506032b65700321008a875fff1eb38451577acd5afee405456568dd7c89e090863a0557bc7af49f17a31d301b30190603551d"
    "110101ff040f300d820b6578616d706c652e6f7267300506032b65700341001331707ed48d961b6355d6a17bb6e2fff40dd0dbb8d99b7dabe5a6bc1b"
    "298285746a720642cfc49543eb06d9e737e528eb4482feecbea51647c9c4832694210e",
    "3082018b30820132a0030201020209400000000000000005300a06082a8648ce3d040302303c31163014060355040a0c0d736f6d65626f647920656c"
    "73653122302006035504030c1961206c6f6e67206e616d65206f66206e6f206d65616e696e67301e170d3230303130313030303030305a170d323030"
    "3130323030303030305a303c31163014060355040a0c0d736f6d65626f647920656c73653122302006035504030c1961206c6f6e67206e616d65206f"
    "66206e6f206d65616e696e673059301306072a8648ce3d020106082a8648ce3d0301070342000426efcebd0ee9e34a669187e18b3a9122b2f733945b"
    "649cc9f9f921e9f9dad81290238bde9cc7bb330d150c67704dd25ae7055205744b6f31bf4070745872d0e6a31d301b30190603551d110101ff040f30"
    "0d820b6578616d706c652e6f7267300a06082a8648ce3d04030203470030440220653ad5c24e99b087d1752c2a060b7ff234433d2b5db2dbd1a7cf20"
    "a30f833778022062e5faac2a04b77eefaafdacb498baadce54ebea21d0e43b0db753e9ad7715a4",
)
ROLES = pytest.mark.parametrize("ours_dials", [True, False], ids=["ours dials", "ours is dialled"])


def start_ours(peer: Program, **fields: Any) -> Event:
    """Our peer without p2p-v12, known by its key."""
    ready = peer.start(**{"topic": TOPIC, "legacy": False, "lan": False, **fields})
    peer.id = ready["key"][:16]
    return ready


def pair(lan: Lan, **fields: Any) -> tuple[Program, Program]:
    """Our peer and the other, which find each other by address only."""
    ours, other = lan.ours(1), lan.independent(2)
    start_ours(ours, **fields)
    other.start(topic=TOPIC, lan=False)
    return ours, other


def dial(ours: Program, other: Program, ours_dials: bool, **fields: Any) -> None:
    """`fields` are for a dial of the other."""
    if ours_dials:
        by_address(ours, other)
    else:
        by_address(other, ours, **fields)


def meet(ours: Program, other: Program, ours_dials: bool, **fields: Any) -> Event:
    dial(ours, other, ours_dials, **fields)
    mine = ours.connection(other)[1]
    assert mine["session"] == "setowire/13"
    theirs = other.connection(ours)[1]
    assert theirs["role"] == (ACCEPTOR if ours_dials else DIALLER)
    assert theirs["shared"] == [TOPIC]
    return theirs


@pytest.mark.parametrize("families", ["4", "6", "46"])
def test_by_beacon(families: str) -> None:
    with Lan(2, families) as lan:
        ours, other = lan.ours(1), lan.independent(2)
        start_ours(ours, lan=True)
        other.start(topic=TOPIC)
        ours.connection(other)
        other.connection(ours)
        exchange(ours, other)


@ROLES
def test_by_beacon_one_side_announces(ours_dials: bool) -> None:
    """Who hears the other dials: the other hears nothing."""
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        lan.sh("deaf", "2" if ours_dials else "1")
        start_ours(ours, lan=True)
        other.start(topic=TOPIC)
        ours.connection(other)
        assert other.connection(ours)[1]["role"] == (ACCEPTOR if ours_dials else DIALLER)


@ROLES
@pytest.mark.parametrize("cipher", ["chacha20", "fastest"])
def test_by_address(ours_dials: bool, cipher: str) -> None:
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        start_ours(ours, cipher=cipher)
        other.start(topic=TOPIC, lan=False, cipher=cipher)
        connection = meet(ours, other, ours_dials)
        assert connection["cipher"] == ("CHACHA20_POLY1305_SHA256" if cipher == "chacha20" else "AES_128_GCM_SHA256")
        exchange(ours, other, datagrams=DATAGRAMS)


def test_ours_answers_an_initial_without_cookie_by_retry() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, False, probe=False)
        exchange(ours, other)


def test_the_expected_key_is_checked() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        by_address(other, ours, key="22" * 32, probe=False)
        refused = other.wait(lambda e: e["ev"] == "refused", "the end of the handshake")[1]
        assert refused["code"] == 0x100 + 46, "alert certificate_unknown"
        # A PROBE for another key is not answered at all.
        by_address(other, ours, key="22" * 32)
        other.wait(lambda e: e["ev"] == "dial_failed", "the end of the dial")
        meet(ours, other, False, key=ours.ask("info", "info")["key"])


def test_ours_demands_a_certificate() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        other.ask("settings", "set", certificates=[])
        by_address(other, ours)
        ended = other.wait(lambda e: e["ev"] in ("refused", "disconnect"), "the end of the handshake")[1]
        assert not ended["application"] and ended["code"] == 0x100 + 116, "alert certificate_required"
        assert not ours.find(lambda e: e["ev"] == "connection")


@ROLES
def test_no_shared_topic(ours_dials: bool) -> None:
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        # Our application dials explicitly; the other does not take that.
        start_ours(ours)
        other.start(name="another", lan=False, accept_explicit=False)
        dial(ours, other, ours_dials, explicit=False)
        assert outcome(other) == ("REFUSED" if ours_dials else "NO_TOPIC")
        assert not ours.find(lambda e: e["ev"] == "connection")


@pytest.mark.parametrize("accepted", [True, False])
def test_explicit_dials(accepted: bool) -> None:
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        start_ours(ours, accept_explicit=accepted)
        other.start(name="another", lan=False)
        by_address(other, ours)
        if accepted:
            other.connection(ours)
            ours.connection(other)
            exchange(ours, other, messages=(100,))
            # Without a topic a broadcast comes from its author alone, and is a message to ours.
            ours.ask("broadcast", "broadcasted", hex="d0d1")
            got = other.wait(lambda e: e["ev"] == "broadcast", "broadcast")[1]
            assert (got["author"], got["topic"], got["hex"]) == (ours.ask("info", "info")["key"], None, "d0d1")
            other.ask("broadcast", "broadcasted", hex="e0e1")
            got = ours.wait(lambda e: e["ev"] == "data" and e.get("hex") == "e0e1", "broadcast")[1]
            assert "author" not in got
        else:
            assert outcome(other) == "REFUSED"


def test_reflected_and_replayed_proofs() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, False)
        tags = other.ask("tags", "tags", peer=ours.id)
        # As dialler it shows our own proof.
        other.ask("raw", "wrote", peer=ours.id, stream=0, hex="0220" + tags["acceptor"][0])
        assert other.disconnect(ours)[1]["name"] == "BAD_PROOF"
        ours.disconnect(other)
        # As acceptor it answers with what it received, then with a proof of the last connection.
        for count, shared in enumerate((None, [tags["acceptor"][0]]), 1):
            other.ask("settings", "set", reflect=shared is None, shared=shared)
            by_address(ours, other)
            other.wait(lambda e: e.get("name") == "BAD_PROOF" and e["role"] == ACCEPTOR, "BAD_PROOF", count)
        other.ask("settings", "set", reflect=False, shared=None)
        # As dialler it shows a proof of the last connection: it means nothing here.
        other.ask("settings", "set", topics=[tags["dialler"][0]])
        by_address(other, ours, explicit=False)
        other.wait(lambda e: e.get("name") == "NO_TOPIC", "NO_TOPIC")
        assert len(ours.find(lambda e: e["ev"] == "connection")) == 1


@ROLES
def test_link_to_the_legacy_identity(ours_dials: bool) -> None:
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        ready = start_ours(ours, legacy=True)
        other.start(topic=TOPIC, lan=False, legacy=True)
        meet(ours, other, ours_dials)
        assert other.wait(lambda e: e["ev"] == "legacy", "LEGACY_PROOF")[1]["id"] == ready["id"]
        # The name of the peer stays what it was.
        other.ask("close", "closing", peer=ours.id)
        ours.disconnect(other)


@ROLES
def test_topics_that_are_joined_and_left_later(ours_dials: bool) -> None:
    """TOPICS again, ASK and LEFT, as sender and as receiver."""
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, ours_dials)
        for first, second in ((ours, other), (other, ours)):
            topic = hashlib.sha256(first.name.encode()).hexdigest()
            first.ask("join", "joined", topic=topic)
            second.ask("join", "joined", topic=topic)
            other.wait(lambda e: e["ev"] == "shared" and e["topic"] == topic, "a topic shared later")
            ours.ask("leave", "left_topic", topic=topic)
            other.wait(lambda e: e["ev"] == "left" and e["topic"] == topic, "LEFT")


@ROLES
def test_the_largest_message(ours_dials: bool) -> None:
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        start_ours(ours, max_message=5_000)
        other.start(topic=TOPIC, lan=False, max_message=3_000)
        assert meet(ours, other, ours_dials)["max_message"] == 5_000
        exchange(other, ours, messages=(3_000,))
        ours.tell("write", peer=other.id, hex="00" * 3_001)
        assert "3000" in ours.wait(lambda e: e["ev"] == "error", "the refusal of a larger message")[1]["message"]
        assert not other.ask("write", "wrote", peer=ours.id, hex="00" * 5_001)["ok"]
        # One that is sent all the same.
        other.ask("raw", "wrote", peer=ours.id, stream=2, hex="5389" + "00" * 5_001)
        assert other.disconnect(ours)[1]["name"] == "TOO_LARGE"


def test_addresses_are_told() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, False)
        port = ours.ask("info", "info")["port"]
        assert other.wait(lambda e: e["ev"] == "addrs", "ADDRS")[1]["addresses"] == [f"10.77.0.1 {port}"]
        told = other.find(lambda e: e["ev"] == "told")[0][1]
        assert (told["ip"], told["port"]) == ("10.77.0.2", other.ask("info", "info")["port"])


@ROLES
def test_closing(ours_dials: bool) -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, ours_dials)
        ours.ask("close", "closing", peer=other.id)
        assert other.disconnect(ours)[1]["name"] == "CLOSED"
        ours.disconnect(other)


@ROLES
def test_why_the_other_closed(ours_dials: bool) -> None:
    cases = [(0, "enough for today"), (0, ""), (10, "leaving"), (9, "too much"), (99, "a code of the future"), (0, "ü" * 100)]
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        for count, (code, reason) in enumerate(cases, 1):
            dial(ours, other, ours_dials)
            for peer in (ours, other):
                peer.wait(lambda e: e["ev"] == "connection", "connection", count)
            other.write(ours, bytes([count]))
            other.ask("close", "closing", peer=ours.id, code=code, reason=reason)
            ended = ours.wait(lambda e: e["ev"] == "disconnect", "the end", count)[1]
            assert reason in ended["reason"] and ended["reason"], f"code {code}: {ended}"
            if code in (0, 10):
                ours.receive(bytes([count]))


@ROLES
def test_ours_leaves(ours_dials: bool) -> None:
    """What was queued before arrives before the end."""
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, ours_dials)
        for number in range(20):
            ours.write(other, bytes([number]) * 10_000)
        ours.destroy()
        assert other.disconnect(ours)[1]["name"] == "GOING"
        assert len(other.find(lambda e: e["ev"] == "data")) == 20


def test_what_breaks_the_rules_is_told_so() -> None:
    cases = [
        (0, "0100", "PROTOCOL"),  # a second HELLO
        (0, "0300", "PROTOCOL"),  # SHARED from the dialler
        (0, "0201ff", "PROTOCOL"),  # TOPICS of one byte
        (0, "3f80010001", "PROTOCOL"),  # a frame above the limit, announced
        (2, "c000000001000001", "TOO_LARGE"),  # a message above the receiver's limit, announced
        (3, "014081" + "00" * 129, "PROTOCOL"),  # a mesh MESSAGE that is too short
        (3, "0409", "PROTOCOL"),  # PRUNE of another size, announced
    ]
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        for count, (stream, text, name) in enumerate(cases, 1):
            by_address(other, ours)
            other.wait(lambda e: e["ev"] == "connection", "connection", count)
            other.ask("raw", "wrote", peer=ours.id, stream=stream, hex=text)
            ended = other.wait(lambda e: e["ev"] == "disconnect", "the end", count)[1]
            assert ended["name"] == name, f"{text} on stream {stream}"
            ours.wait(lambda e: e["ev"] == "disconnect", "the end", count)


@pytest.mark.parametrize("lower", [True, False], ids=["ours has the lower key", "ours has the greater key"])
def test_two_dials_at_once_leave_one_connection(lower: bool) -> None:
    seeds = ["01" * 32, "02" * 32]
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        keys = [start_ours(ours, seed=seeds[lower])["key"], other.start(topic=TOPIC, lan=False, seed=seeds[not lower])["key"]]
        assert (keys[0] < keys[1]) == lower
        other.ask("settings", "set", hold=True)
        by_address(other, ours)
        other.wait(lambda e: e["ev"] == "established", "the handshake of its dial")
        by_address(ours, other)
        if lower:
            # The other sees that its own dial is under way, and that this one is to stay.
            other.wait(lambda e: e.get("name") == "DUPLICATE" and e["role"] == ACCEPTOR, "the end of our dial")
            other.ask("settings", "set", hold=False)
        else:
            ours.connection(other)
            other.ask("settings", "set", hold=False)
            other.wait(lambda e: e.get("name") == "DUPLICATE" and e["role"] == DIALLER, "the end of its dial")
        ours.connection(other)
        assert other.connection(ours)[1]["role"] == (DIALLER if lower else ACCEPTOR), "the dial of the greater key stays"
        exchange(ours, other, messages=(1_000,))
        assert len(ours.find(lambda e: e["ev"] == "connection")) == 1
        assert not ours.find(lambda e: e["ev"] == "disconnect")


@ROLES
def test_a_newer_swarm_with_the_same_key_replaces_the_old(ours_dials: bool) -> None:
    seed = "03" * 32
    with Lan(3, "4") as lan:
        ours, old, new = lan.ours(1), lan.independent(2), lan.independent(3)
        start_ours(ours)
        for instance, peer in enumerate((old, new), 1):
            peer.start(topic=TOPIC, lan=False, seed=seed, instance=instance)
        for count, peer in enumerate((old, new), 1):
            dial(ours, peer, ours_dials)
            peer.connection(ours)
            ours.wait(lambda e: e["ev"] == "connection", "connection", count)
        assert old.disconnect(ours)[1]["name"] == "REPLACED"
        exchange(ours, new, messages=(1_000,))


def test_a_peer_that_starts_again_at_its_port() -> None:
    """It says nothing when it ends, and dials from the same address within the same minute."""
    seed = "04" * 32
    with Lan(2, "4") as lan:
        ours, first = lan.ours(1), lan.independent(2)
        start_ours(ours)
        port = first.start(topic=TOPIC, lan=False, seed=seed)["port"]
        by_address(first, ours)
        first.connection(ours)
        first.kill()
        second = lan.independent(2)
        second.start(topic=TOPIC, lan=False, seed=seed, port=port)
        by_address(second, ours)
        second.connection(ours)
        ours.wait(lambda e: e["ev"] == "connection", "connection", 2)
        exchange(ours, second, messages=(1_000,))


def test_dialling_oneself() -> None:
    seed = "05" * 32
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        start_ours(ours, seed=seed)
        other.start(topic=TOPIC, lan=False, seed=seed)
        by_address(other, ours)
        assert outcome(other) == "SELF"


@ROLES
def test_broadcasts_are_signed_by_their_author(ours_dials: bool) -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, ours_dials)
        ours.ask("broadcast", "broadcasted", hex="b0b1")
        got = other.wait(lambda e: e["ev"] == "broadcast", "broadcast")[1]
        assert (got["author"], got["hops"], got["hex"]) == (ours.ask("info", "info")["key"], 0, "b0b1")
        other.ask("broadcast", "broadcasted", hex="c0c1")
        got = ours.wait(lambda e: e["ev"] == "data", "broadcast")[1]
        assert (got["author"], got["hex"]) == (other.ask("info", "info")["key"], "c0c1")


@ROLES
def test_a_private_topic(ours_dials: bool) -> None:
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        lan.sh("deaf", "2" if ours_dials else "1")
        start_ours(ours, lan=True, secret="5e" * 32)
        other.start(topic=TOPIC, secret="5e" * 32)
        ours.connection(other)
        assert other.connection(ours)[1]["shared"] == [TOPIC + "+"]
        exchange(ours, other, messages=(1_000,))


def test_another_secret_is_another_topic() -> None:
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        start_ours(ours, secret="5e" * 32)
        for fields in ({"secret": "5f" * 32}, {}):
            other.start(topic=TOPIC, lan=False, **fields) if not other.id else other.ask("join", "joined", topic=TOPIC)
            by_address(other, ours, explicit=False)
            other.wait(lambda e: e.get("name") == "NO_TOPIC", "NO_TOPIC", 1 if fields else 2)
        assert not ours.find(lambda e: e["ev"] == "connection")


def test_ours_expects_a_key() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        ready = other.ask("info", "info")
        place = {"ip": ready["ip"], "port": ready["port"]}
        ours.ask("dial", "dialing", **place, key="22" * 32)
        ours.wait(lambda e: e["ev"] == "dial_failed", "the end of the dial")
        assert not other.find(lambda e: e["ev"] in ("connection", "refused")), "its PROBE was for somebody else"
        # The other answers any PROBE: then the handshake ends, before ours shows who it is.
        other.ask("settings", "set", answer_any_probe=True)
        ours.ask("dial", "dialing", **place, key="22" * 32)
        refused = other.wait(lambda e: e["ev"] == "refused", "the end of the handshake")[1]
        assert (refused["code"], refused["key"]) == (0x100 + 46, None), "alert certificate_unknown"
        ours.wait(lambda e: e["ev"] == "dial_failed", "the end of the dial", 2)
        ours.ask("dial", "dialing", **place, key=ready["key"])
        ours.connection(other)


@ROLES
def test_application_streams(ours_dials: bool) -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        other.ask("settings", "set", echo_streams=True)
        meet(ours, other, ours_dials)
        for size in (0, 1, 200_000):
            data = pattern(size, "stream")
            back = ours.ask("stream", "streamed", peer=other.id, hex=data.hex())
            assert back["sha256"] == hashlib.sha256(data).hexdigest()
            other.ask("open", "opened", peer=ours.id, unidirectional=False, ended=True, hex="01" + data.hex())
            ours.wait(is_content("stream", data), "stream of the other")
            other.wait(is_content("stream", data), "its echo")
        other.ask("settings", "set", echo_streams=False)
        refused = ours.ask("stream", "error", peer=other.id, hex="aa")
        assert "Reset" in refused["message"] or "stopped" in refused["message"]
        exchange(ours, other, messages=(1_000,))


def test_ours_takes_a_retry() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        other.ask("settings", "set", bad_cookies=True)
        meet(ours, other, True)
        assert other.find(lambda e: e["ev"] == "retry")
        exchange(ours, other)


def test_a_second_dial_within_a_minute_from_one_address() -> None:
    """The cookie is a connection id: it must not be that of the first dial, which ours still knows."""
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        for count in (1, 2, 3):
            by_address(other, ours)
            other.wait(lambda e: e["ev"] == "connection", "connection", count)
            other.ask("close", "closing", peer=ours.id)
            ours.wait(lambda e: e["ev"] == "disconnect", "the end", count)


def test_certificates() -> None:
    """Any certificate with the key will do, and nothing else."""
    with Lan(2, "4") as lan:
        ours, other = lan.ours(1), lan.independent(2)
        start_ours(ours)
        other.start(topic=TOPIC, lan=False, seed=CERTIFICATE_SEED)
        good, extended, elliptic = CERTIFICATES
        cases = [
            ([extended], None),
            ([good, good], "two certificates"),
            ([elliptic], "a key of another kind"),
            ([good[:-2]], "a certificate that is cut"),
            ([good.replace(other.id, "00" * 8)], "the key of somebody else"),
            ([good.replace(other.ask("info", "info")["key"], "01" + "00" * 31)], "a key of small order"),
        ]
        for count, (certificates, wrong) in enumerate(cases, 0):
            other.ask("settings", "set", certificates=certificates)
            by_address(other, ours)
            if wrong is None:
                other.connection(ours)
                other.ask("close", "closing", peer=ours.id)
                other.disconnect(ours)
            else:
                ended = other.wait(lambda e: e["ev"] == "refused", f"the end for {wrong}", count)[1]
                assert not ended["application"] and 0x100 < ended["code"] < 0x200, f"{wrong}: {ended}"
        assert len(ours.find(lambda e: e["ev"] == "connection")) == 1


def test_what_is_not_known_is_passed_over() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, False)
        other.ask("raw", "wrote", peer=ours.id, stream=0, hex="3f05" + "aa" * 5)
        for unidirectional, how in ((True, ["stopped"]), (False, ["reset", "stopped"])):
            stream = other.ask("open", "opened", peer=ours.id, unidirectional=unidirectional, hex="1fabcdef")["stream"]
            for kind in how:
                found = other.wait(lambda e: e["ev"] == "stream_refused" and e["stream"] == stream and e["how"] == kind, kind)
                assert found[1]["code"] == 1
        exchange(ours, other)


def test_keys_are_updated() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, False)
        for _ in range(3):
            other.ask("update_keys", "updating", peer=ours.id)
            exchange(ours, other, messages=(100_000,))


@ROLES
def test_the_other_moves(ours_dials: bool) -> None:
    """Its port changes under the connection: ours asks there, and follows."""
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, ours_dials)
        exchange(ours, other, messages=(1_000,))
        for _ in range(2):
            other.ask("move", "moved")
            exchange(other, ours, messages=(10_000,))
        assert not ours.find(lambda e: e["ev"] == "disconnect")


def test_session_probes() -> None:
    with Lan(2, "4") as lan:
        ours, other = pair(lan)
        meet(ours, other, False)
        other.ask("challenge", "challenging", peer=ours.id)
        assert other.wait(lambda e: e["ev"] == "path", "the answer to a challenge")[1]["confirmed"] == "10.77.0.1"
