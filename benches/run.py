"""Runs the measuring programs in turns, and prints medians and ratios of one run.

A round runs every program once per measure and suite, one directly after the
other; what disturbs the machine for a while meets all of them. Nothing here
passes or fails by a time: the targets stand beside the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = {"chacha20": "ChaCha20-Poly1305", "fastest": "AES-128-GCM"}
#: A program that hangs is ended, and the run with it.
TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Program:
    name: str
    about: str
    #: The largest packet that a quinn program looks for, bytes.
    packet: int = 0


#: With more, what quinn 0.11.12 sends in one call, ten packets, is above 64 KiB, and lost.
PACKET_BYTES = 6_500
#: What quinn looks for when it is told nothing.
QUINN_PACKET_BYTES = 1_452

QUINN = Program("quinn", f"bare quinn, application in its runtime, packets of up to {PACKET_BYTES:,} B", PACKET_BYTES)
QUINN_SMALL = Program("quinn, small", f"the same, packets of up to {QUINN_PACKET_BYTES:,} B", QUINN_PACKET_BYTES)
QUINN_APP = Program("quinn, app", "bare quinn, application on its own thread behind a channel", PACKET_BYTES)
C = Program("C", "Setowire through the C ABI")
PYTHON = Program("Python", "Setowire through the Python package, two processes")
LIMITS = Program("limits", "raw UDP with offload, ring on one core")
PROGRAMS = [LIMITS, QUINN, QUINN_SMALL, QUINN_APP, C, PYTHON]


@dataclass(frozen=True)
class Measure:
    name: str
    about: str
    programs: tuple[Program, ...]


TRANSFERS = (QUINN, QUINN_SMALL, QUINN_APP, C)
EVERYBODY = (*TRANSFERS, PYTHON)
DATAGRAMS = (QUINN, QUINN_SMALL, C)
MEASURES = [
    Measure("bulk1", "bulk, 1 stream", EVERYBODY),
    Measure("bulk16", "bulk, 16 streams", TRANSFERS),
    Measure("messages", "100 B messages", EVERYBODY),
    Measure("datagrams100", "100 B datagrams", DATAGRAMS),
    Measure("datagrams1100", "1,100 B datagrams", DATAGRAMS),
    Measure("echo", "echo of 32 B", (QUINN, QUINN_APP, C, PYTHON)),
    Measure("connects1", "connects, sequential", (QUINN, C)),
    Measure("connects32", "connects, 32 in flight", (QUINN, C)),
    Measure("memory", "idle peer", (QUINN, C)),
]

#: Field of a program's JSON: its unit, and decimals.
FIELDS = {
    "mb_per_s": ("MB/s", 0),
    "cpu_s_per_gb": ("CPU s/GB", 2),
    "per_s": ("/s", 0),
    "cpu_us": ("CPU us each", 2),
    "lost": ("% lost", 1),
    "p50_us": ("us p50", 1),
    "p99_us": ("us p99", 1),
    "dialler_kib": ("KiB, dialling side", 1),
    "acceptor_kib": ("KiB, accepting side", 1),
    "seal_mb_per_s": ("MB/s sealed", 0),
    "open_mb_per_s": ("MB/s opened", 0),
}


@dataclass(frozen=True)
class Target:
    """A ratio that was promised: a value of one program over that of another, the best of several, or over one."""

    about: str
    measure: str
    field: str
    over: Program
    under: tuple[Program, ...]
    bound: float
    at_least: bool


BARE = (QUINN, QUINN_SMALL)
TARGETS = [
    Target("bulk, 1 stream, C / quinn", "bulk1", "mb_per_s", C, BARE, 0.9, True),
    Target("bulk, 16 streams, C / quinn", "bulk16", "mb_per_s", C, BARE, 0.9, True),
    Target("100 B messages, C / quinn gathered", "messages", "per_s", C, BARE, 0.3, True),
    Target("echo p50, C / quinn with its application apart", "echo", "p50_us", C, (QUINN_APP,), 1.3, False),
    Target("connects with proof, sequential, C / quinn", "connects1", "per_s", C, (QUINN,), 0.6, True),
    Target("connects with proof, 32 in flight, C / quinn", "connects32", "per_s", C, (QUINN,), 0.6, True),
    Target("KiB per idle peer, dialling side", "memory", "dialler_kib", C, (), 48, False),
    Target("KiB per idle peer, accepting side", "memory", "acceptor_kib", C, (), 48, False),
    Target("100 B messages, Python / C", "messages", "per_s", PYTHON, (C,), 0.15, True),
    Target("bulk, 1 stream, Python / C", "bulk1", "mb_per_s", PYTHON, (C,), 0.5, True),
]

#: (measure, suite, program) -> one JSON object per round
Results = dict[tuple[str, str, Program], list[dict[str, float]]]


def command(programs: Path, program: Program, measure: str, suite: str, seconds: float) -> list[str]:
    if program is LIMITS:
        return [str(programs / "bench-limits"), measure, str(seconds)]
    if program is PYTHON:
        return [sys.executable, str(HERE / "python" / "bench.py"), measure, suite, str(seconds)]
    if program is C:
        return [str(programs / "bench-setowire"), measure, suite, str(seconds)]
    variant = f"{measure}-app" if program is QUINN_APP else measure
    return [str(programs / "bench-quinn"), variant, suite, str(program.packet), str(seconds)]


def steps(wanted: list[str], suites: list[str], programs: list[Program]) -> Iterator[tuple[str, str, Program]]:
    """One round."""
    if LIMITS in programs and not wanted:
        yield "udp", "", LIMITS
        yield "chacha20", "", LIMITS
        yield "aes128", "", LIMITS
    for measure in MEASURES:
        if wanted and measure.name not in wanted:
            continue
        for suite in suites:
            for program in measure.programs:
                if program in programs:
                    yield measure.name, suite, program


def run(line: list[str], programs: Path) -> dict[str, float]:
    environment = os.environ | {
        "SETOWIRE_LIBRARY": str(programs / "libsetowire.so"),
        "PYTHONPATH": str(HERE.parent / "bindings" / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    if done.returncode != 0:
        sys.exit(f"{' '.join(line)} ended with {done.returncode}:\n{done.stderr}")
    numbers: dict[str, float] = json.loads(done.stdout)
    return numbers


def median(results: Results, measure: str, suite: str, program: Program, field: str) -> float | None:
    rounds = results.get((measure, suite, program), [])
    values = [numbers[field] for numbers in rounds if field in numbers]
    return statistics.median(values) if values else None


def number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:,.{decimals}f}"


def spread(rounds: list[dict[str, float]], field: str, decimals: int) -> str:
    values = [numbers[field] for numbers in rounds]
    text = number(statistics.median(values), decimals)
    if len(values) < 2:
        return text
    return f"{text} [{number(min(values), decimals)}..{number(max(values), decimals)}]"


def print_table(results: Results, suites: list[str]) -> None:
    for measure in MEASURES:
        for suite in suites:
            rows = [(key[2], rounds) for key, rounds in results.items() if key[:2] == (measure.name, suite)]
            if not rows:
                continue
            print(f"\n{measure.about}, {SUITES[suite]}")
            base = rows[0][1]
            for program, rounds in rows:
                parts = []
                for at, field in enumerate(rounds[0]):
                    unit, decimals = FIELDS[field]
                    text = f"{spread(rounds, field, decimals)} {unit}"
                    if at == 0 and program is not rows[0][0]:
                        first = statistics.median(one[field] for one in base)
                        text += f" (x{statistics.median(one[field] for one in rounds) / first:.2f})"
                    parts.append(text)
                print(f"  {program.name:<12} {'; '.join(parts)}")
    limits = [(key[0], rounds) for key, rounds in results.items() if key[2] is LIMITS]
    if limits:
        print("\nlimits of this machine, 1,200 B")
    for name, rounds in limits:
        parts = [f"{spread(rounds, field, FIELDS[field][1])} {FIELDS[field][0]}" for field in rounds[0]]
        print(f"  {name:<12} {'; '.join(parts)}")


def targets(results: Results, suites: list[str]) -> list[dict[str, object]]:
    """Every target that this run can tell about, with what it found."""
    found: list[dict[str, object]] = []
    for target in TARGETS:
        for suite in suites:
            over = median(results, target.measure, suite, target.over, target.field)
            medians = [median(results, target.measure, suite, one, target.field) for one in target.under]
            under = [value for value in medians if value]
            if over is None or (target.under and not under):
                continue
            best = max if target.at_least else min
            value = over / best(under, default=1.0)
            met = value >= target.bound if target.at_least else value <= target.bound
            found.append({
                "target": target.about, "suite": suite, "value": round(value, 3), "bound": target.bound,
                "at_least": target.at_least, "met": met,
            })  # fmt: skip
    return found


def print_targets(found: list[dict[str, object]]) -> None:
    if found:
        print("\ntargets")
    for one in found:
        sign = ">=" if one["at_least"] else "<="
        verdict = "met" if one["met"] else "MISSED"
        suite = SUITES[str(one["suite"])]
        print(f"  {one['target']}, {suite}: {one['value']:.2f} (wanted {sign} {one['bound']}) {verdict}")


def save(path: Path, results: Results, found: list[dict[str, object]], arguments: argparse.Namespace) -> None:
    record = {
        "machine": {"processors": os.cpu_count(), "system": platform.platform(), "machine": platform.machine()},
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "results": [
            {"measure": measure, "suite": suite, "program": program.name, "rounds": rounds}
            for (measure, suite, program), rounds in results.items()
        ],
        "targets": found,
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\nwritten: {path}")


def parse() -> argparse.Namespace:
    names = [program.name for program in PROGRAMS]
    parser = argparse.ArgumentParser(prog="benches/run.sh", description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one round of short windows, about a minute")
    parser.add_argument("--rounds", type=int, help="rounds (default: 5, quick: 1)")
    parser.add_argument("--seconds", type=float, help="length of a window (default: 0.8, quick: 0.3)")
    parser.add_argument("--suite", choices=list(SUITES), action="append", help="only this suite")
    parser.add_argument("--program", choices=names, action="append", help="only these programs")
    parser.add_argument("--json", type=Path, help="where the numbers go (default: beside the programs)")
    parser.add_argument("--programs", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("measure", nargs="*", help="only these: " + ", ".join(measure.name for measure in MEASURES))
    arguments = parser.parse_args()
    unknown = set(arguments.measure) - {measure.name for measure in MEASURES}
    if unknown:
        parser.error(f"unknown measure: {', '.join(sorted(unknown))}")
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 5)
    arguments.seconds = arguments.seconds or (0.3 if arguments.quick else 0.8)
    return arguments


def main() -> None:
    arguments = parse()
    suites = arguments.suite or list(SUITES)
    programs = [one for one in PROGRAMS if not arguments.program or one.name in arguments.program]
    results: Results = {}
    begin = time.monotonic()
    for round_number in range(arguments.rounds):
        print(f"round {round_number + 1} of {arguments.rounds}", file=sys.stderr)
        for measure, suite, program in steps(arguments.measure, suites, programs):
            line = command(arguments.programs, program, measure, suite, arguments.seconds)
            results.setdefault((measure, suite, program), []).append(run(line, arguments.programs))
    for program in programs:
        print(f"{program.name:<12} {program.about}")
    print_table(results, suites)
    found = targets(results, suites)
    print_targets(found)
    print(f"\n{time.monotonic() - begin:.0f} s for {arguments.rounds} rounds, windows of {arguments.seconds} s")
    save(arguments.json or arguments.programs / "bench.json", results, found, arguments)


if __name__ == "__main__":
    main()
