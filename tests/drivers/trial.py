"""Logs a driver in, cell by cell, and finds what is not as expected.py says."""

from dataclasses import dataclass, field
from pathlib import Path

from expected import LEGS, METHODS, WITH_PASSWORD, Expected, Leg, Setup, directly, through
from program import NOT_SUPPORTED, Program
from world import OUTCOMES, PASSWORDS, WRONG_PASSWORD, Audit, World


@dataclass
class Cell:
    """One leg and one method of one setup in one mode: what was seen, and everything that is wrong with it."""

    setup: Setup
    leg: Leg
    method: str
    mode: str  # of [auth]; for `terminate` with the kind of the users file's entry behind it
    offered: bool = True
    ok: bool = False
    bridge: str = "none"
    flag: str | None = None
    second_login: bool = False
    error: str = ""
    wrong_password: str | None = None  # SQLSTATE that the driver shows for it
    problems: list[str] = field(default_factory=list)

    def __str__(self):
        setting = f" channel_binding={self.setup.setting}" if self.setup.setting else ""
        return f"{self.setup.driver.name}{setting}, {self.mode}: {self.method} over {self.leg.name}"


class Trial:
    def __init__(self, world: World, program: Program, setup: Setup):
        self._world, self._program, self._setup = world, program, setup
        self._direct: dict = {}  # answers of the server itself

    def run(self, mode: str) -> list[Cell]:
        if mode == "terminate":
            return [cell for entry in ("plain", "secret") for cell in self._run(mode, entry, ["scram"])]
        return self._run(mode, None, list(METHODS) if mode == "auto" else ["scram"])

    def _run(self, mode: str, entry: str | None, methods: list[str]) -> list[Cell]:
        """A proxy of its own, because proxies remember which clients failed."""
        cells = []
        with self._world.proxy(mode, entry) as proxy:
            at_proxy = _Proxied(self._world, self._program, self._setup, proxy)
            for leg in LEGS:
                for method in methods:
                    cell = Cell(self._setup, leg, method, f"{mode} {entry}" if entry else mode)
                    cells.append(cell)
                    cell.offered = self._setup.has(leg)
                    for host in self._setup.hosts(leg):
                        if self._is_offered(cell, host):
                            at_proxy.log_in(cell, host, through(mode, self._setup, leg, method), self._at_server(cell, host, wrong=True))
                    if cell.offered and leg.sslmode == "verify-full" and method == "trust":
                        at_proxy.mistrust(cell, self._world.pki.old.cert)
            at_proxy.nothing_more(cells[-1])
        return cells

    def _is_offered(self, cell: Cell, host: str) -> bool:
        """Also: the server itself must let in whom rows.py says it does; otherwise the cell would prove nothing."""
        if not cell.offered:
            answer = self._log_in_directly(cell, host, PASSWORDS["scram_user"])
            if not (answer["error"] or "").startswith(NOT_SUPPORTED):
                cell.problems.append(f"rows.py says that the driver does not have this, but it does: {answer}")
            return False
        answer = self._at_server(cell, host, wrong=False)
        if answer and answer["ok"] != directly(self._setup, cell.leg, cell.method):
            cell.problems.append(f"directly at the server: {answer}")
        return True

    def _at_server(self, cell: Cell, host: str, *, wrong: bool) -> dict | None:
        """The server's own answer, None where it cannot be asked: it wants a certificate that the proxy has, or is too old for the leg."""
        if cell.method == "cert" or cell.leg.sslnegotiation == "direct" and not self._world.has_direct_tls:
            return None
        if wrong and not (cell.method in WITH_PASSWORD and directly(self._setup, cell.leg, cell.method)):
            return None
        key = cell.leg.name, cell.method, host, wrong
        if key not in self._direct:
            self._direct[key] = self._log_in_directly(cell, host, WRONG_PASSWORD if wrong else PASSWORDS.get(METHODS[cell.method]))
        return self._direct[key]

    def _log_in_directly(self, cell: Cell, host: str, password: str | None) -> dict:
        world = self._world
        return self._program.login(**request(cell, host, password, world.pki.new.cert), port=world.cluster.port)


