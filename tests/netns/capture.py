"""Records every frame that passes one interface, with an AF_PACKET socket.

As a program (`capture.py INTERFACE FILE`, inside the namespace of the interface)
it says `ready`, records until stdin closes, then says how many frames it has and
how many the kernel dropped. As a module it reads such a file.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
from pathlib import Path

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
LENGTH = struct.Struct("<I")


def record(interface: str, path: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap, open(path, "wb") as out:
        try:
            tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        except PermissionError:  # in a user namespace; dropped frames are counted in any case
            tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        tap.bind((interface, 0))
        tap.setblocking(False)
        print("ready", flush=True)
        frames, stopping = 0, False
        while True:
            readable, _, _ = select.select([tap] if stopping else [tap, sys.stdin], [], [], 0 if stopping else None)
            if tap in readable:
                frame = tap.recv(1 << 18)
                out.write(LENGTH.pack(len(frame)) + frame)
                frames += 1
            elif stopping:
                break
            elif sys.stdin in readable:
                stopping = True
        _, dropped = struct.unpack("II", tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    print(f"{frames} {dropped}", flush=True)


def read(path: Path) -> list[bytes]:
    data, frames, at = path.read_bytes(), [], 0
    while at < len(data):
        (length,) = LENGTH.unpack_from(data, at)
        frames.append(data[at + LENGTH.size : at + LENGTH.size + length])
        at += LENGTH.size + length
    return frames


if __name__ == "__main__":
    record(sys.argv[1], sys.argv[2])
