"""The shared library: its types against the header, where it is looked for, what a wrong one says."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import setowire
from conftest import ROOT, child_environment
from setowire import _control, _handle, _native, _records, errors

HEADER = (ROOT / "include" / "setowire.h").read_text()
CODE = re.sub(r"/\*.*?\*/|//[^\n]*", "", HEADER, flags=re.S)

SCALARS: dict[str, Any] = {
    "bool": ctypes.c_bool,
    "uint8_t": ctypes.c_uint8,
    "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "int32_t": ctypes.c_int32,
    "size_t": ctypes.c_size_t,
    "intptr_t": ctypes.c_ssize_t,
}
STRUCTURES: dict[str, Any] = {
    "setowire_swarm_details": _native.SwarmDetails,
    "setowire_swarm_counters": _native.SwarmCounters,
    "setowire_swarm_state_details": _native.StateDetails,
    "setowire_topic_details": _native.TopicDetails,
    "setowire_peer_details": _native.PeerDetails,
}


def prototypes() -> dict[str, tuple[str, list[str]]]:
    """Functions of the header: result and parameters, without the parameters' names."""
    found = {}
    callbacks = re.findall(r"typedef void \(\*(\w+)\)", CODE)
    flat = re.sub(r"\s+", " ", re.sub(r"^\s*#.*$", "", CODE, flags=re.M))
    for result, name, parameters in re.findall(r"SETOWIRE_API ([\w ]+[ *]+)(setowire_\w+)\(((?:[^()]|\([^()]*\))*)\)", flat):
        types = []
        for parameter in re.split(r",(?![^(]*\))", parameters):
            parameter = parameter.strip()
            if "(*" in parameter or parameter.split()[0] in callbacks:
                types.append("void *")
            elif parameter != "void":
                types.append(re.sub(r"\w+$", "", parameter).strip())
        found[name] = (result.strip(), types)
    return found


def fits(c_type: str, python: Any) -> bool:
    """Whether this ctypes type may stand for that C type."""
    bare = re.sub(r"\b(const|struct)\b", "", c_type).replace(" ", "")
    if not bare.endswith("*"):
        return python is (None if bare == "void" else SCALARS[bare])
    target = bare[:-1]
    if target.endswith("*"):
        return python is ctypes.POINTER(ctypes.c_void_p)
    if target in STRUCTURES:
        return python is ctypes.POINTER(STRUCTURES[target])
    if target == "char":
        return python in (ctypes.c_char_p, ctypes.c_void_p)
    if target in SCALARS and target != "uint8_t":
        # A list that is only read may come as bytes.
        return python is ctypes.POINTER(SCALARS[target]) or ("const" in c_type and python is ctypes.c_void_p)
    return python is ctypes.c_void_p


def test_every_function_of_the_header_is_bound_with_its_types() -> None:
    header = prototypes()
    assert len(header) > 50, "the header was not understood"
    assert sorted(header) == sorted(_native.FUNCTIONS)
    for name, (result, parameters) in header.items():
        bound_result, bound = _native.FUNCTIONS[name]
        assert fits(result, bound_result), f"{name} returns {result}"
        assert len(parameters) == len(bound), name
        for position, (c_type, python) in enumerate(zip(parameters, bound)):
            assert fits(c_type, python), f"{name}, parameter {position + 1}: {c_type} is bound as {python}"


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_have_the_fields_of_the_header(name: str) -> None:
    body = re.search(rf"typedef struct {name} \{{(.*?)\}}", CODE, flags=re.S)
    assert body is not None
    fields = []
    for c_type, field, count in re.findall(r"(\w+) (\w+)(?:\[(\w+)\])?;", body[1]):
        size = ctypes.sizeof(SCALARS[c_type])
        if count and not count.isdigit():
            value = re.search(rf"#define {count} \(?(\d+)\)?", CODE)
            assert value is not None, count
            count = value[1]
        fields.append((field, size * int(count or 1)))
    structure = STRUCTURES[name]
    assert fields == [(field, ctypes.sizeof(kind)) for field, kind in structure._fields_]


