"""Two of our peers keep talking while their addresses change, and how soon they are heard again.

A `Change` is a network and what happens to it. `roam` connects two peers, lets numbered
messages flow both ways, applies the change several times and looks at what arrived:
everything, once and in order, over one connection. For each change and direction it gives the time from when the
change took effect to the first message that was sent after its end.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bed import Lan, Program

TOPIC = "77" * 32
# Per second and direction: small messages, and large ones of this size.
SMALL_RATE, BULK_RATE, BULK_BYTES = 200, 10, 256 << 10
# Messages flow for so long before a change.
CALM = 1.0


@dataclass
class Roamers:
    """Two peers in hosts 1 and 2, talking."""

    lan: Lan
    peers: tuple[Program, Program]
    #: How often the network changed.
    changes: int = 0
    #: By which interface messages reach host 2.
    used: str = "eth0"

    def ip(self, *batches: Sequence[str]) -> float:
        """Runs lines of `ip` in host 1, host 2..., all at one time; returns when that began."""
        runs = []
        for host, lines in enumerate(batches, 1):
            if lines:
                argv = ["ip", "-n", f"{self.lan.prefix}{host}", "-batch", "-"]
                runs.append((subprocess.Popen(argv, stdin=subprocess.PIPE, text=True), "\n".join(lines)))
        begun = time.monotonic()
        for run, text in runs:
            run.communicate(text)
            assert run.returncode == 0, text
        return begun

    def interface(self, host: int) -> str:
        """By which interface of a host messages reach it now."""
        (peer,) = self.peers[2 - host].ask("peers", "peers")["peers"]
        return "eth0" if peer["address"].startswith("10.77.") else "eth1"


def replace(network: str, family: str) -> Callable[[int, bool], list[str]]:
    """The address of a host's interface is replaced, there and back."""

    def lines(host: int, back: bool) -> list[str]:
        old, new = (network.format(host + extra) for extra in ((100, 0) if back else (0, 100)))
        nodad = " nodad" if family == "6" else ""
        return [f"addr del {old} dev eth0", f"addr add {new} dev eth0{nodad}"]

    return lines


V4 = replace("10.77.0.{}/24", "4")
V6 = replace("fd77::{:x}/64", "6")


def move(gateway: bool) -> Callable[[int, bool], list[str]]:
    """One interface goes down and another one, of another subnet, comes up."""

    def lines(host: int, back: bool) -> list[str]:
        old, new, net = ("eth1", "eth0", 77) if back else ("eth0", "eth1", 78)
        route = [f"route add default via 10.{net}.0.254"] if gateway else []
        return [f"link set {old} down", f"link set {new} up", *route]

    return lines


def one_side(lines: Callable[[int, bool], list[str]]) -> Callable[[Roamers], float]:
    return lambda roamers: roamers.ip([], lines(2, roamers.changes % 2 == 1))


def both_sides(lines: Callable[[int, bool], list[str]]) -> Callable[[Roamers], float]:
    return lambda roamers: roamers.ip(*(lines(host, roamers.changes % 2 == 1) for host in (1, 2)))


def cut(both_ways: bool) -> Callable[[Roamers], float]:
    """What comes to host 2 on the path in use is dropped, and on the same path the other way."""

    def change(roamers: Roamers) -> float:
        for host in (2, 1) if both_ways else (2,):
            roamers.lan.sh("cut", str(host), roamers.used)
        return time.monotonic()

    return change


def heal(roamers: Roamers) -> None:
    """The path that was cut before is whole again; which one is in use is found out."""
    roamers.used = roamers.interface(2)
    for host in (1, 2):
        roamers.lan.sh("heal", str(host))


def rebind(roamers: Roamers) -> float:
    first = 30_000 + 1_000 * (roamers.changes % 20)
    roamers.lan.sh("rebind", f"{first}-{first + 999}")
    return time.monotonic()


def behind_nat(lan: Lan) -> None:
    lan.sh("nat", "1")
    lan.sh("rebind", "20000-20999")


