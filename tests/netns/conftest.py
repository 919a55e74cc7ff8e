"""Options of the namespace tests, and the figures they measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

figures: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--runs", type=int, default=2, help="meetings per kind of network (default 2)")


@pytest.fixture
def runs(request: pytest.FixtureRequest) -> int:
    count: int = request.config.getoption("--runs")
    return count


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> "Figure":
    return Figure(request.node.name)


class Figure:
    """Takes measured values; they are printed at the end and never decide a test."""

    def __init__(self, test: str) -> None:
        self._test = test

    def __call__(self, text: str) -> None:
        figures.append(f"{self._test}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if figures:
        terminalreporter.section("measured")
        for line in figures:
            terminalreporter.line(line)
