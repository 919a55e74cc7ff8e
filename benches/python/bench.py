"""`bench.py MEASURE CIPHER SECONDS`: two processes on loopback, through the Python package.

This process takes what the other one sends, or asks and the other one answers.
Each runs an asyncio `Swarm`, as a program would. Prints one JSON object of numbers.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import setowire

MESSAGE = 100
WRITE = 64 << 10
#: Asked for in one read.
READ = 256 << 10
ECHO = 32
#: Seconds of traffic before the window begins; as in ../src/lib.rs.
WARM_UP = 0.3
#: Messages written before the loop has its turn.
BATCH = 64

Numbers = dict[str, float]


def make_swarm(cipher: str) -> setowire.Swarm:
    return setowire.Swarm(bind="127.0.0.1:0", lan=False, cipher=cipher)


async def join(swarm: setowire.Swarm) -> None:
    await swarm.join(b"the topic of the benches".ljust(32, b"\0"))


# -- the other process ---------------------------------------------------


async def send_messages(swarm: setowire.Swarm, address: str) -> None:
    peer = await swarm.connect(address)
    room = asyncio.Event()
    swarm.on("writable", lambda _: room.set())
    data = bytes(MESSAGE)
    while True:
        for _ in range(BATCH):
            if not peer.write(data):
                room.clear()
                await room.wait()
                break
        await asyncio.sleep(0)


async def answer(swarm: setowire.Swarm, address: str) -> None:
    swarm.on("data", lambda data, peer: peer.write(data))  # before the first question can come
    await swarm.connect(address)
    await asyncio.Event().wait()


async def send_bulk(swarm: setowire.Swarm, address: str) -> None:
    peer = await swarm.connect(address)
    stream, data = await peer.open_stream(), bytes(WRITE)
    while True:
        stream.write(data)
        await stream.drain()


OTHERS: dict[str, Callable[[setowire.Swarm, str], Awaitable[None]]] = {
    "messages": send_messages,
    "echo": answer,
    "bulk1": send_bulk,
}


async def other(measure: str, cipher: str, address: str) -> None:
    async with make_swarm(cipher) as swarm:
        await join(swarm)
        await OTHERS[measure](swarm, address)


# -- this process ----------------------------------------------------------


class Window:
    """What a counter does in a while, and the processor time of both processes."""

    def __init__(self, child: int) -> None:
        self._child = child
        self.count = 0

    def _processor(self) -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        with open(f"/proc/{self._child}/stat") as file:
            ticks = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
        return usage.ru_utime + usage.ru_stime + ticks / os.sysconf("SC_CLK_TCK")

    async def watch(self, seconds: float) -> tuple[float, float]:
        """The count per second, and processor seconds per count."""
        await asyncio.sleep(WARM_UP)
        count, begin, processor = self.count, time.perf_counter(), self._processor()
        await asyncio.sleep(seconds)
        counted = self.count - count
        return counted / (time.perf_counter() - begin), (self._processor() - processor) / max(counted, 1)


async def messages(swarm: setowire.Swarm, peer: setowire.Peer, child: int, seconds: float) -> Numbers:
    window = Window(child)

    def on_data(data: bytes, peer: setowire.Peer) -> None:
        window.count += 1

    swarm.on("data", on_data)
    rate, processor = await window.watch(seconds)
    return {"per_s": rate, "cpu_us": processor * 1e6}


async def echo(swarm: setowire.Swarm, peer: setowire.Peer, child: int, seconds: float) -> Numbers:
    answered = asyncio.Event()
    peer.on("data", lambda data: answered.set())
    data, times, begin = bytes(ECHO), list[float](), time.perf_counter()
    while time.perf_counter() - begin < seconds:
        answered.clear()
        sent = time.perf_counter()
        peer.write(data)
        await answered.wait()
        times.append((time.perf_counter() - sent) * 1e6)
    times.sort()
    return {"p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100]}


async def bulk(swarm: setowire.Swarm, peer: setowire.Peer, child: int, seconds: float) -> Numbers:
    window = Window(child)
    stream = await peer.accept_stream()

    async def read() -> None:
        while data := await stream.read(READ):
            window.count += len(data)

    reading = asyncio.create_task(read())
    rate, processor = await window.watch(seconds)
    reading.cancel()
    stream.reset()
    stream.stop_receiving()
    return {"mb_per_s": rate / 1e6, "cpu_s_per_gb": processor * 1e9}


MEASURES = {"messages": messages, "echo": echo, "bulk1": bulk}


async def main(measure: str, cipher: str, seconds: float) -> Numbers:
    async with make_swarm(cipher) as swarm:
        met: asyncio.Future[setowire.Peer] = asyncio.get_running_loop().create_future()
        swarm.once("connection", met.set_result)
        await join(swarm)
        command = [sys.executable, __file__, "--other", measure, cipher, f"127.0.0.1:{swarm.port}"]
        child = subprocess.Popen(command)
        try:
            return await MEASURES[measure](swarm, await met, child.pid, seconds)
        finally:
            child.kill()
            child.wait()


if __name__ == "__main__":
    if sys.argv[1] == "--other":
        asyncio.run(other(*sys.argv[2:5]))
    else:
        print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))))
