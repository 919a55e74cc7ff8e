"""Makes the NAT of this namespace forget its mappings: flushes the kernel's table of connections.

A message of ctnetlink (IPCTNL_MSG_CT_DELETE without a filter), so that no tool is needed for it.
"""

from __future__ import annotations

import socket
import struct

NETLINK_NETFILTER = 12
DELETE_CONNECTION = (1 << 8) | 2
REQUEST_AND_ACK = 0x1 | 0x4


def forget() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.bind((0, 0))
        netlink.send(struct.pack("=IHHIIBBH", 20, DELETE_CONNECTION, REQUEST_AND_ACK, 1, 0, 0, 0, 0))
        (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
    if error:
        raise OSError(-error, "the kernel did not flush its table of connections")


if __name__ == "__main__":
    forget()
