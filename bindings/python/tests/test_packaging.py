"""The package as pip installs it, and its types."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import PACKAGE, ROOT

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with the library that SETOWIRE_LIBRARY names, made without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(PACKAGE)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (made,) = folder.glob("*.whl")
    return made


def test_one_wheel_for_every_python_of_a_platform(wheel: Path) -> None:
    assert wheel.name.startswith("setowire-0.1.0-py3-none-") and not wheel.name.endswith("-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("setowire/_lib/") for name in names)
    assert "setowire/py.typed" in names
    assert not [name for name in names if name.startswith("tests")]
    modules = {path.name for path in (PACKAGE / "setowire").glob("*.py")}
    assert modules == {name.split("/")[1] for name in names if name.startswith("setowire/") and name.endswith(".py")}


def test_the_installed_package_works_by_itself(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(tmp_path), str(wheel)], check=True)
    program = (
        "import setowire, setowire._native as n\n"
        "with setowire.sync.Swarm(bind='127.0.0.1:0', lan=False) as swarm: assert swarm.port\n"
        "print(setowire.__file__, n._candidates()[0])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "SETOWIRE_LIBRARY"}
    environment["PYTHONPATH"] = str(tmp_path)
    run = [sys.executable, "-W", "error", "-c", program]
    out = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert all(path.startswith(str(tmp_path)) for path in out.split()), out


def test_types_are_complete() -> None:
    paths = ["bindings/python/setowire", "tests/interop/driver.py", *map(str, (ROOT / "examples").rglob("*.py"))]
    for path in paths:
        command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", path]
        run = subprocess.run(command, cwd=ROOT, env={**os.environ, "MYPYPATH": str(PACKAGE)}, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
