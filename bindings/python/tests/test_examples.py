"""The example programs, and the example of the README, run as they are."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import DEADLINE, PACKAGE, ROOT, child_environment, loopback
from programs import Program

EXAMPLES = ROOT / "examples"


def chat(folder: Path, nick: str, room: str) -> Program:
    home = folder / nick
    home.mkdir()
    return Program.python(EXAMPLES / "python" / "chat.py", nick, room, "--interfaces", loopback(), folder=home)


def converse(one: Program, other: Program) -> None:
    """`anna` and `bert` have a talk; both programs print the same lines."""
    one.line("bert joined")
    other.line("anna joined")
    one.tell("how are you?")
    other.line("anna: how are you?")
    other.tell("fine \x1b[31m")
    one.line("bert: fine")
    one.tell("/peers")
    one.line("1 connected")
    assert "nick=bert" in one.line("nick=")
    one.tell("/nat")
    one.line("nat=")
    other.tell("/quit")
    one.line("bert left")
    assert other.end() == 0
    one.tell("/quit")
    assert one.end() == 0


def test_two_chats(tmp_path: Path) -> None:
    room = os.urandom(8).hex()
    with chat(tmp_path, "anna", room) as one, chat(tmp_path, "bert", room) as other:
        converse(one, other)
        assert "\x1b" not in "".join(one.lines), "a peer can control the terminal"
    identity = tmp_path / "anna" / "identity.json"
    assert len(json.loads(identity.read_text())["seed"]) == 64
    assert stat.S_IMODE(identity.stat().st_mode) == 0o600


def test_chat_keeps_its_identity(tmp_path: Path) -> None:
    for _ in range(2):
        with Program.python(EXAMPLES / "python" / "chat.py", "anna", "--interfaces", loopback(), folder=tmp_path) as one:
            one.line("anna in general")
            assert one.end() == 0
    assert len(list(tmp_path.glob("identity*"))) == 1


def test_chat_with_the_one_in_c(tmp_path: Path) -> None:
    library = Path(os.environ["SETOWIRE_LIBRARY"]).resolve()
    program = tmp_path / "chat"
    sources = [str(EXAMPLES / "c" / name) for name in ("chat.c", "json.c", "sha256.c")]
    subprocess.run(["cc", "-pthread", f"-I{ROOT / 'include'}", *sources, str(library), "-o", str(program)], check=True)
    room = os.urandom(8).hex()
    command = [str(program), "bert", room, "--interfaces", loopback()]
    with chat(tmp_path, "anna", room) as one, Program(command, tmp_path, LD_LIBRARY_PATH=str(library_folder(tmp_path))) as other:
        converse(one, other)


def library_folder(folder: Path) -> Path:
    """A folder with the library under the name that programs linked to it ask for."""
    library = Path(os.environ["SETOWIRE_LIBRARY"]).resolve()
    (folder / "libsetowire.so.0.1").symlink_to(library)
    return folder


def drop(folder: Path, *arguments: str) -> Program:
    return Program.python(EXAMPLES / "python" / "filedrop.py", "--interfaces", loopback(), *arguments, folder=folder)


def test_a_file_is_dropped(tmp_path: Path) -> None:
    data = os.urandom(5_000_000)
    (tmp_path / "a file.bin").write_bytes(data)
    there = tmp_path / "there"
    there.mkdir()
    with drop(tmp_path, "send", "a file.bin") as sender:
        code = sender.line("on the other machine").split()[-1]
        with drop(tmp_path, "receive", os.urandom(32).hex(), "there") as stranger:
            stranger.line("looking")
            with drop(tmp_path, "receive", code, "there") as receiver:
                receiver.line("received there/a file.bin")
                sender.line("sent a file.bin")
                assert (sender.end(), receiver.end()) == (0, 0), receiver.report()
            assert len(stranger.lines) == 1
    assert [path.name for path in there.iterdir()] == ["a file.bin"]
    assert (there / "a file.bin").read_bytes() == data


def test_a_dropped_file_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"new")
    there = tmp_path / "there"
    there.mkdir()
    (there / "file").write_bytes(b"old")
    with drop(tmp_path, "send", "file") as sender:
        with drop(tmp_path, "receive", sender.line("on the other machine").split()[-1], "there") as receiver:
            assert receiver.end() == 1 and "File exists" in receiver.report()
        assert sender.end() == 1
    assert [path.read_bytes() for path in there.iterdir()] == [b"old"]


@pytest.mark.parametrize("header", [b"", b"[]", b"{}", b'{"name":"..","size":1}', b'{"name":"a\\u0007","size":1}'])
def test_a_header_that_is_none_is_refused(header: bytes) -> None:
    spec = importlib.util.spec_from_file_location("filedrop", EXAMPLES / "python" / "filedrop.py")
    assert spec is not None and spec.loader is not None
    filedrop = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(filedrop)
    with pytest.raises(filedrop.Failed):
        filedrop.parse_header(header)
    assert filedrop.parse_header(b'{"name":"../../a/b.txt","size":"7"}') == ("b.txt", 7)


def test_the_demo() -> None:
    """Twice at the same time: the runs do not mix."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / "demo" / "demo.py")]
    pipe = subprocess.PIPE
    quiet = child_environment(PYTHONASYNCIODEBUG="")  # which would tell of every slow moment of this machine
    runs = [subprocess.Popen(command, env=quiet, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    outputs = [run.communicate(timeout=4 * DEADLINE) for run in runs]
    for run, (shown, said) in zip(runs, outputs):
        assert (run.returncode, said) == (0, ""), shown + said
        row = r"^ +(\w+) - (\w+) +lan, heard by (\1|\2|both) +\d+ ms   setowire/13 \(tls1\.3\) +\d+\.\d\d ms$"
        pairs = {frozenset(match[:2]) for match in re.findall(row, shown, flags=re.M)}
        assert len(pairs) == 10, shown
        for part in ("everybody has met", "each has greeted each", "4 of 4 received it", "eve has left", "done"):
            assert part in shown


def test_the_demo_says_what_did_not_happen(tmp_path: Path) -> None:
    """One that cannot be met: the others wait for it, then the reason and exit code 1."""
    source = (EXAMPLES / "demo" / "demo.py").read_text()
    hidden = source.replace("await swarm.join(topic)", "await swarm.join(topic if name != 'eve' else bytes(32))")
    short = hidden.replace("PATIENCE = 20.0", "PATIENCE = 3.0")
    assert hidden != source and short != hidden
    copy = tmp_path / "demo.py"
    copy.write_text(short)
    run = subprocess.run([sys.executable, str(copy)], env=child_environment(), capture_output=True, text=True, timeout=4 * DEADLINE)
    assert run.returncode == 1
    assert "FAILED: did not meet within 3 s" in run.stderr and "ada > eve" in run.stderr


@pytest.mark.parametrize("which", ["asyncio", "sync"])
def test_the_examples_of_the_readme(tmp_path: Path, which: str) -> None:
    for_asyncio, for_sync, *_ = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), flags=re.S)
    block = for_asyncio if which == "asyncio" else for_sync
    assert len([line for line in block.splitlines() if line.strip()]) <= 22
    local = block.replace("Swarm()", f'Swarm(lan_interfaces="{loopback()}", bind="127.0.0.1:0")')
    # A topic of this run and unbuffered output; nothing else is changed.
    local = local.replace("my topic", os.urandom(8).hex()).replace("print(", "print(flush=True, *(").replace('}")', '}",))')
    script = tmp_path / "example.py"
    script.write_text(local)
    with Program.python(script, folder=tmp_path) as one, Program.python(script, folder=tmp_path) as other:
        for program in (one, other):
            program.line("met ")
            program.line("says hello")
            program.line("says goodbye")
