"""Programs of the older packages, ported: at most five of their lines are different, and they work.

Beside each stands what its lines would be if only their syntax were translated:
a callback with several lines is a decorated function, and what awaits is inside
of `async def main`.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path

import pytest

from conftest import PACKAGE, ROOT, loopback
from programs import Program

EXAMPLES = ROOT / "examples" / "python"

#: The usage example of p2pswarm 0.1, which is that of Hyperswarm 3 and 4.
P2PSWARM = """
import asyncio
from p2pswarm import Hyperswarm
async def main():
swarm1 = Hyperswarm()
swarm2 = Hyperswarm()
@swarm1.on("connection")
def serve(conn, info):
# swarm1 will receive server connections
conn.write("this is a server connection")
conn.end()
@swarm2.on("connection")
def meet(conn, info):
conn.on("data", lambda data: print("client got message:", data.decode()))
topic = (b"hello world" * 3)[:32]  # A topic must be 32 bytes
discovery = swarm1.join(topic, server=True, client=False)
await discovery.flushed()  # Waits for the topic to be fully announced on the DHT
swarm2.join(topic, server=False, client=True)
await swarm2.flush()  # Waits for the swarm to connect to pending peers.
# After this point, both client and server should have connections
asyncio.run(main())
"""

#: That of Hyperswarm 2.
HYPERSWARM_2 = """
import asyncio
from hyperswarm import hyperswarm
import hashlib
async def main():
swarm = hyperswarm()
# look for peers listed under this topic
topic = hashlib.sha256(b"my-hyperswarm-topic").digest()
swarm.join(
topic,
lookup=True,  # find & connect to peers
announce=True,  # optional- announce self as a connection target
)
@swarm.on("connection")
def on_connection(socket, info):
print("new connection!", info)
# you can now use the socket as a stream, eg:
# socket.pipe(sys.stdout)
asyncio.run(main())
"""

#: The quick start of py-setowire 0.1, which is Python already.
QUICK_START = """
import asyncio
import hashlib
from setowire import Swarm
async def main():
swarm = Swarm()
topic = hashlib.sha256(b"my-topic").digest()
await swarm.join(topic, announce=True, lookup=True)
swarm.on("connection", lambda peer: peer.write(b"hello"))
swarm.on("data", lambda data, peer: print("got:", data))
await asyncio.sleep(3600)
asyncio.run(main())
"""

ORIGINALS = {"p2pswarm.py": P2PSWARM, "hyperswarm_v2.py": HYPERSWARM_2, "quickstart_old.py": QUICK_START}


def lines(program: str) -> list[str]:
    """Its lines of code and comment, without the docstring."""
    text = program.split('"""\n', 1)[1] if '"""' in program else program
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("name", ORIGINALS)
def test_at_most_five_lines_are_different(name: str) -> None:
    theirs, ours = lines(ORIGINALS[name]), lines((EXAMPLES / name).read_text())
    assert len(theirs) >= 10 and len(ours) >= 10
    changes = [op for op in difflib.SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes() if op[0] != "equal"]
    different = sum(max(end - begin, to - at) for _, begin, end, at, to in changes)
    assert different <= 5, [(theirs[begin:end], ours[at:to]) for _, begin, end, at, to in changes]


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    """Under "Coming from Hyperswarm"; its topic and options are those of this run."""
    blocks = re.findall(r"```text\n(.*?)```", (PACKAGE / "README.md").read_text(), flags=re.S)
    (program,) = [block for block in blocks if "Hyperswarm" in block]
    options = f'max_peers=32, lan_interfaces="{loopback()}"'
    local = program.replace("max_peers=32", options).replace("my topic", os.urandom(8).hex())
    script = tmp_path / "example.py"
    script.write_text(f"{local}\nasyncio.run(main())\n")
    with start(script, tmp_path) as one, start(script, tmp_path) as other:
        keys = [program.line("b'hello'").split()[0] for program in (one, other)]
        assert all(len(key) == 64 for key in keys) and keys[0] != keys[1]


def run(name: str, folder: Path) -> Program:
    return start(EXAMPLES / name, folder, loopback())


def start(script: Path, folder: Path, *arguments: str) -> Program:
    return Program([sys.executable, "-u", "-W", "error", str(script), *arguments], folder)


def test_p2pswarm(tmp_path: Path) -> None:
    with run("p2pswarm.py", tmp_path) as program:
        program.line("client got message: this is a server connection")


def test_hyperswarm_2(tmp_path: Path) -> None:
    with run("hyperswarm_v2.py", tmp_path) as one, run("hyperswarm_v2.py", tmp_path) as other:
        for program in (one, other):
            program.line("new connection! <ConnectionInfo")


def test_the_old_quick_start(tmp_path: Path) -> None:
    with run("quickstart_old.py", tmp_path) as one, run("quickstart_old.py", tmp_path) as other:
        for program in (one, other):
            program.line("got: b'hello'")
