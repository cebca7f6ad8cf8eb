"""What no log and no audit may hold: noted by whoever says it, looked for after every run of a proxy."""

import re

from .cluster import PASSWORDS, WRONG_PASSWORD

_told: set[str] = set()


def tell(secret: str) -> str:
    """Notes it and gives it back. Long ones only: a short one may be found by chance."""
    assert len(secret) >= 12, secret
    _told.add(secret)
    return secret


def tell_password(password: str | bytes) -> None:
    """Its longest part that looks the same in every encoding, if that is long enough."""
    data = password.encode() if isinstance(password, str) else password
    longest = max(re.findall(rb"[ -~]*", data), key=len).decode()
    if len(longest) >= 12:
        tell(longest)


def forget() -> None:
    """A new test begins."""
    _told.clear()


def found_in(text: str) -> list[str]:
    return [secret for secret in (*PASSWORDS.values(), WRONG_PASSWORD, *_told) if secret in text]
