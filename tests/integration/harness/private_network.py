"""A network of its own, in which this host has an address beside loopback: no firewall and no other program is in the way."""

import ctypes
import fcntl
import os
import socket
import struct
from contextlib import contextmanager

import pytest

CLONE_NEWNET = 0x40000000
ADDRESS = "192.0.2.1"  # TEST-NET-1 (RFC 5737)


@contextmanager
def private_network(*more: str):
    """Sockets and processes that are made within stay within. `more`: further addresses of this host there. Needs root."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(before)
        pytest.skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
    try:
        _bring_up("lo", "127.0.0.1")
        for index, address in enumerate((ADDRESS, *more), start=1):
            _bring_up(f"lo:{index}", address)
        yield ADDRESS
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)


def _bring_up(interface: str, address: str) -> None:
    """netdevice(7)."""
    SIOCSIFADDR, SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8916, 0x8914, 0x1, 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        name = struct.pack("16s", interface.encode())
        fcntl.ioctl(sock, SIOCSIFADDR, name + struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address)))
        fcntl.ioctl(sock, SIOCSIFFLAGS, name + struct.pack("=h14x", IFF_UP | IFF_RUNNING))
