"""How processes end, fork, and give everything back."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import setowire
from conftest import DEADLINE, child_environment, quiet
from setowire import sync
from waiting import asyncio_test

Run = Callable[..., "subprocess.CompletedProcess[str]"]

#: Two swarms that write to each other as fast as they can, before what a test adds.
TRAFFIC = """
import asyncio, os, signal, sys, threading, time, warnings
import setowire
from setowire import sync
warnings.simplefilter("ignore", ResourceWarning)
options = {"bind": "127.0.0.1:0", "lan": False}

async def traffic():
    global one, other
    one, other = setowire.Swarm(options), setowire.Swarm(options)
    there = await one.connect(f"127.0.0.1:{other.port}")
    got = 0
    def more(data, peer):
        nonlocal got
        got += 1
        peer.write(data), peer.write(data)
    one.on("data", more), other.on("data", more)
    for _ in range(50):
        there.write(bytes(1000))
    while got < 500:
        await asyncio.sleep(0)
"""

ENDS = {
    "main returns": ("asyncio.run(traffic())", 0, ""),
    "exception": ("async def main():\n    await traffic()\n    raise KeyError('mine')\nasyncio.run(main())", 1, "KeyError: 'mine'"),
    "sys.exit": ("async def main():\n    await traffic()\n    sys.exit(3)\nasyncio.run(main())", 3, ""),
    "os._exit": ("async def main():\n    await traffic()\n    os._exit(4)\nasyncio.run(main())", 4, ""),
    "Ctrl-C": (
        "async def main():\n    await traffic()\n    os.kill(os.getpid(), signal.SIGINT)\n    await asyncio.Event().wait()\nasyncio.run(main())",
        -signal.SIGINT,
        "KeyboardInterrupt",
    ),
    "SIGTERM": (
        "async def main():\n    await traffic()\n    os.kill(os.getpid(), signal.SIGTERM)\n    await asyncio.Event().wait()\nasyncio.run(main())",
        -signal.SIGTERM,
        "",
    ),
    "a thread that waits": (
        "asyncio.run(traffic())\n"
        "swarm = sync.Swarm(options)\n"
        "threading.Thread(target=lambda: [None for _ in swarm], daemon=True).start()",
        0,
        "",
    ),
    "a thread that sends": (
        "first, second = sync.Swarm(options), sync.Swarm(options)\n"
        "peer = first.connect(f'127.0.0.1:{second.port}')\n"
        "def send():\n    while True: peer.write(bytes(100))\n"
        "threading.Thread(target=send, daemon=True).start()\n"
        "while not isinstance(second.poll(None), setowire.events.Message): pass",
        0,
        "",
    ),
    "unused swarms": ("swarms = [sync.Swarm(options) for _ in range(20)]", 0, ""),
    "a loop that was closed": ("loop = asyncio.new_event_loop()\nloop.run_until_complete(traffic())\nloop.close()", 0, ""),
    "a reference cycle": ("one = sync.Swarm(options)\none.itself = one\ndel one", 0, ""),
}


@pytest.mark.parametrize("end", ENDS)
def test_ends_under_traffic(run_python: Run, end: str) -> None:
    program, code, said = ENDS[end]
    result = run_python(TRAFFIC + "\n" + program)
    assert result.returncode == code, result.stderr
    assert said in result.stderr
    for sign in ("Fatal Python error", "panicked", "Segmentation", "unraisable", "Exception ignored"):
        assert sign not in result.stderr, result.stderr


def test_twenty_connected_swarms_end_together(run_python: Run) -> None:
    program = """
import setowire.sync
options = {"bind": "127.0.0.1:0", "lan": False}
swarms = [setowire.sync.Swarm(options) for _ in range(20)]
for swarm in swarms[1:]:
    swarms[0].connect(f"127.0.0.1:{swarm.port}")
"""
    result = run_python(program)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_fork(run_python: Run) -> None:
    program = """
import asyncio, gc, os, sys
import setowire
from setowire import sync
options = {"bind": "127.0.0.1:0", "lan": False}

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as failure:
            print("in the child:", repr(failure), file=sys.stderr)
            os._exit(1)
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

one, other = sync.Swarm(options), sync.Swarm(options)
peer = one.connect(f"127.0.0.1:{other.port}")
while one.poll(): pass

def refused():
    for call in (one.stats, peer.stats, lambda: one.broadcast(b"x"), lambda: one.join(bytes(32)), lambda: peer.send(b"x"),
                 lambda: one.connect("127.0.0.1:1"), one.poll, one.destroy):
        try:
            call()
        except setowire.ForkedError as error:
            assert "parent process" in str(error) and error.name == "FORKED"
        else:
            raise AssertionError("it was not refused")
    with sync.Swarm(options) as fresh:
        assert fresh.port

def collected():
    global one, other, peer
    del one, other, peer
    gc.collect()

assert in_child(refused) == 0
assert in_child(collected) == 0
peer.send(b"still here")
while not isinstance(event := other.poll(None), setowire.events.Message): pass
assert event.data == b"still here"
one.destroy(), other.destroy()

async def main():
    swarm = setowire.Swarm(options)
    assert in_child(lambda: check(swarm)) == 0
    await swarm.destroy()

def check(swarm):
    try:
        swarm.broadcast(b"x")
    except setowire.ForkedError:
        return
    raise AssertionError("it was not refused")

asyncio.run(main())
print("done")
"""
    result = run_python(program)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


def held() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
def test_two_hundred_swarms_give_threads_and_descriptors_back() -> None:
    @asyncio_test
    async def some(count: int) -> None:
        for _ in range(count // 2):
            async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
                await one.connect(f"127.0.0.1:{other.port}")

    some(4)
    gc.collect()
    before = held()
    some(200)
    for _ in range(50):
        with sync.Swarm(quiet()) as swarm:
            swarm.poll(0)
    gc.collect()
    assert held() == before
    assert [thread.name for thread in threading.enumerate()].count("setowire events") == 0


def test_ctrl_c_ends_a_wait(tmp_path: Path) -> None:
    program = "import setowire.sync as s\nwith s.Swarm(bind='127.0.0.1:0', lan=False) as one:\n    print('waiting', flush=True)\n    one.poll(None)"
    command = [sys.executable, "-W", "error", "-c", program]
    child = subprocess.Popen(command, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=DEADLINE)
    assert child.returncode == -signal.SIGINT and "KeyboardInterrupt" in said, said


def test_asyncio_swarms_in_several_threads() -> None:
    """Each thread has its own loop and its own swarms."""
    failures: list[BaseException] = []

    async def main() -> None:
        async with setowire.Swarm(quiet()) as one, setowire.Swarm(quiet()) as other:
            peer = await one.connect(f"127.0.0.1:{other.port}")
            for number in range(50):
                await peer.send(b"%d" % number)
            messages = aiter(other)
            assert [(await anext(messages)).data for _ in range(50)] == [b"%d" % number for number in range(50)]

    def run() -> None:
        try:
            asyncio.run(asyncio.wait_for(main(), DEADLINE))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * DEADLINE)
    assert not failures
