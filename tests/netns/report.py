"""Does the same many times on each kind of network and prints how long it took.

    run.sh report [meeting|roaming] [--runs 20] [--require-p95 500] [--only NAT]

meeting: two peers find each other. roaming: they talk while addresses change, and are
heard again. --only: the rows whose name contains this. Ends with 1 if a run failed, or if the
95th percentile of a row is above --require-p95 milliseconds.
"""

from __future__ import annotations

import argparse
import math
import sys

from bed import Lan
from meeting import NETWORKS, ORDERS, Network, meet, start
from roaming import CHANGES, Change, Roamed, roam

# Changes that one pair goes through, one after the other.
CHANGES_A_PAIR = 5


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[math.ceil(share * len(times)) - 1]


def meeting_row(network: Network, order: str, runs: int) -> tuple[list[float], list[str]]:
    times, failures = [], []
    for _ in range(runs):
        with Lan(1 if network.one_host else 2, network.families) as lan:
            try:
                times.append(meet(start(lan, network), order).milliseconds)
            except AssertionError as error:
                failures.append(str(error))
    return times, failures


def roaming_rows(change: Change, runs: int) -> tuple[dict[str, list[float]], list[str]]:
    pairs: list[Roamed] = []
    failures = []
    for begun in range(0, runs, CHANGES_A_PAIR):
        try:
            pairs.append(roam(change, min(CHANGES_A_PAIR, runs - begun), dialler=1 + len(pairs) % 2))
        except AssertionError as error:
            failures.append(f"{change.name}: {error}")
    times = [pair for roamed in pairs for pair in roamed.times]
    return {direction: [pair[i] for pair in times] for i, direction in enumerate(("to 1", "to 2"))}, failures


def line(name: str, kind: str, times: list[float], runs: int, limit: float) -> bool:
    figures = [min(times), percentile(times, 0.5), percentile(times, 0.95), max(times)] if times else []
    done = f"{len(times)}/{runs}"
    print(f"{name:<26}{kind:<12}{done:>8}" + "".join(f"{value:>8.0f}" for value in figures), flush=True)
    return len(times) == runs and figures[2] <= limit


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="?", choices=("meeting", "roaming"), default="meeting")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--require-p95", type=float, default=math.inf, metavar="MS")
    parser.add_argument("--only", default="", metavar="TEXT")
    options = parser.parse_args()
    if not any(options.only in row.name for row in (NETWORKS if options.what == "meeting" else CHANGES)):
        parser.error(f"no row is named like {options.only!r}")
    runs, limit = options.runs, options.require_p95
    good, failures = True, []
    titles = {
        "meeting": ("from join to connection on both sides", "network", "joins", "met"),
        "roaming": ("from a change to the first message sent after it", "change", "direction", "resumed"),
    }
    title, *columns = titles[options.what]
    print(f"{title}, ms; {runs} runs a row\n")
    print("{:<26}{:<12}{:>8}".format(*columns) + "".join(f"{name:>8}" for name in ("min", "p50", "p95", "max")))
    if options.what == "meeting":
        for network in (row for row in NETWORKS if options.only in row.name):
            for order in ORDERS:
                times, failed = meeting_row(network, order, runs)
                good &= line(network.name, order, times, runs, limit)
                failures += failed
    else:
        for change in (row for row in CHANGES if options.only in row.name):
            rows, failed = roaming_rows(change, runs)
            for direction, times in rows.items():
                good &= line(change.name, direction, times, runs, limit)
            failures += failed
    for failure in failures:
        print(failure, file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
