"""Waiting for something to become true, instead of sleeping."""

import time

PATIENCE = 90  # seconds: what a machine with much else to do may take for anything that a test waits for


def until(condition, *, timeout=PATIENCE, interval=0.02, what="the condition"):
    """The first true value of `condition()`; an assertion when there is none in time."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {timeout} s"
        time.sleep(interval)
