"""What must happen when a driver logs in: at the server itself, and through pgairlock in each mode of [auth]."""

from dataclasses import dataclass

from rows import Driver, Version


@dataclass(frozen=True)
class Leg:
    name: str
    sslmode: str
    sslnegotiation: str = "postgres"
    hosts: tuple[str, ...] = ("127.0.0.1",)

    @property
    def tls(self) -> bool:
        return self.sslmode != "disable"

    @property
    def negotiation(self) -> str:
        """As the audit calls it."""
        return "direct" if self.sslnegotiation == "direct" else "sslrequest" if self.tls else "plain"


LEGS = (Leg("plain", "disable"), Leg("require", "require"), Leg("verify-full", "verify-full", hosts=("localhost", "127.0.0.1")),
        Leg("direct", "require", "direct"))

# What the server asks for: the user whom pg_hba.conf sends there (harness/cluster.py).
METHODS = {"scram": "scram_user", "md5": "md5_user", "password": "password_user", "trust": "trust_user", "cert": "cert_user"}
WITH_PASSWORD = ("scram", "md5", "password")
AUDITED = {"scram": "scram-sha-256", "md5": "md5", "password": "password", "trust": "cert/trust", "cert": "cert/trust"}

MODES = ("auto", "terminate", "bridge", "passthrough")  # only SCRAM knows a difference between them


@dataclass(frozen=True)
class Setup:
    """A driver of one version with one setting of channel_binding."""

    driver: Driver
    version: Version
    setting: str | None

    @property
    def knows_scram(self) -> bool:
        return self.version >= self.driver.scram_from

    @property
    def binds(self) -> bool:
        """It takes SCRAM-SHA-256-PLUS over TLS where that is offered."""
        if self.version < self.driver.binds_from:
            return False
        return self.setting in ("prefer", "require") or self.setting is None and self.driver.binds_by_default

    @property
    def insists(self) -> bool:
        return self.setting == "require"

    def has(self, leg: Leg) -> bool:
        if leg.sslnegotiation == "direct":
            return self.version >= self.driver.direct_from
        return leg.sslmode != "verify-full" or self.version >= self.driver.verifies_from

    def hosts(self, leg: Leg) -> tuple[str, ...]:
        return leg.hosts if self.driver.verifies_addresses else leg.hosts[:1]

    def flag(self, leg: Leg, plus_offered: bool) -> str | None:
        """The gs2 flag (RFC 5802, section 7)."""
        if not self.knows_scram:
            return None
        if not self.binds or not leg.tls and not self.driver.says_y_in_clear:
            return "n"
        return "p" if plus_offered else "y"


def settings(driver: Driver, version: Version) -> tuple[str | None, ...]:
    return driver.settings if version >= driver.binds_from else (None,)


@dataclass(frozen=True)
class Expected:
    ok: bool
    bridge: str = "none"  # auth_bridge of the connected event
    flag: str | None = None  # gs2_flag of it; None where the client sent none
    refusal: str | None = None  # SQLSTATE, where it is the proxy that refuses
    remembered: bool = False  # the first login may fail, once for all legs

    def method(self, method: str) -> str:
        """auth_method of the connected event. Where the proxy logs in itself, it binds to the server's certificate."""
        return AUDITED[method] + ("" if self.bridge == "none" else "-plus")


def directly(setup: Setup, leg: Leg, method: str) -> bool:
    """Whether it works without a proxy. Whoever insists on channel binding, or on SCRAM, takes no other login for a login."""
    if setup.insists:
        return method == "scram" and leg.tls
    if setup.driver.only_scram:
        return method == "scram"
    return method != "scram" or setup.knows_scram


def through(mode: str, setup: Setup, leg: Leg, method: str) -> Expected:
    """Whatever works directly works through the proxy, in one connection; what insists on channel binding only with `terminate`, and so
    does what insists on SCRAM and says that it could bind."""
    works = directly(setup, leg, method)
    if method != "scram":
        return Expected(works)
    if mode == "terminate":
        return Expected(works, "terminate", setup.flag(leg, plus_offered=leg.tls))
    if mode == "bridge":
        return Expected(not setup.insists and not setup.driver.only_scram, "cleartext")
    flag = setup.flag(leg, plus_offered=False)
    if setup.insists:
        return Expected(False)
    if mode == "passthrough":
        return Expected(flag == "n", flag=flag, refusal="28000" if flag == "y" else None)
    if flag == "n":
        return Expected(True, flag=flag)
    if setup.driver.only_scram:
        return Expected(False)
    if flag == "y" and setup.driver.answers_late:
        return Expected(True, "cleartext", flag)
    return Expected(True, "cleartext", remembered=True)
