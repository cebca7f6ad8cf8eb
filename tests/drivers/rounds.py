"""Who has which sslmode, by evidence: a driver in one mode before proxies of several kinds, and what their inventories say afterwards."""

import json
import shutil
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from program import NOT_SUPPORTED, Program
from rows import SSLMODES, Behaviour, Driver
from world import World, programs

from harness.config import configuration
from harness.pki import HERE
from harness.proxy import Proxy

PROBES = {"enabled": True, "fraction": 1.0, "grace": "0s", "max_per_client": 9}
Interval = tuple[str, str]


@dataclass(frozen=True)
class Round:
    """One proxy, and how often the driver logs in to it."""

    name: str
    tls: str = "allow"
    logins: int = 2
    probes: bool = False
    trusted: str = "real"  # what `sslrootcert` has: the real CA, the next one as well, or only another one
    verifying_only: bool = False
    spellings: tuple[str, ...] = ()  # empty: all


ROUNDS = (
    Round("passive", logins=3),
    Round("TLS not offered", tls="disable"),
    Round("TLS demanded", tls="require"),
    Round("mistrusted", logins=4, trusted="other", verifying_only=True),
    Round("probes", logins=8, probes=True),
    Round("probes, next CA trusted", logins=8, probes=True, trusted="both", spellings=("verify-ca", "verify-full")),
)
TOGETHER = "together"  # the inventories of the rounds in which the client is the same, merged


@dataclass
class Outcome:
    """What one round, or all together, said about a driver in a mode."""

    round: str
    exact: Interval | None  # no narrower one follows from what the driver did; None: nothing at all
    reported: Interval | None = None
    failed: int = 0  # logins
    cost: int = 0  # probes that were refused
    evidence: list[str] = field(default_factory=list)
    joined: bool = True  # all that it did can be in one row: its process was always found, or never
    false: list[str] = field(default_factory=list)  # claims that are not true
    problems: list[str] = field(default_factory=list)  # anything else

    @property
    def is_exact(self) -> bool:
        return self.reported == self.exact


@dataclass
class Case:
    driver: str
    spelling: str
    behaviour: Behaviour
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def __str__(self):
        return f"{self.driver} {self.spelling}"


class Authorities:
    """What the clients meet: a CA of `gen-cert`, and a certificate of another for the time after the rotation."""

    def __init__(self, world: World):
        self.directory = world.directory / "front"
        programs.pgairlock("gen-cert", "--host", "localhost", "--host", "127.0.0.1", "--ca-dir", self.directory, check=True)
        following = world.pki.authority("Test Next CA")
        self.candidate = world.pki.leaf(following, "proxy.next", HERE)
        real = self.directory / "ca.crt"
        both = world.directory / "both.crt"
        both.write_text(real.read_text() + following.cert.read_text())
        self.roots = {"real": str(real), "both": str(both), "other": str(world.pki.old.cert)}

    def listener(self, mode: str) -> dict:
        files = {"cert_file": str(self.directory / "server-ecdsa.crt"), "key_file": str(self.directory / "server-ecdsa.key")}
        return {"mode": mode, **files}

    def probes(self, **changes) -> dict:
        candidate = {"candidate_cert_file": str(self.candidate.cert), "candidate_key_file": str(self.candidate.key)}
        return {**PROBES, "ca_dir": str(self.directory), **candidate, **changes}


