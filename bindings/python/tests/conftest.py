"""Fixtures of the Python tests. Everything runs on the loopback interface alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# A shell that runs tests in the background has them ignore Ctrl-C, and so would the programs under test.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "bindings" / "python"
sys.path.insert(0, str(PACKAGE))
os.environ.setdefault("PYTHONASYNCIODEBUG", "1")
if not os.environ.get("SETOWIRE_LIBRARY"):
    pytest.exit("SETOWIRE_LIBRARY is not set: it is to name the built library", returncode=2)

#: Seconds after which something that should have happened counts as failed.
DEADLINE = 30.0


def local(**options: Any) -> dict[str, Any]:
    """Options of a swarm that is reachable on this machine only, with beacons on loopback."""
    return {"bind": "127.0.0.1:0", "lan_interfaces": loopback(), **options}


def quiet(**options: Any) -> dict[str, Any]:
    """The same without beacons: it meets those it connects to."""
    return {"bind": "127.0.0.1:0", "lan": False, **options}


def loopback() -> str:
    import socket

    names = [name for _, name in socket.if_nameindex()]
    return next(name for name in ("lo", "lo0") if name in names)


@pytest.fixture
def topic() -> bytes:
    """A topic of this test alone, so that tests at the same time do not meet."""
    return os.urandom(32)


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program text in a Python of its own, with the package on its path."""

    def run(source: str, *arguments: str, timeout: float = DEADLINE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-X", "faulthandler", "-W", "error", "-c", source, *arguments],
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


def child_environment(**more: str) -> dict[str, str]:
    """The environment of a program that uses the package from the source tree."""
    return {**os.environ, "PYTHONPATH": str(PACKAGE), **more}