def test_numbers_of_errors_and_events_are_those_of_the_header() -> None:
    numbers = {name: int(value, 0) for name, value in re.findall(r"#define SETOWIRE_(\w+) \(?(-?\w+)\)?$", CODE, flags=re.M) if re.fullmatch(r"-?\d+", value)}
    codes = {name[4:]: value for name, value in numbers.items() if name.startswith("ERR_")}
    assert codes == {name: number for number, (name, _) in errors.CODES.items()}
    kinds = {name[6:]: value for name, value in numbers.items() if name.startswith("EVENT_")}
    ours = {name: getattr(_records, name) for name in kinds}
    assert kinds == ours
    assert numbers["ABI_VERSION"] == _native.ABI_VERSION
    for name in ("MESSAGE_CLEAR", "MESSAGE_BROADCAST", "STREAM_RESET"):
        assert numbers[name] == getattr(_records, name)
    for name in ("END_NONE", "END_FINISHED", "END_RESET"):
        assert numbers[name] == getattr(_handle, name)
    assert (numbers["JOIN_CLIENT"], numbers["JOIN_SERVER"]) == (_control.CLIENT, _control.SERVER)


def test_names_of_errors_are_those_of_the_library() -> None:
    lib = _native.library()
    for number, (name, _) in errors.CODES.items():
        assert lib.setowire_error_name(number).decode().removeprefix("SETOWIRE_ERR_") == name


def test_the_versions_agree() -> None:
    assert setowire.library_version().split(".")[:2] == setowire.__version__.split(".")[:2]
    manifest = (ROOT / "bindings" / "python" / "pyproject.toml").read_text()
    assert f'version = "{setowire.__version__}"' in manifest


def load_with(tmp_path: Path, source: str | None, **environment: str) -> str:
    """What a Python says whose SETOWIRE_LIBRARY is a library made of this C source."""
    path = tmp_path / "library.so"
    if source is not None:
        subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", str(path), "-"], input=source, text=True, check=True)
    program = "import setowire\ntry: setowire.library_version()\nexcept setowire.LibraryError as error: print(error)"
    environment = {"SETOWIRE_LIBRARY": str(path), **environment}
    run = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(run, env=child_environment(**environment), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), "importing it, failing and ending is not clean"
    return done.stdout


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    said = load_with(tmp_path, None)
    assert "SETOWIRE_LIBRARY" in said and str(tmp_path) in said and "pip install" in said


def test_a_library_of_something_else(tmp_path: Path) -> None:
    assert "is not a setowire library" in load_with(tmp_path, "int other(void) { return 0; }")


def test_a_library_of_another_abi(tmp_path: Path) -> None:
    said = load_with(tmp_path, "unsigned setowire_abi_version(void) { return 77; }")
    assert "ABI version 77" in said and f"needs {_native.ABI_VERSION}" in said


def test_a_library_that_lacks_a_function(tmp_path: Path) -> None:
    source = f"unsigned setowire_abi_version(void) {{ return {_native.ABI_VERSION}; }}"
    assert "has no function setowire_config_new" in load_with(tmp_path, source)


def test_the_environment_wins_over_the_package_and_that_over_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "__file__", str(tmp_path / "_native.py"))
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: "system.so")
    monkeypatch.delenv("SETOWIRE_LIBRARY")
    file_name = _native._file_name()
    assert _native._candidates() == ["system.so", file_name]
    (tmp_path / "_lib").mkdir()
    bundled = tmp_path / "_lib" / file_name
    bundled.touch()
    assert _native._candidates() == [str(bundled), "system.so", file_name]
    monkeypatch.setenv("SETOWIRE_LIBRARY", "named.so")
    assert _native._candidates() == ["named.so"]


@pytest.mark.parametrize(
    "options, what",
    [
        ({"seed": b"short"}, "seed: 5 bytes"),
        ({"seed": "zz" * 32}, "seed"),
        ({"max_peers": 0}, "max_peers"),
        ({"bind": "nowhere"}, "bind"),
        ({"bind": ["127.0.0.1:0", "127.0.0.1:1"]}, "same family"),
        ({"seeds": ["no port"]}, "seeds"),
        ({"peer_cache": [{"ip": 5}]}, "peer_cache|peers"),
        ({"lan_interfaces": "a\0b"}, "NUL"),
        ({"send_buffer": 1}, "send_buffer"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_bad_options_are_named(options: dict[str, Any], what: str) -> None:
    with pytest.raises(setowire.InvalidArgumentError, match=what) as raised:
        setowire.sync.Swarm(options)
    assert isinstance(raised.value, ValueError)
    assert (raised.value.code, raised.value.name) == (-1, "INVALID")


def test_exceptions_survive_pickling() -> None:
    import pickle

    for code in errors.CODES:
        error = errors.error(code, "what was wrong")
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error) and str(copy) == str(error)
        assert (copy.code, copy.name, copy.detail) == (error.code, error.name, error.detail)
    assert errors.error(-999, "").name == "ERROR -999"