class Trials:
    """A driver's logins, each round through a proxy of its own that nobody else knows."""

    def __init__(self, world: World, authorities: Authorities, program: Program, driver: Driver):
        self._world, self._authorities, self._program, self._driver = world, authorities, program, driver
        self._stem = world.directory / f"verification-{driver.name.replace('/', '-')}."
        self._count = count()

    def run(self, spelling: str, behaviour: Behaviour) -> Case | None:
        """None: the driver does not have that mode."""
        case = Case(self._driver.name, spelling, behaviour)
        kept = []
        for one in ROUNDS:
            if one.verifying_only and not (behaviour.verifies or behaviour.falls_back) or one.spellings and spelling not in one.spellings:
                continue
            probe = self._authorities.probes() if one.probes else {}
            answers, directory = self._through_proxy(one.tls, probe, one.logins, spelling, one.trusted)
            if all((answer["error"] or "").startswith(NOT_SUPPORTED) for answer in answers):
                return None
            case.outcomes[one.name] = outcome = Outcome(one.name, exact(self._driver, behaviour, one, answers), failed=failures(answers))
            self._check_logins(behaviour, one, answers, outcome)
            self._check_certificates(directory, one, outcome)
            judge(report(directory), behaviour, one, outcome)
            if one.trusted != "other" and outcome.joined:
                kept.append(directory)
        if kept:
            case.outcomes[TOGETHER] = outcome = Outcome(TOGETHER, exact_together(case.outcomes))
            judge(report(*kept), behaviour, None, outcome)
        for directory in self._world.directory.glob(f"{self._stem.name}*"):
            shutil.rmtree(directory)
        return case

    def lacks(self, spelling: str) -> None:
        """What rows.py says that the driver does not have must not exist: otherwise something is missing here."""
        if " with " in spelling:
            return
        answer = self._program.login(**request(spelling, self._authorities.roots["real"]), port=self._world.cluster.port)
        assert (answer["error"] or "").startswith(NOT_SUPPORTED), f"rows.py says that the driver does not have {spelling}, but it does: {answer}"

    def spend_budget(self, spelling: str, logins=30) -> tuple[int, int]:
        """Logins that fail, and refused probes, where one failure is allowed."""
        answers, directory = self._through_proxy("allow", self._authorities.probes(max_per_client=1), logins, spelling, "real")
        return failures(answers), cost(report(directory))

    def _through_proxy(self, mode: str, probe: dict, logins: int, spelling: str, trusted: str) -> tuple[list[dict], Path]:
        directory = Path(f"{self._stem}{next(self._count)}")
        config = configuration(self._world.pki, [self._world.cluster.host], tls=self._authorities.listener(mode), runtime={"threads": 1},
                               audit={"probe": probe} if probe else {})
        proxy = Proxy(directory, config)
        try:
            proxy.wait_until_listening()
            answers = []
            for _ in range(logins):
                answers.append(self._program.login(**request(spelling, self._authorities.roots[trusted]), port=proxy.port))
                if (answers[-1]["error"] or "").startswith(NOT_SUPPORTED):
                    break
            proxy.stop()
        finally:
            proxy.kill()
        return answers, directory

    def _check_logins(self, behaviour: Behaviour, one: Round, answers: list[dict], outcome: Outcome) -> None:
        """Who does not notice a probe must not suffer from one, and nobody from anything else."""
        may_fail = 0
        if one.tls == "disable":
            may_fail = len(answers) if SSLMODES.index(behaviour.mode) >= SSLMODES.index("require") else 0
        elif one.tls == "require":
            may_fail = len(answers) if behaviour.mode in ("disable", "allow") else 0  # not every driver's `allow` comes again
        elif one.trusted == "other":
            may_fail = len(answers) if behaviour.verifies else 0
        elif one.probes and behaviour.verifies:
            may_fail = 6 if one.trusted == "real" else 4  # judge() knows better: whether it was by an alert
        if outcome.failed > may_fail:
            errors = {answer["error"] for answer in answers if not answer["ok"]}
            outcome.problems.append(f"{outcome.failed} logins failed, {may_fail} may: {errors}")
        if one.trusted == "other" and behaviour.verifies and outcome.failed < len(answers):
            outcome.problems.append("rows.py says that it verifies, but it accepts just any certificate")

    def _check_certificates(self, directory: Path, one: Round, outcome: Outcome) -> None:
        """Without probes nobody ever sees another certificate than the real one."""
        events = [json.loads(line) for line in (directory / "state/audit.jsonl").read_text().splitlines()]
        probed = [event["probe"] for event in events if event.get("probe")]
        if probed and not one.probes:
            outcome.problems.append(f"probes are off, and it was shown {probed}")


def request(spelling: str, roots: str) -> dict:
    mode, _, root = spelling.partition(" with ")
    given = roots if root or mode.startswith("verify") else None
    return {"host": "localhost", "user": "trust_user", "password": None, "dbname": "postgres", "sslmode": mode, "sslrootcert": given,
            "sslnegotiation": "postgres", "sslcert": None, "sslkey": None, "channel_binding": None}


def failures(answers: list[dict]) -> int:
    return sum(not answer["ok"] for answer in answers)


def report(*directories: Path) -> dict:
    states = [part for directory in directories for part in ("--state-dir", directory / "state")]
    return json.loads(programs.pgairlock("report", "--format", "json", *states, check=True).stdout)


def cost(said: dict) -> int:
    return sum(probe["refused"] for probe in said["summary"]["probes"])


# --- what can be known


def exact(driver: Driver, behaviour: Behaviour, one: Round, answers: list[dict]) -> Interval | None:
    """The narrowest interval that what the driver did allows for: docs/verification.md."""
    mode = behaviour.mode
    if mode in ("disable", "allow"):
        came_again = mode == "allow" and one.tls == "require" and any(answer["ok"] for answer in answers)
        return ("allow", "allow") if came_again else ("disable", "allow")
    if one.tls == "disable":
        return ("allow", "prefer") if mode == "prefer" else None if driver.insists_after_no else ("require", "verify-full")
    if behaviour.falls_back and (one.probes or one.trusted == "other"):
        return ("allow" if one.probes else "disable", "prefer")
    if one.trusted == "other":
        return ("verify-ca", "verify-full")
    if one.probes:
        return (mode, mode) if behaviour.verifies else ("allow", "require")
    return ("allow", "verify-full")


