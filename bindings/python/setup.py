"""Puts the shared library into the package when it is built.

The library named by SETOWIRE_LIBRARY is taken as it is. Else, in a checkout of
the repository, cargo builds it. Without either the package is built without it
and will look for an installed library when it is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


def library_name() -> str:
    return {"win32": "setowire.dll", "darwin": "libsetowire.dylib"}.get(sys.platform, "libsetowire.so")


def find_library() -> Path | None:
    named = os.environ.get("SETOWIRE_LIBRARY")
    if named:
        if not Path(named).is_file():
            sys.exit(f"SETOWIRE_LIBRARY names {named}, which is not there")
        return Path(named)
    manifest = REPOSITORY / "Cargo.toml"
    if not manifest.is_file():
        return None
    built = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / library_name()
    if shutil.which("cargo"):
        subprocess.run(
            ["cargo", "build", "--release", "--locked", "--lib", "--manifest-path", str(manifest)],
            cwd=REPOSITORY,
            check=True,
        )
    elif not built.is_file():
        sys.exit("the setowire library has to be built and cargo is missing; install Rust from https://rustup.rs")
    return built


class BuildWithLibrary(build_py):
    def run(self) -> None:
        library = find_library()
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / "setowire", ignore_errors=True)  # of an earlier build
        super().run()
        if library is None:
            print("setowire is built without its shared library; it will look for an installed one", file=sys.stderr)
            return
        base = HERE if self.editable_mode else Path(self.build_lib)
        folder = base / "setowire" / "_lib"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, folder / library_name())


class PlatformWheel(bdist_wheel):
    """One wheel a platform for every Python: nothing in it is compiled against Python."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class PlatformDistribution(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel}, distclass=PlatformDistribution)
