"""The quick starts of the README: its programs are built as it says, run, and greet each other."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
LIBRARY = Path(os.environ.get("SETOWIRE_LIBRARY", ROOT / "target/release/libsetowire.so"))
PATIENCE = 20

Command = Callable[[Path], list[str]]


def blocks(title: str) -> list[str]:
    """The fenced blocks of a section of the README."""
    section = re.split(r"^## ", README.split(f"\n## {title}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    return re.findall(r"^```\w*\n(.*?)^```$", section, flags=re.M | re.S)


def in_python(folder: Path) -> list[str]:
    _, program = blocks("Python")
    (folder / "hello.py").write_text(program)
    return [sys.executable, str(folder / "hello.py"), "lo"]


def in_c(folder: Path) -> list[str]:
    program, build, _install = blocks("C")
    (folder / "hello.c").write_text(program)
    for name, target in (("include", ROOT / "include"), ("target/release", LIBRARY.parent)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(target)
    cargo, compiler = build.strip().splitlines()
    assert cargo == "cargo build --release", "what was done before the tests"
    subprocess.run(shlex.split(compiler), cwd=folder, check=True)
    return [str(folder / "hello"), "lo"]


@pytest.mark.parametrize("one, other", [(in_python, in_python), (in_c, in_c), (in_c, in_python)])
def test_they_greet_each_other(one: Command, other: Command, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings/python"), "SETOWIRE_LIBRARY": str(LIBRARY)}
    programs = []
    for name, command in (("one", one), ("other", other)):
        folder = tmp_path / name
        folder.mkdir()
        argv, pipe = command(folder), subprocess.PIPE
        programs.append(subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=environment))
    # One that says nothing is ended, and its output ends with it.
    timers = [threading.Timer(PATIENCE, program.kill) for program in programs]
    for timer in timers:
        timer.start()
    try:
        for program in programs:
            assert program.stdout is not None
            said = []
            for line in program.stdout:
                said.append(line)
                if line.endswith(" says hello\n"):
                    break
            else:
                pytest.fail(f"{program.args!r} only said {said}")
    finally:
        for timer, program in zip(timers, programs):
            timer.cancel()
            program.kill()
            program.communicate()
