"""A wall clock that a test sets while the proxy runs, as an administrator or NTP does. What is timed without a date goes on as it does."""

import mmap
import os
import shutil
import struct
from pathlib import Path

import pytest

from . import programs

DAY = 86_400  # seconds
# Certificates that are valid whenever it is: a clock that is wrong makes others expire, and that is right.
LASTING = (-20_000, 20_000)

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long none;
static volatile long long* ahead = &none;

__attribute__((constructor)) static void open_clock(void) {
    int fd = open(getenv("CLOCK_AHEAD"), O_RDONLY | O_CLOEXEC);
    void* map = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
    if (fd < 0 || map == MAP_FAILED) _exit(99);
    close(fd);
    ahead = map;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
    const int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead;
    return result;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t* out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"""


class Clock:
    """The wall clock of every process that is started with `environment`."""

    def __init__(self, directory: Path, *, ahead: int = 0):
        compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "g++", "clang"))), None)
        if not compiler:
            pytest.skip("no compiler")
        source, library, said = directory / "clock.c", directory / "clock.so", directory / "clock.ahead"
        source.write_text(SOURCE)
        programs.run([compiler, "-x", "c", "-std=gnu11", "-shared", "-fPIC", "-o", library, source])
        said.write_bytes(struct.pack("q", ahead))
        with open(said, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(said), "ASAN_OPTIONS": sanitizer.lstrip(":")}

    def set(self, ahead: float) -> None:
        """By how many seconds it is ahead of the real one from now on."""
        self._map[:] = struct.pack("q", int(ahead))
