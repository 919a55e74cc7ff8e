"""The quick starts of the README: each is run, and they greet each other."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LIBRARY = Path(os.environ.get("SETOWIRE_LIBRARY", ROOT / "target/release/libsetowire.so"))
PATIENCE = 20

Command = Callable[[Path], list[str]]


def in_python(folder: Path) -> list[str]:
    return [sys.executable, str(ROOT / "examples/python/hello.py"), "lo"]


def in_c(folder: Path) -> list[str]:
    program = folder / "hello"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT / 'include'}"]
    link = [f"-L{LIBRARY.parent}", "-lsetowire", f"-Wl,-rpath,{LIBRARY.parent}"]
    subprocess.run(["cc", *flags, str(ROOT / "examples/c/hello.c"), "-o", str(program), *link], check=True)
    return [str(program), "lo"]


@pytest.mark.parametrize("one, other", [(in_python, in_python), (in_c, in_c), (in_c, in_python)])
def test_they_greet_each_other(one: Command, other: Command, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings/python"), "SETOWIRE_LIBRARY": str(LIBRARY)}
    programs = [
        subprocess.Popen(command(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for command in (one, other)
    ]
    # One that says nothing is ended, and its output ends with it.
    for program in programs:
        timer = threading.Timer(PATIENCE, program.kill)
        timer.daemon = True
        timer.start()
    try:
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline().endswith(" says hello\n")
    finally:
        for program in programs:
            program.kill()
            program.communicate()
