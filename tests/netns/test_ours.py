"""Two of our own peers on networks of each kind."""

from __future__ import annotations

import hashlib
import ipaddress

import pytest
from bed import Lan
from conftest import Figure
from meeting import NETWORKS, ORDERS, Network, meet, start

TOPIC = hashlib.sha256(b"netns").hexdigest()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_two_meet_and_talk(network: Network, order: str, runs: int, figure: Figure) -> None:
    times = []
    for _ in range(runs):
        with Lan(1 if network.one_host else 2, network.families) as lan:
            meeting = meet(start(lan, network), order)
            times.append(f"{meeting.milliseconds:.0f}")
            for address in map(ipaddress.ip_address, meeting.addresses):
                assert str(address.version) in network.families
                assert not network.one_host or address.is_loopback
            one, other = meeting.first, meeting.second
            for size in (1, 100, 1_200, 60_000):
                one.write(other, bytes(size))
                other.receive(bytes(size))
                other.write(one, bytes(size))
                one.receive(bytes(size))
            other.destroy()
            one.disconnect(other)
            connections = one.find(lambda e: e["ev"] == "connection")
            assert len(connections) == 1, "one connection, whatever the number of addresses"
    figure(f"{', '.join(times)} ms from join to connection on both sides")


@pytest.mark.parametrize("families", ["4", "6"])
def test_an_interface_that_appears_later_is_used(families: str, figure: Figure) -> None:
    with Lan(2, families) as lan:
        for host in (1, 2):
            lan.ip(host, "link", "delete", "eth0")
        one, other = lan.ours(1), lan.ours(2)
        for peer in (one, other):
            peer.start(topic=TOPIC)
        for host in (1, 2):
            lan.sh("plug", str(host), "late", families)
        plugged = one.tell("info")
        ends = [one.connection(other), other.connection(one)]
        figure(f"{max(at for at, _ in ends) - plugged:.1f} s from the new interface to connection")
        one.write(other, b"over the new one")
        other.receive(b"over the new one")


def test_different_topics_do_not_meet() -> None:
    with Lan(3, "46") as lan:
        one, other, stranger = lan.ours(1), lan.ours(2), lan.ours(3)
        stranger.start(topic=hashlib.sha256(b"another").hexdigest())
        one.start(topic=TOPIC)
        other.start(topic=TOPIC)
        one.connection(other)
        other.connection(one)
        # The stranger heard every beacon that these two heard, and joins their topic last.
        assert not stranger.find(lambda e: e["ev"] == "connection")
        stranger.ask("join", "joined", topic=TOPIC)
        stranger.connection(one)
        stranger.connection(other)


def test_nothing_leaves_the_lan() -> None:
    """With a default route, no frame is addressed to it, and no name is asked for."""
    with Lan(2, "46") as lan:
        lan.sh("route", "1")
        with lan.capture(1) as link:
            one, other = lan.ours(1), lan.ours(2)
            one.start(topic=TOPIC)
            other.start(topic=TOPIC)
            one.connection(other)
            other.connection(one)
            one.write(other, b"hello")
            other.receive(b"hello")
            one.destroy()
            other.disconnect(one)
        assert link.frames
        local = [ipaddress.ip_network(n) for n in ("10.77.0.0/24", "224.0.0.0/4", "fd77::/64", "fe80::/10", "ff00::/8")]
        for frame in link.frames:
            kind = int.from_bytes(frame[12:14], "big")
            if kind in (0x0800, 0x86DD):
                target = ipaddress.ip_address(frame[30:34] if kind == 0x0800 else frame[38:54])
                assert any(target in network for network in local if network.version == target.version), f"a frame went to {target}"
                assert frame[0:6] != bytes.fromhex("0200000000fe"), "a frame went to the gateway"
            else:
                assert kind == 0x0806, f"an unknown kind of frame, {kind:#06x}"
