"""Meets many times on each kind of network and prints how long it took.

    run.sh report [--runs 20] [--require-p95 500]

Ends with 1 if a meeting failed, or if the 95th percentile of a row is above
--require-p95 milliseconds.
"""

from __future__ import annotations

import argparse
import math
import sys

from bed import Lan
from meeting import NETWORKS, ORDERS, Network, meet, start


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[math.ceil(share * len(times)) - 1]


def row(network: Network, order: str, runs: int) -> tuple[list[float], list[str]]:
    times, failures = [], []
    for _ in range(runs):
        with Lan(1 if network.one_host else 2, network.families) as lan:
            try:
                times.append(meet(start(lan, network), order).milliseconds)
            except AssertionError as error:
                failures.append(str(error))
    return times, failures


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--require-p95", type=float, default=math.inf, metavar="MS")
    options = parser.parse_args()
    print(f"from join to connection on both sides, ms; {options.runs} runs a row\n")
    print(f"{'network':<24}{'joins':<12}{'met':>8}{'min':>8}{'p50':>8}{'p95':>8}{'max':>8}")
    good = True
    for network in NETWORKS:
        for order in ORDERS:
            times, failures = row(network, order, options.runs)
            figures = [min(times), percentile(times, 0.5), percentile(times, 0.95), max(times)] if times else []
            met = f"{len(times)}/{options.runs}"
            print(f"{network.name:<24}{order:<12}{met:>8}" + "".join(f"{value:>8.0f}" for value in figures), flush=True)
            for failure in failures:
                print(failure, file=sys.stderr)
            good = good and not failures and figures[2] <= options.require_p95
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