class _Proxied:
    """Logins through one proxy, one at a time: whatever its audit says in between belongs to that login."""

    def __init__(self, world: World, program: Program, setup: Setup, proxy):
        self._program, self._setup, self._port = program, setup, proxy.port
        self._rootcert = world.pki.front.cert
        self._audit = Audit(proxy)
        self._remembered = False

    def log_in(self, cell: Cell, host: str, expected: Expected, wrong_at_server: dict | None) -> None:
        password = PASSWORDS.get(METHODS[cell.method])
        answer, events = self._attempt(cell, host, password)
        if expected.remembered and not self._remembered and not answer["ok"]:
            answer, events = self._attempt(cell, host, password)
            self._remembered = cell.second_login = True
        cell.ok = answer["ok"]
        cell.error = cell.error or _reason(answer, events)
        connected = [event for event in events if event["event"] == "connected"]
        if answer["ok"] != expected.ok:
            cell.problems.append(f"right password: {answer}, events {_short(events)}")
        elif expected.ok:
            self._check_connected(cell, connected, expected)
        elif connected and cell.method not in ("trust", "cert"):  # there the server is content before the driver is not
            cell.problems.append(f"the driver failed, the audit says connected: {_short(events)}")
        if expected.refusal and [event.get("sqlstate") for event in events] != [expected.refusal]:
            cell.problems.append(f"not refused by pgairlock: {answer}, events {_short(events)}")
        if expected.ok and cell.method in WITH_PASSWORD:
            self._check_wrong_password(cell, host, wrong_at_server)

    def mistrust(self, cell: Cell, other_ca: Path) -> None:
        """A driver that accepts just any certificate would prove nothing about verify-full."""
        rootcert, self._rootcert = self._rootcert, other_ca
        answer, events = self._attempt(cell, "localhost", PASSWORDS.get(METHODS[cell.method]))
        self._rootcert = rootcert
        if answer["ok"] or [event["event"] for event in events] != ["tls_failed"]:
            cell.problems.append(f"with another CA than the proxy's: {answer}, events {_short(events)}")

    def nothing_more(self, cell: Cell) -> None:
        late = [event for event in self._audit.news() if event["event"] in OUTCOMES]
        if late:
            cell.problems.append(f"more connections after the login before was over: {_short(late)}")

    def _attempt(self, cell: Cell, host: str, password: str | None) -> tuple[dict, list[dict]]:
        """Every login must be one connection: a driver that connects again by itself would show in the events."""
        self.nothing_more(cell)
        answer = self._program.login(**request(cell, host, password, self._rootcert), port=self._port)
        if (answer["error"] or "").startswith(NOT_SUPPORTED):
            cell.problems.append("rows.py says that the driver has this, and it says that it has not")
            return answer, []
        events = self._audit.settled()
        if len(events) != 1:
            cell.problems.append(f"{len(events)} connections for one login: {_short(events)}")
        return answer, events

    def _check_connected(self, cell: Cell, connected: list[dict], expected: Expected) -> None:
        if len(connected) != 1:
            cell.problems.append("logged in, but the audit says nothing of it")
            return
        event = connected[0]
        cell.bridge, cell.flag = event["auth_bridge"], event["gs2_flag"]
        wanted = {"usename": METHODS[cell.method], "negotiation": cell.leg.negotiation, "upstream_ssl": True,
                  "auth_method": expected.method(cell.method), "auth_bridge": expected.bridge, "gs2_flag": expected.flag}
        wrong = {name: event[name] for name, value in wanted.items() if event[name] != value}
        if wrong:
            cell.problems.append(f"the audit says {wrong}, expected {({name: wanted[name] for name in wrong})}")

    def _check_wrong_password(self, cell: Cell, host: str, at_server: dict | None) -> None:
        answer, events = self._attempt(cell, host, WRONG_PASSWORD)
        cell.wrong_password = answer["sqlstate"]
        if answer["ok"]:
            cell.problems.append("a wrong password was accepted")
        if [(event["event"], event.get("sqlstate")) for event in events] != [("auth_failed", "28P01")]:
            cell.problems.append(f"wrong password: {answer}, events {_short(events)}")
        # The server itself is the measure of what the driver shows; not every driver shows the SQLSTATE.
        shown = at_server["sqlstate"] if at_server else answer["sqlstate"] and "28P01"
        if answer["sqlstate"] != shown:
            cell.problems.append(f"wrong password: the driver shows {answer['sqlstate']}, and {shown} at the server itself")


def request(cell: Cell, host: str, password: str | None, rootcert: Path) -> dict:
    return {"host": host, "user": METHODS[cell.method], "password": password, "dbname": "postgres", "sslmode": cell.leg.sslmode,
            "sslrootcert": str(rootcert) if cell.leg.sslmode == "verify-full" else None, "sslnegotiation": cell.leg.sslnegotiation,
            "sslcert": None, "sslkey": None, "channel_binding": cell.setup.setting}


def _reason(answer: dict, events: list[dict]) -> str:
    """The proxy's message, where it sent one; otherwise it is the driver that refused."""
    told = [f"{event['sqlstate']} {event['message']}" for event in events if event["event"] == "auth_failed" and event["sqlstate"]]
    return told[0] if told else answer["error"] or ""


def _short(events: list[dict]) -> str:
    names = ("event", "sqlstate", "auth_method", "auth_bridge", "gs2_flag", "reason", "message", "error")
    return str([{name: event[name] for name in names if event.get(name) is not None} for event in events])