def routed(lan: Lan) -> None:
    lan.sh("router")
    for host in (1, 2):
        lan.ip(host, "route", "add", "default", "via", "10.77.0.254")
    spare(lan, 2)


def spare(lan: Lan, *hosts: int) -> None:
    """A second interface, which is down."""
    for host in hosts:
        lan.sh("plug", str(host), "eth1", "4")
        lan.ip(host, "link", "set", "eth1", "down")


def two_links(lan: Lan) -> None:
    for host in (1, 2):
        lan.sh("plug", str(host), "eth1", "4")


@dataclass
class Change:
    name: str
    #: Makes the change, and returns when it took effect.
    apply: Callable[[Roamers], float]
    prepare: Callable[[Lan], None] = field(default=lambda lan: None)
    #: What is to be done before, and does not count.
    ready: Callable[[Roamers], None] = field(default=lambda roamers: None)
    families: str = "4"
    #: Beacons are the only way to find each other again.
    beacons: bool = False


CHANGES = [
    Change("address replaced, IPv4", one_side(V4)),
    Change("address replaced, IPv6", one_side(V6), families="6"),
    Change("other interface, routed", one_side(move(True)), routed),
    Change("both addresses replaced", both_sides(V4), beacons=True),
    Change("both on other interfaces", both_sides(move(False)), lambda lan: spare(lan, 1, 2), beacons=True),
    Change("one path cut, one way", cut(False), two_links, heal),
    Change("one path cut, both ways", cut(True), two_links, heal),
    Change("NAT rebinds", rebind, behind_nat),
]


@dataclass
class Roamed:
    """What one pair went through."""

    #: Milliseconds until messages arrive again, for each change: to host 1, to host 2.
    times: list[tuple[float, float]]
    messages: int


def connect(lan: Lan, change: Change, dialler: int) -> Roamers:
    one, two = lan.ours(1), lan.ours(2)
    ports = [program.start(topic=TOPIC, lan=change.beacons)["port"] for program in (one, two)]
    if not change.beacons:
        net = "fd77::" if change.families == "6" else "10.77.0."
        first, second = (one, 2) if dialler == 1 else (two, 1)
        first.tell("dial", ip=f"{net}{second}", port=ports[second - 1])
    for program in (one, two):
        program.wait(lambda e: e["ev"] == "connection", "connection")
    return Roamers(lan, (one, two))


def roam(change: Change, changes: int, dialler: int = 1) -> Roamed:
    """Lets two peers talk through some changes; an assertion fails if a message is lost, doubled or out of order."""
    # Behind a NAT only one can dial.
    dialler = 1 if change.prepare is behind_nat else dialler
    with Lan(2, change.families) as lan:
        change.prepare(lan)
        roamers = connect(lan, change, dialler)
        for program in roamers.peers:
            flowing = program.ask("flow", "flowing", rate=SMALL_RATE, bulk=BULK_BYTES, bulk_period=1 / BULK_RATE)
            assert flowing["session"] != "p2p-v12", flowing
        times = []
        for _ in range(changes):
            calm = time.monotonic() + CALM
            for program in roamers.peers:
                program.ask("flow_after", "flow_passed", at=calm)
            change.ready(roamers)
            begin = change.apply(roamers)
            roamers.changes += 1
            end = time.monotonic()
            passed = [program.ask("flow_after", "flow_passed", at=end)["received"] for program in roamers.peers]
            times.append((1000 * (passed[0] - begin), 1000 * (passed[1] - begin)))
        for program in roamers.peers:
            program.ask("flow_end", "flow_ending")
        messages = 0
        for program in roamers.peers:
            _, flowed = program.wait(lambda e: e["ev"] == "flowed", "last message")
            numbers = [number for number, _, _ in flowed["log"]]
            assert numbers == list(range(len(numbers))), "lost, doubled or out of order"
            messages += len(numbers)
        for program in roamers.peers:
            ended = program.find(lambda e: e["ev"] in ("disconnect", "error"))
            begun = program.find(lambda e: e["ev"] == "connection")
            assert not ended and len(begun) == 1, program.report()
        return Roamed(times, messages)