def exact_together(outcomes: dict[str, Outcome]) -> Interval | None:
    parts = [outcome.exact for outcome in outcomes.values() if outcome.exact and outcome.joined and outcome.round != "mistrusted"]
    if not parts:
        return None
    least, most = max(SSLMODES.index(part[0]) for part in parts), min(SSLMODES.index(part[1]) for part in parts)
    return SSLMODES[least], SSLMODES[most]


# --- what is claimed


def judge(said: dict, behaviour: Behaviour, one: Round | None, outcome: Outcome) -> None:
    """Every client of the report is this driver, also where a failed handshake could not be joined to a login."""
    clients = said["clients"]
    if not clients:
        if outcome.exact:
            outcome.problems.append("the report has no client")
        return
    for client in clients:
        find_false_claims(client, behaviour, one, outcome)
    client = max(clients, key=lambda client: (client["usename"] is not None, client["connections"]))
    outcome.reported = client["sslmode_min"], client["sslmode_max"]
    outcome.evidence = client["evidence"]
    outcome.cost = cost(said)
    # A process that is gone too soon to be found cannot be joined to its logins: what it did before is in a row of its own.
    outcome.joined = len(clients) == 1 or all(client["client_process"] for client in clients)
    # Each round has a proxy of its own, and what is on loopback belongs to its proxy: all together is several clients, of which nothing false
    # may be claimed.
    if one and not outcome.is_exact and outcome.joined:
        outcome.problems.append(f"reported as {' .. '.join(outcome.reported)}, decidable is {' .. '.join(outcome.exact)}: {describe(clients)}")
    if one and one.probes and outcome.joined and client["breaks_on_ca_rotation"] == "unknown" and behaviour.mode not in ("disable", "allow"):
        outcome.problems.append(f"breaks_on_ca_rotation unknown: {describe(clients)}")
    if one and one.probes and outcome.cost != outcome.failed and not behaviour.falls_back:
        outcome.problems.append(f"{outcome.failed} logins failed, the report says that probing cost {outcome.cost}")
    # An alert is believed at once, a close without one the second time.
    refused = [evidence for evidence in outcome.evidence if "_refused" in evidence and not evidence.startswith("tls_")]
    needed = sum(2 if evidence.endswith("_silently") else 1 for evidence in refused) if behaviour.verifies or behaviour.falls_back else 0
    if one and one.probes and outcome.joined and outcome.cost > needed:
        outcome.problems.append(f"probing cost {outcome.cost} connections, {refused} need {needed}")


def find_false_claims(client: dict, behaviour: Behaviour, one: Round | None, outcome: Outcome) -> None:
    least, truth, most = (SSLMODES.index(mode) for mode in (client["sslmode_min"], behaviour.mode, client["sslmode_max"]))
    seen = describe([client])
    if not least <= truth <= most:
        outcome.false.append(f"{client['sslmode_min']} .. {client['sslmode_max']}: {seen}")
    verifies = {True: "yes", False: "no"}[behaviour.verifies]
    if client["verifies"] not in (verifies, "unknown"):
        outcome.false.append(f"verifies {client['verifies']}: {seen}")
    if client["changed"]:
        outcome.false.append(f"changed: {seen}")
    if client["falls_back"] and not behaviour.falls_back:
        outcome.false.append(f"falls back: {seen}")
    if client["breaks_on_force_ssl"] == ("no" if behaviour.mode == "disable" else "yes"):
        outcome.false.append(f"breaks_on_force_ssl {client['breaks_on_force_ssl']}: {seen}")
    # The root certificates are not the same in all rounds: all together say nothing about it.
    if one and one.trusted != "other":
        breaks = "yes" if behaviour.verifies and one.trusted == "real" else "no"
        if client["breaks_on_ca_rotation"] not in (breaks, "unknown"):
            outcome.false.append(f"breaks_on_ca_rotation {client['breaks_on_ca_rotation']}: {seen}")


def describe(clients: list[dict]) -> str:
    return "; ".join(
        " ".join(f"{piece['evidence']}{'?' if piece['possible'] else ''}*{piece['count']}"
                 for piece in sorted(client["evidence_detail"], key=lambda piece: piece["last_seen"]))
        + f" ({client['usename']}, {client['client_process']})" for client in clients)
