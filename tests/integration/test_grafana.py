"""The dashboards of deploy/grafana: that they are sound, and that each of their questions is answered, by a Prometheus that scraped proxies and by
the inventory of a fleet."""

import itertools
import json
import re
import time

import psycopg2
import pytest
import yaml

from harness import programs
from harness.cluster import WRONG_PASSWORD
from harness.http import scrape
from harness.prometheus import RULES, Prometheus
from harness.waiting import until

GRAFANA = programs.REPOSITORY / "deploy/grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
PROMETHEUS, POSTGRESQL = "prometheus", "grafana-postgresql-datasource"
DAY = 86_400_000_000


def dashboard(uid) -> dict:
    [found] = [board for board in map(lambda file: json.loads(file.read_text()), FILES) if board["uid"] == uid]
    return found


def panels(board) -> list[dict]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(uid, key) -> list[tuple[str, str]]:
    """(title of the panel and name of the query, query)"""
    found = [(f"{panel['title']} {target['refId']}", target[key]) for panel in panels(dashboard(uid)) for target in panel["targets"]]
    assert len(found) > 10
    return found


# --- What Grafana wants


def test_the_dashboards_are_the_two_that_are_documented():
    assert [json.loads(file.read_text())["uid"] for file in FILES] == ["pgairlock-inventory", "pgairlock"]
    documentation = (programs.REPOSITORY / "docs/grafana.md").read_text()
    for file in FILES:
        assert f"`{file.name}`" in documentation


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_may_be_imported_anywhere(file):
    """No id of somebody's database, no datasource of somebody's Grafana."""
    board = json.loads(file.read_text())
    assert (board["id"], board["schemaVersion"], board["graphTooltip"]) == (None, 39, 1)
    [source] = [variable for variable in board["templating"]["list"] if variable["type"] == "datasource"]
    kind = {"DS_PROMETHEUS": PROMETHEUS, "DS_POSTGRESQL": POSTGRESQL}[source["name"]]
    assert source["query"] == kind
    used = {"type": kind, "uid": "${%s}" % source["name"]}
    for panel in panels(board):
        assert panel["datasource"] == used, panel["title"]
        assert all("datasource" not in target for target in panel["targets"])
    for variable in board["templating"]["list"]:
        assert variable["type"] == "datasource" or variable["datasource"] == used
    asked = json.dumps([panel["targets"] for panel in panels(board)])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert f"${variable['name']}" in asked or f"${{{variable['name']}" in asked, variable["name"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_say_what_they_are_and_stand_beside_each_other(file):
    board = json.loads(file.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert 0 <= at["x"] and at["w"] > 0 and at["h"] > 0 and at["x"] + at["w"] <= 24, panel["title"]
        for cell in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]
    titles = [panel["title"] for panel in panels(board)]
    assert len(titles) == len(set(titles))
    for panel in panels(board):
        assert panel["description"].rstrip().endswith((".", ")")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(references) == len(set(references)), panel["title"]


def test_what_is_provisioned_names_datasources_of_these_types():
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/pgairlock.yml").read_text())["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/var/lib/grafana/dashboards/pgairlock")
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/pgairlock.yml").read_text())["datasources"]
    assert [source["type"] for source in sources] == [PROMETHEUS, POSTGRESQL]
    inventory = sources[1]
    assert inventory["jsonData"]["sslmode"] == "verify-full"
    assert inventory["secureJsonData"]["password"].startswith("$"), "no password in a file"


def test_dashboards_and_rules_speak_of_metrics_that_there_are():
    listed = (programs.REPOSITORY / "proxy/metrics/metric.cpp").read_text()
    metrics = dict(re.findall(r'\{M::\w+,\s*"(\w+)",\s*(\w+),', listed))
    assert len(metrics) > 20
    known = set(metrics) | {f"{name}{suffix}" for name, kind in metrics.items() if kind == "histogram" for suffix in ("_bucket", "_sum", "_count")}
    asked = " ".join(expression for _, expression in queries("pgairlock", "expr"))
    asked += " ".join(variable["definition"] for variable in dashboard("pgairlock")["templating"]["list"] if variable["type"] == "query")
    rules = " ".join(rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"])
    for where, text in (("dashboard", asked), ("rules", rules)):
        names = set(re.findall(r"\b(?:pgairlock|process)_[a-z_]+\b", text))
        assert len(names) > 10 and names <= known, (where, names - known)
    shown = {name for name in metrics if re.search(rf"\b{name}(_bucket)?\b", asked)}
    assert set(metrics) - shown == {"process_virtual_memory_bytes"}


# --- Prometheus


def expanded(expression: str) -> str:
    """With every variable as Grafana fills it in for All."""
    out = expression.replace("$__rate_interval", "30s")
    for name in ("job", "instance", "listener", "upstream"):
        out = out.replace(f"${name}", ".*")
    assert "$" not in out, out
    return out


def test_prometheus_answers_every_question_of_the_dashboard_with_a_series(start, directory, connect):
    alert = {"name": "page", "on": ["reload_failed"], "command": ["/bin/true"]}
    proxies = [start(admin={"http": "127.0.0.1:0"}, upstream={"prewarm": 1}, runtime={"threads": 1}, alert=[alert]) for _ in range(2)]
    with Prometheus(directory, *proxies) as prometheus:
        def traffic_was_scraped():
            for proxy in proxies:
                connect(proxy).close()
                connect(proxy, sslmode="require").close()
            rates = prometheus.series("rate(pgairlock_client_connections_total[30s]) > 0")
            return len({labels["instance"] for labels, _ in rates}) == len(proxies)

        until(traffic_was_scraped, interval=0.5, what="rates of both")
        for proxy in proxies:
            with pytest.raises(psycopg2.OperationalError):
                connect(proxy, "scram_user", password=WRONG_PASSWORD)
        for title, expression in queries("pgairlock", "expr"):
            def is_answered(title=title, expression=expression):
                answer = prometheus.answer("query", query=expanded(expression))
                assert answer["status"] == "success", (title, answer)
                return answer["data"]["result"]
            until(is_answered, interval=0.5, what=f"a series for {title}")
        for variable in dashboard("pgairlock")["templating"]["list"]:
            if variable["type"] != "query":
                continue
            metric, _, label = re.fullmatch(r"label_values\((\w+)(\{.*\})?, (\w+)\)", variable["definition"]).groups()
            assert prometheus.api(f"label/{label}/values", **{"match[]": metric}), variable["name"]

        # What the numbers at the top say is so.
        for proxy in proxies:
            connect(proxy)
        stats = {panel["title"]: expanded(panel["targets"][0]["expr"]) for panel in panels(dashboard("pgairlock")) if panel["type"] == "stat"}
        until(lambda: prometheus.value(stats["Open sessions"]) == 2, what="two open sessions")
        assert prometheus.value(stats["Proxies"]) == 2
        assert prometheus.value(stats["Servers that do not serve"]) == 0
        assert prometheus.value(stats["Logins in clear"]) > 0
        until(lambda: prometheus.value(stats["Failed logins"]) > 0, what="the failures")
        certificates = prometheus.series(expanded(dict(queries("pgairlock", "expr"))["Server certificates: days left A"]))
        not_after = scrape(proxies[0])("upstream_certificate_not_after_timestamp_seconds")
        assert [value for _, value in certificates] == [pytest.approx((not_after - time.time()) / 86400, abs=0.1)]
        assert [value for _, value in prometheus.series(expanded(dict(queries("pgairlock", "expr"))["Roles A"]))] == [2], "a primary"


# --- The inventory


def arguments(text: str, name: str):
    """(all of the call, its argument) of each `$name(...)`."""
    for found in re.finditer(re.escape(name) + r"\(", text):
        depth, end = 1, found.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield text[found.start():end], text[found.end():end - 1]


def as_sql(text: str, *, begin: float, end: float, upstream=("orders",), proxy=("one", "two")) -> str:
    """With macros and variables as Grafana expands them."""
    text = text.replace("$__unixEpochFrom()", str(int(begin))).replace("$__unixEpochTo()", str(int(end)))
    for call, column in list(arguments(text, "$__timeFilter")):
        text = text.replace(call, f"{column} BETWEEN to_timestamp({begin}) AND to_timestamp({end})")
    for name, values in (("upstream", upstream), ("proxy", proxy)):
        text = text.replace(f"${{{name}:sqlstring}}", ",".join("'%s'" % value.replace("'", "''") for value in values))
    assert "$" not in text, text
    return text


class Inventory:
    """A fleet's database, asked as somebody who may only read."""

    def __init__(self, database):
        self.database = database
        database.sql("CREATE ROLE report_reader LOGIN")
        database.sql("GRANT USAGE ON SCHEMA pgairlock TO report_reader; GRANT SELECT ON ALL TABLES IN SCHEMA pgairlock TO report_reader")
        self.where = {"host": str(database.cluster.directory), "port": database.cluster.port, "user": "report_reader", "dbname": "inventory"}

    def rows(self, text, *, days=7, **variables) -> list[dict]:
        now = time.time()
        with psycopg2.connect(**self.where) as connection, connection.cursor() as cursor:
            cursor.execute(as_sql(text, begin=now - days * 86400, end=now + 60, **variables))
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]

    def panel(self, title, **options) -> list[dict]:
        [text] = [text for name, text in queries("pgairlock-inventory", "rawSql") if name == f"{title} A"]
        return self.rows(text, **options)

    def number(self, title, **options):
        [row] = self.panel(title, **options)
        [value] = row.values()
        return value

    def report(self) -> dict:
        done = programs.pgairlock("report", "--inventory", self.database.url, "--format", "json", "--since", "7d", check=True)
        return json.loads(done.stdout)


def test_a_fleets_inventory_answers_every_question_of_the_dashboard(start, fleet_database, connect, pki):
    one, two = (start(runtime={"name": name}, audit={"inventory": fleet_database.url, "process_owner": False}) for name in ("one", "two"))
    for application, sslmode in (("plain", "disable"), ("tls", "require"), ("both", "disable"), ("both", "require")):
        connect(one, sslmode=sslmode, application_name=application).close()
    connect(two, sslmode="require", application_name="elsewhere").close()
    with pytest.raises(psycopg2.OperationalError):
        connect(two, sslmode="verify-full", sslrootcert=str(pki.people.cert))
    until(lambda: fleet_database.total() == 5 and fleet_database.total("count", "handshakes") == 1, what="all have been copied")
    inventory = Inventory(fleet_database)
    for title, text in queries("pgairlock-inventory", "rawSql"):
        if title != "Not known to be ready for the rotation A" and title != "Who changed A":
            assert inventory.rows(text), title

    report = inventory.report()
    assert inventory.number("Clients") == report["summary"]["clients"] == 4
    assert inventory.number("In clear") == report["summary"]["plain"] == 2
    assert inventory.number("Proxies that are silent") == report["summary"]["silent_proxies"] == 0
    assert inventory.number("Not known to be ready") >= report["summary"]["breaks_on_ca_rotation_unknown"] > 0
    assert {row["application"]: row["state"] for row in inventory.panel("Clients by state")} == {
        "plain": "in clear", "both": "in clear", "tls": "TLS, see the report", "elsewhere": "TLS, see the report"}
    assert [row["application"] for row in inventory.panel("Not known to be ready for the rotation") if row["application"] == "plain"] == []
    [changed] = inventory.panel("Who changed")
    assert (changed["application"], changed["change"]) == ("both", "in clear, then TLS")
    [certificate] = inventory.panel("Certificates")
    assert float(certificate["days left"]) == pytest.approx((certificate["ends"].timestamp() - time.time()) / 86400, abs=0.1)
    assert {row["proxy"] for row in inventory.panel("Proxies")} == {"one", "two"}

    # Variables restrict, and names are quoted.
    assert inventory.number("Clients", proxy=("two",)) == 1
    assert inventory.number("Clients", proxy=("'; nobody",)) == 0
    assert inventory.number("Clients", upstream=("billing",)) == 0

    # One that is silent, a certificate that ends, and what was long ago.
    one.stop()
    two.stop()
    fleet_database.sql(f"UPDATE pgairlock.proxies SET last_seen = last_seen - {DAY} WHERE name = 'two'")
    fleet_database.sql(f"UPDATE pgairlock.upstream_certificates SET not_after = {time.time_ns() // 1000 + 29 * DAY}")
    fleet_database.sql(f"UPDATE pgairlock.clients SET last_seen = last_seen - {9 * DAY} WHERE application_name = 'plain'")
    fleet_database.sql(f"UPDATE pgairlock.days SET open_until = open_until - {9 * DAY} WHERE open_until > 0")
    assert inventory.number("Proxies that are silent") == 1
    assert inventory.number("Certificates with 30 days or less") == 1
    assert inventory.number("Clients") == 3
    assert inventory.number("Clients", days=30) == 4

    # Whoever saw it last is not everybody.
    for one, two, said in ((0, 1, "does not verify"), (1, 0, "does not verify"), (1, 1, "verifies"), ("NULL", 1, "not judged by every proxy"),
                           ("NULL", "NULL", "none configured")):
        for name, judged in (("one", one), ("two", two)):
            fleet_database.sql(f"UPDATE pgairlock.upstream_certificates c SET candidate_ok = {judged} FROM pgairlock.proxies p WHERE p.proxy = c.proxy AND p.name = '{name}'")
        [certificate] = inventory.panel("Certificates")
        assert certificate["candidate"] == said, (one, two)


def test_an_inventory_in_which_nobody_is_yet_breaks_no_panel(start, fleet_database):
    """A list without a value would be `IN ()`, which is no SQL."""
    proxy = start(runtime={"name": "one"}, audit={"inventory": fleet_database.url})
    until(lambda: fleet_database.total("last_seen", "proxies") > 0, what="the proxy has made the tables")
    inventory = Inventory(fleet_database)

    def everything(names):
        variables = {variable["name"]: tuple(value for row in inventory.rows(variable["query"]) for value in row.values())
                     for variable in dashboard("pgairlock-inventory")["templating"]["list"] if variable["type"] == "query"}
        assert variables == names
        for _, text in queries("pgairlock-inventory", "rawSql"):
            inventory.rows(text, **variables)  # no error, such as of a division
        for title in ("Clients", "In clear", "Not known to be ready", "Certificates with 30 days or less", "Proxies that are silent"):
            assert inventory.number(title, **variables) == 0, title
        return inventory.panel("Proxies", **variables)

    assert [row["proxy"] for row in everything({"proxy": ("one",), "upstream": ("none yet",)})] == ["one"]
    proxy.stop()
    fleet_database.sql("TRUNCATE pgairlock.proxies CASCADE")
    assert everything({"proxy": ("none yet",), "upstream": ("none yet",)}) == []


EVIDENCE = ("clear_startup", "clear_startup_after_tls", "clear_startup_after_declined", "tls_startup", "tls_startup_undistributed", "tls_after_clear_refused",
            "client_certificate", "untrusted_accepted", "wrong_name_accepted", "candidate_accepted")
HANDSHAKES = (None, "tls_refused", "untrusted_refused", "wrong_name_refused", "candidate_refused", "closed_after_no", "no_client_hello")


def test_the_dashboard_is_never_greener_than_the_report(start, fleet_database):
    """Every kind and pair of kinds of evidence, with every kind of failed handshake: one client each, at an address of its own."""
    proxy = start(runtime={"name": "one"}, audit={"inventory": fleet_database.url})
    until(lambda: fleet_database.total("last_seen", "proxies") > 0, what="the proxy has made the tables")
    instance = fleet_database.sql("SELECT proxy FROM pgairlock.proxies")[0][0]
    proxy.stop()
    now = time.time_ns() // 1000
    tables: dict[str, list[tuple]] = {"clients": [], "evidence": [], "fingerprints": [], "days": [], "handshakes": []}
    kinds = [(kind,) for kind in EVIDENCE] + list(itertools.combinations(EVIDENCE, 2))
    for number, (seen, handshake) in enumerate(itertools.product(kinds, HANDSHAKES)):
        address = f"10.0.{number // 250}.{number % 250 + 1}"
        plain = any(kind.startswith("clear") for kind in seen)
        modes = ["plain"] * plain + ["TLSv1.3"] * any(not kind.startswith("clear") for kind in seen)
        tables["clients"].append((instance, number, "orders", address, "", -1, f"user{number}", "orders", "", "legacy", now - DAY, now - 1000,
                                  2 * len(modes), 2 * plain, 0, 0, 0, 0, 0, "", "", modes[-1], "", "", ""))
        tables["evidence"] += [(instance, number, kind, "real", now - DAY, now - 1000, 2, "5f-1") for kind in seen]
        tables["fingerprints"].append((instance, number, "t13d", "", now - 1000))
        tables["days"] += [(instance, (now - 1000) // DAY, number, mode, 2, 0, 0, 0, 0, now - 2000, now - 1000, 0) for mode in modes]
        if handshake:
            tables["handshakes"].append((instance, "orders", address, "", -1, "t13d", "", handshake, "real", "legacy", now - DAY, now - 500, 2, "5f-2", ""))
    with psycopg2.connect(host=str(fleet_database.cluster.directory), port=fleet_database.cluster.port, user="postgres", dbname="inventory") as connection:
        from psycopg2.extras import execute_values
        for table, rows in tables.items():
            execute_values(connection.cursor(), f"INSERT INTO pgairlock.{table} VALUES %s", rows)

    inventory = Inventory(fleet_database)
    report = {client["usename"]: client for client in inventory.report()["clients"] if client["usename"]}
    [text] = [text for name, text in queries("pgairlock-inventory", "rawSql") if name == "Clients by state A"]
    shown = {row["user"]: row for row in inventory.rows(text)}
    assert set(shown) == set(report) and len(shown) == len(kinds) * len(HANDSHAKES)
    wrong = []
    for user, row in shown.items():
        client = report[user]
        state_is_worse = row["state"] == "in clear" or not client["plain"] and (row["state"] == "TLS, see the report" or client["verifies"] != "yes")
        if not state_is_worse or row["ready for the rotation"] and client["breaks_on_ca_rotation"] != "no":
            wrong.append((client["evidence"], row["state"], row["ready for the rotation"], client["verifies"], client["breaks_on_ca_rotation"]))
    assert not wrong
    # And it does know some.
    assert any(row["ready for the rotation"] for row in shown.values())
    assert {row["state"] for row in shown.values()} == {"in clear", "TLS, does not verify", "TLS, see the report"}
