"""Two of our peers meet: how long from `join` to `connection` on both sides."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from bed import Lan, Program


@dataclass
class Network:
    """A kind of network for the meeting, by name."""

    name: str
    families: str
    one_host: bool = False


NETWORKS = [
    Network("LAN, IPv4", "4"),
    Network("LAN, IPv6", "6"),
    Network("LAN, IPv4 and IPv6", "46"),
    Network("one host, loopback", "46", one_host=True),
]

# together: both join at once. second: one has joined before, the time counts from the other's join.
ORDERS = ["together", "second"]


@dataclass
class Meeting:
    first: Program
    second: Program
    milliseconds: float
    addresses: set[str]


def start(lan: Lan, network: Network) -> tuple[Program, Program]:
    if network.one_host:
        lan.ip(1, "link", "set", "eth0", "down")
        pair = lan.ours(1), lan.ours(1)
        fields = {"lan_interfaces": "lo"}
    else:
        pair = lan.ours(1), lan.ours(2)
        fields = {}
    for program in pair:
        program.start(**fields)
    return pair


def meet(pair: tuple[Program, Program], order: str) -> Meeting:
    topic = hashlib.sha256(os.urandom(16)).hexdigest()
    first, second = pair
    if order == "second":
        first.ask("join", "joined", topic=topic)
        joined = second.tell("join", topic=topic)
    else:
        first.tell("join", topic=topic)
        joined = second.tell("join", topic=topic)
    ends = [first.connection(second), second.connection(first)]
    return Meeting(first, second, (max(at for at, _ in ends) - joined) * 1000, {event["address"] for _, event in ends})
