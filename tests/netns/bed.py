"""LANs of namespaces and the programs that run in them.

`Lan` makes a network with lan.sh and starts programs in its hosts; `Program` is a
peer behind JSON lines (tests/interop/README.md), ours or the old one. Programs
record each event with the time at which it arrived; a test waits for an event
with a deadline and never sleeps.
"""

from __future__ import annotations

import itertools
import json
import os
import string
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import capture

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INTEROP = HERE.parent / "interop"

Event = dict[str, Any]

# What a test waits for comes within this time, or never; the old peers' slowest habit is a beacon each 5 s.
PATIENCE = 20.0

_names = itertools.product(string.ascii_lowercase, repeat=2)


class Program:
    """A peer in a process of its own."""

    def __init__(self, name: str, argv: list[str], env: dict[str, str] | None = None) -> None:
        self.name = name
        self.events: list[tuple[float, Event]] = []
        self._changed = threading.Condition()
        self._ended = False
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env={**os.environ, **(env or {})}
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        #: What others call it: by its id of p2p-v12, and over a modern session by its key.
        self.id = ""
        self.key = ""
        #: What this one calls others, by program.
        self._called: dict[Program, str] = {}
        self._requests = itertools.count(1)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            with self._changed:
                self.events.append((time.monotonic(), event))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def tell(self, cmd: str, **fields: Any) -> float:
        """Sends a command and returns the time at which it was sent."""
        assert self._process.stdin is not None
        line = json.dumps({"cmd": cmd, **fields}) + "\n"
        sent = time.monotonic()
        self._process.stdin.write(line)
        self._process.stdin.flush()
        return sent

    def ask(self, cmd: str, answer: str, **fields: Any) -> Event:
        """Sends a command and waits for its answer."""
        req = next(self._requests)
        self.tell(cmd, req=req, **fields)
        _, event = self.wait(lambda e: e.get("req") == req, f"the answer to {cmd}")
        if event["ev"] != answer:
            raise AssertionError(f"{self.name}: {cmd} was answered by {event}\n{self.report()}")
        return event

    def start(self, **fields: Any) -> Event:
        ready = self.ask("start", "ready", **{"seed": None, "topic": None, "storage": False, **fields})
        self.id = ready["id"][:16]
        self.key = ready.get("key", "")[:16]
        return ready

    def _is(self, other: Program, event: Event) -> bool:
        return event["peer"] in (other.id, other.key)

    def find(self, wanted: Callable[[Event], bool]) -> list[tuple[float, Event]]:
        with self._changed:
            return [(at, event) for at, event in self.events if wanted(event)]

    def wait(self, wanted: Callable[[Event], bool], what: str, count: int = 1) -> tuple[float, Event]:
        """The `count`-th event that is wanted, when it is there."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                found = [(at, event) for at, event in self.events if wanted(event)]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "it ended" if self._ended else f"nothing within {PATIENCE:.0f} s"
                    raise AssertionError(f"{self.name}: no {what} ({len(found)} of {count}): {why}\n{self.report()}")
                self._changed.wait(left)

    def connection(self, other: Program) -> tuple[float, Event]:
        found = self.wait(lambda e: e["ev"] == "connection" and self._is(other, e), f"connection to {other.name}")
        self._called[other] = found[1]["peer"]
        return found

    def disconnect(self, other: Program) -> tuple[float, Event]:
        return self.wait(lambda e: e["ev"] == "disconnect" and self._is(other, e), f"disconnect of {other.name}")

    def write(self, other: Program, data: bytes) -> None:
        if not self.ask("write", "wrote", peer=self._called.get(other, other.id), hex=data.hex())["ok"]:
            raise AssertionError(f"{self.name}: {len(data)} bytes to {other.name} were refused\n{self.report()}")

    def got(self, data: bytes) -> Callable[[Event], bool]:
        return lambda e: e["ev"] == "data" and e["len"] == len(data) and e.get("hex") == data.hex()

    def receive(self, data: bytes, count: int = 1) -> Event:
        return self.wait(self.got(data), f"message of {len(data)} bytes", count)[1]

    def report(self) -> str:
        self._log.seek(0)
        short = [f"  {at:.3f} {json.dumps(event)[:200]}" for at, event in self.events[-30:]]
        return f"{self.name}: its last events\n" + "\n".join(short) + "\nits stderr\n" + self._log.read()[-4000:]

    def destroy(self) -> float:
        """Asks it to leave; returns the time at which it was asked."""
        return self.tell("destroy")

    def kill(self) -> None:
        """Ends it without a word."""
        self._process.kill()
        self._process.wait()

    def close(self) -> int:
        """Ends it, by force if it does not go, and returns its exit code."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._log.close()
        return self._process.returncode


class Capture:
    """What passes the switch port of a host between `with` and its end."""

    def __init__(self, lan: Lan, host: int) -> None:
        self._file = tempfile.NamedTemporaryFile()
        argv = ["ip", "netns", "exec", f"{lan.prefix}sw", sys.executable, str(HERE / "capture.py"), f"p{host}", self._file.name]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self.frames: list[bytes] = []

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        said, _ = self._process.communicate("")
        if kind is not None:
            return
        frames, dropped = map(int, said.split())
        self.frames = capture.read(Path(self._file.name))
        assert dropped == 0 and frames == len(self.frames), f"the capture lost frames: {said}"

    def holds(self, text: bytes) -> bool:
        return any(text in frame for frame in self.frames)


class Lan:
    """A closed network; everything in it ends with it."""

    def __init__(self, hosts: int, families: str = "46") -> None:
        self.prefix = "".join(next(_names))
        self._programs: list[Program] = []
        self.sh("up", str(hosts), families)

    def sh(self, command: str, *args: str) -> None:
        subprocess.run([str(HERE / "lan.sh"), command, self.prefix, *args], check=True)

    def ip(self, host: int, *args: str) -> None:
        subprocess.run(["ip", "-n", f"{self.prefix}{host}", *args], check=True)

    def ours(self, host: int, **env: str) -> Program:
        """Our peer in this host, not started yet."""
        env = {"PYTHONPATH": str(ROOT / "bindings" / "python"), **env}
        return self._run(f"ours in host {host}", host, [sys.executable, str(INTEROP / "driver.py")], env)

    def old(self, host: int) -> Program:
        """The published peer of the old network in this host, not started yet."""
        self.sh("multicast", str(host))
        return self._run(f"old peer in host {host}", host, [os.environ["SETOWIRE_OLD_PYTHON"], str(INTEROP / "peer_py.py")], {})

    def independent(self, host: int) -> Program:
        """The independent peer of setowire/13 in this host, not started yet."""
        argv = [os.environ["SETOWIRE_AIOQUIC_PYTHON"], str(INTEROP / "peer_aioquic.py")]
        return self._run(f"independent peer in host {host}", host, argv, {})

    def _run(self, name: str, host: int, argv: list[str], env: dict[str, str]) -> Program:
        program = Program(name, ["ip", "netns", "exec", f"{self.prefix}{host}", *argv], env)
        self._programs.append(program)
        return program

    def capture(self, host: int) -> Capture:
        return Capture(self, host)

    def __enter__(self) -> Lan:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        for program in self._programs:
            program.close()
        self.sh("down")
