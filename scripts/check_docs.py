#!/usr/bin/env python3
"""Checks that what the documents say about the repository is so.

Each function below is one check; it yields what is wrong, in words. Ends with 1
if anything is.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

README_COMMANDS = {"Try it": "scripts/try.sh", "Test it": "scripts/test.sh"}


def files(*patterns: str) -> list[Path]:
    """The files of the repository that match, whether committed yet or not."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [path for line in sorted(set(listed.splitlines())) if (path := ROOT / line).exists()]


def text(name: str) -> str:
    return (ROOT / name).read_text()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def sections(markdown: str) -> dict[str, str]:
    """The text under each second-level heading."""
    parts = re.split(r"^## (.+)$", markdown, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def fenced(markdown: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```$", markdown, flags=re.M | re.S)


def readme_commands() -> Iterator[str]:
    """Each of the two sections has one fenced block with its one command; .ci/run calls the second."""
    for title, command in README_COMMANDS.items():
        blocks = fenced(sections(text("README.md")).get(title, ""))
        if [block.strip() for block in blocks] != [command]:
            yield f"README.md: the only fenced block of '{title}' is to be {command!r}, it has {blocks}"
        if not (ROOT / command).is_file():
            yield f"README.md: {command} does not exist"
    last = text(".ci/run").strip().splitlines()[-1]
    if last != f"exec {README_COMMANDS['Test it']}":
        yield f".ci/run: ends with {last!r}, not with the command of 'Test it'"


def included_code() -> Iterator[str]:
    """A block under `<!-- from FILE -->` is that file, word for word, or its first block if it is a document."""
    for path in files("*.md"):
        for source, block in re.findall(r"<!-- from (\S+) -->\n+```\w*\n(.*?)^```$", path.read_text(), flags=re.M | re.S):
            if not (ROOT / source).is_file():
                yield f"{name_of(path)}: {source} does not exist"
            elif block != (fenced(text(source))[0] if source.endswith(".md") else text(source)):
                yield f"{name_of(path)}: the block from {source} differs from the file"


def links() -> Iterator[str]:
    """Links between files lead somewhere."""
    for path in files("*.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text()):
            if not (path.parent / target).exists():
                yield f"{name_of(path)}: the link to {target} leads nowhere"


def dependencies() -> Iterator[str]:
    """docs/dependencies.md has a line for each direct dependency, and none for another."""
    documented = set(re.findall(r"^\| `([\w-]+)` \|", text("docs/dependencies.md"), flags=re.M))
    used: dict[str, str] = {}
    for path in files("Cargo.toml", "*/Cargo.toml"):
        manifest = tomllib.loads(path.read_text())
        for table in [manifest, *manifest.get("target", {}).values()]:
            for kind in ("dependencies", "build-dependencies", "dev-dependencies"):
                for package, spec in table.get(kind, {}).items():
                    if not (isinstance(spec, dict) and "path" in spec):
                        used[package] = name_of(path)
    for path in files("*requirements*.txt"):
        for line in path.read_text().splitlines():
            if line and not line.startswith(("#", "-")):
                used[re.split(r"[=<>~!\[; ]", line)[0]] = name_of(path)
    for package in sorted(set(used) - documented):
        yield f"docs/dependencies.md: no line for {package} of {used[package]}"
    for package in sorted(documented - set(used)):
        yield f"docs/dependencies.md: {package} is used nowhere"


def named_tests() -> Iterator[str]:
    """A test that docs/parity.md names as `file::name` exists."""
    for line in text("docs/parity.md").splitlines():
        for source, test in re.findall(r"`([\w./-]+\.(?:rs|py|c|sh))::(\w+)`", line):
            path = ROOT / source
            if not path.is_file():
                yield f"docs/parity.md: there is no {source}"
            elif not re.search(rf"\b(?:fn|def|void|int|bool) +{test}\b|\bTEST\({test}\)", path.read_text()):
                yield f"docs/parity.md: {source} has no test {test}"


def parity_rows() -> Iterator[str]:
    """No row of docs/parity.md has an empty field, and each names a test."""
    for line in text("docs/parity.md").splitlines():
        if row := re.match(r"\| ([A-Z])\d+ \|", line):
            fields = [field.strip() for field in line.strip("| ").split(" | ")]
            if len(fields) != (3 if row[1] == "W" else 5) or not all(fields):
                yield f"docs/parity.md: row {fields[0]} has {len(fields)} fields or an empty one"
            elif "::" not in fields[-1]:
                yield f"docs/parity.md: row {fields[0]} names no test"


def limits_named() -> Iterator[str]:
    """A limit that a document names in capitals exists."""
    known = set(re.findall(r"pub const (\w+):", text("src/config/limits.rs")))
    for path in files("docs/*.md"):
        for name in re.findall(r"`limits::(\w+)`", path.read_text()):
            if name not in known:
                yield f"{name_of(path)}: limits.rs has no {name}"


def limits_told() -> Iterator[str]:
    """docs/protocol.md gives each limit as `NUMBER UNIT (`limits::NAME`)`, with the number of limits.rs."""
    units = {"ms": 1, "s": 1000, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, None: 1}
    code = dict(re.findall(r"pub const (\w+): \w+ = (.+);", text("src/config/limits.rs")))
    told = 0
    for number, unit, name in re.findall(r"(?:([\d,]+)(?: (ms|s|bytes|KiB|MiB))?\s\()?`limits::(\w+)`", text("docs/protocol.md")):
        value = re.fullmatch(r"(?:Duration::from_(secs|millis)\()?([\d_]+)(?: << (\d+))?\)?", code.get(name, ""))
        if value is None or not number:
            yield f"docs/protocol.md: no number is given with {name}, or limits.rs has none"
            continue
        there = int(value[2]) << int(value[3] or 0)
        if int(number.replace(",", "")) * units[unit or None] != there * (1000 if value[1] == "secs" else 1):
            yield f"docs/protocol.md: {name} is {code[name]}, not {number} {unit}"
        told += 1
    if told < 20:
        yield f"docs/protocol.md: only {told} limits were found to compare"


CHECKS = [readme_commands, included_code, links, dependencies, named_tests, parity_rows, limits_named, limits_told]


def main() -> int:
    wrong = 0
    for check in CHECKS:
        for problem in check():
            print(problem)
            wrong += 1
    print(f"documents: {len(CHECKS)} checks, {wrong} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
