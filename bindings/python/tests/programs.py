"""Programs under test: started, told, waited for, ended."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from conftest import DEADLINE, child_environment


class Program:
    """A child process whose output is read line by line as it comes."""

    def __init__(self, command: list[str], folder: Path, **environment: str) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self.errors = open(folder / f"stderr-{id(self)}.txt", "w+")
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self.errors, text=True, cwd=folder, env=child_environment(**environment)
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @staticmethod
    def python(script: Path, *arguments: str, folder: Path) -> Program:
        return Program([sys.executable, "-W", "error", str(script), *arguments], folder)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def until(self, wanted: Callable[[str], Any], what: str) -> Any:
        """The first line for which `wanted` gives something, and what it gives."""
        with self._changed:
            found: list[Any] = []

            def there() -> bool:
                found[:] = [value for line in self.lines if (value := wanted(line))]
                return bool(found) or self._ended

            assert self._changed.wait_for(there, DEADLINE) and found, f"no {what}\n{self.report()}"
            return found[0]

    def line(self, part: str) -> str:
        return str(self.until(lambda line: line if part in line else None, f"line with {part!r}"))

    def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """The first JSON event with these fields."""

        def wanted(line: str) -> dict[str, Any] | None:
            event: dict[str, Any] = json.loads(line)
            return event if {"ev": name, **fields}.items() <= event.items() else None

        got: dict[str, Any] = self.until(wanted, f"event {name} {fields}")
        return got

    def ask(self, cmd: str, answer: str, **fields: Any) -> dict[str, Any]:
        """A command to a driver, and its answer."""
        request = len(self.lines) * 1000 + id(fields) % 1000
        self.tell(json.dumps({"cmd": cmd, "req": request, **fields}))
        return self.event(answer, req=request)

    def end(self) -> int:
        """Closes its input and waits for its end."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def report(self) -> str:
        self.errors.seek(0)
        return "\n".join([*self.lines[-30:], "stderr:", self.errors.read()[-4000:]])

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE)
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            try:
                if pipe is not None:
                    pipe.close()
            except BrokenPipeError:
                pass
