"""The part of a client program that all Python drivers share: logins come in on standard input, answers go out (../README.md)."""

import gc
import json
import signal
import sys

TIMEOUT = 60  # seconds for one login


class NotSupported(Exception):
    """The driver cannot do what the login asks for."""

    def __str__(self):
        return f"not supported by the driver: {super().__str__()}"


def serve(driver: str, version: str, detail: str | None, login, sqlstate=lambda _error: None) -> None:
    """`login(request)` gives the query's result or raises; `sqlstate(error)` is the server's, where the driver tells it."""
    _print({"driver": driver, "version": version, "detail": detail})
    signal.signal(signal.SIGALRM, _expired)
    for line in sys.stdin:
        request = json.loads(line)
        _print({"id": request["id"], "ok": False, "sqlstate": None, "error": None, **_attempt(request, login, sqlstate)})


def _attempt(request: dict, login, sqlstate) -> dict:
    signal.alarm(TIMEOUT)
    try:
        result = login(request)
        expected = f"{request['user']}:42"
        return {"ok": True} if result == expected else {"error": f"the query gave {result!r} instead of {expected!r}"}
    except Exception as error:  # pylint: disable=broad-except
        return {"sqlstate": sqlstate(error), "error": f"{error}".strip() or type(error).__name__}
    finally:
        signal.alarm(0)
        gc.collect()  # closes the sockets of drivers that leave a failed connection lying in a reference cycle


def _expired(_signal, _frame):
    raise TimeoutError("timeout")


def _print(answer: dict) -> None:
    print(json.dumps(answer), flush=True)
