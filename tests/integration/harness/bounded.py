"""A test that hangs is a test that fails: SIGALRM with all stacks, as there is no pytest-timeout in Debian 12."""

import faulthandler
import signal
import sys
from contextlib import contextmanager


@contextmanager
def bounded(seconds: int):
    def expired(_signal, _frame):
        faulthandler.dump_traceback(file=sys.__stderr__)
        raise AssertionError(f"still running after {seconds} s")

    previous = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
