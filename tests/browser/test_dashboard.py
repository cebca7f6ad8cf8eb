"""What the dashboard's page shows, in Chromium, over a scripted server (dashboard_server.py). test_dashboard_proxy.py asks the real ones."""

import pytest

import chromium
from dashboard_page import VIEWS, fetched, ready, rows, text, write
from dashboard_world import World, at, direct

pytestmark = pytest.mark.skipif(not chromium.executable(), reason="no chromium: apt-get install chromium")


def test_without_any_client_nothing_is_praised_and_no_unknown_is_a_zero(open_at):
    page, _ = open_at(World(0))
    ready(page)
    assert "Nothing is known to be left out." in text(page, "#missing")
    assert "No login in the last 60 seconds, so it is not known." in text(page, "#view")
    assert "no server's certificate was seen" in text(page, ".tiles")
    assert page.evaluate("document.querySelectorAll('.tiles .good').length") == 0
    assert text(page, ".tile") == "0\nweak: clear text, no verification, old TLS\nno client was seen"
    page.evaluate("location.hash = '#clients'")
    page.until("document.querySelector('#view').innerText.includes('No client was seen yet.')")
    page.evaluate("location.hash = '#rotation'")
    page.until("document.querySelector('#view').innerText.includes('No day is known yet.')")
    assert "Every client" not in text(page, "#view")
    page.evaluate("location.hash = '#servers'")
    page.until("document.querySelector('#view').innerText.includes('None is known.')")


def test_what_is_not_known_stands_above_everything_on_every_view(open_at):
    page, _ = open_at(World(20))
    for view in VIEWS:
        page.evaluate(f"location.hash = '#{view}'")
        ready(page)
        above = text(page, "#missing")
        assert above.index("Not known or left out") < above.index("2 warnings")
        assert "app-2 is silent for 2 days: what its clients do is not known." in above
        assert above.index("Critical: app-2 is silent") < above.index("Warning: the certificate of listener legacy")
        assert page.evaluate("missing.getBoundingClientRect().top < document.querySelector('#view').getBoundingClientRect().top")


def test_who_cannot_connect_and_is_no_row_is_told_of_beside_those_who_are(open_at):
    world = World(20)
    for c in world.clients:
        c["failing"] = False
    names = [{"usename": "app", "datname": "shop", "application_name": application, "client_process": program}
             for program in ("/usr/bin/java", "/usr/bin/python3") for application in ("", "cron")]
    world.unattributed = [{"upstream": "orders", "client_addr": "10.20.30.9", "client_process": "/usr/bin/java", "failures": 9, "refused": 7,
                           "last_failure": at(hours=2), "error": "alert unknown_ca (48)", "candidates": names}]
    page, _ = open_at(world)
    ready(page)
    tile = page.evaluate("document.querySelector('.tile[data-key=failing]').innerText")
    assert tile == "0\nnever succeeded, or no longer do\nof 20 clients known, and 9 failed handshakes of nobody who is known"
    assert page.evaluate("document.querySelector('.tile[data-key=failing] b').className") == "doubt"
    page.evaluate("location.hash = '#clients'")
    page.until("document.querySelector('#view').innerText.includes('name nobody') || document.querySelector('#view').innerText.includes('may be')")
    shown = text(page, "#view")
    assert "9 handshakes failed that no row explains: see the end." in shown
    note = text(page, "#view p.doubt")
    assert note.startswith("9 failed handshakes of 10.20.30.9 java may be those of app@shop, app@shop cron, or of a client that never logged in; "
                           "7 refused our certificate or left at it: its CA (ca.crt, or that of cert_file) belongs in the trust store of that client; ")
    assert note.endswith(": alert unknown_ca (48).")


def test_many_sentences_fold_and_the_critical_ones_do_not(open_at):
    world = World(20)
    world.unknown = [f"sentence {n}" for n in range(9)]
    world.warnings = [{"severity": "warning", "what": "x", "text": f"warning {n}", "since": None} for n in range(9)] + [{"severity": "critical",
        "what": "x", "text": "the worst", "since": None}]
    page, _ = open_at(world)
    ready(page)
    assert text(page, "#missing").count("sentence ") == 4
    assert "5 sentences more" in text(page, "#missing") and "6 warnings more" in text(page, "#missing")
    assert "Critical: the worst." in text(page, "#missing")


def test_the_first_view_says_who_is_weak_who_is_not_ready_and_when_the_last_certificate_moved(open_at):
    world = World(20)
    page, _ = open_at(world)
    ready(page)
    page.until("document.querySelector('.tiles').innerText.includes('days ago')")
    tiles = page.evaluate("[...document.querySelectorAll('.tile')].map(t => t.innerText)")
    weak = sum(1 for c in world.clients if c["weak"])
    not_ready = sum(1 for c in world.clients if c["breaks_on_ca_rotation"] != "no")
    assert tiles[0].startswith(f"{weak}\nweak") and "of 20 clients known" in tiles[0]
    assert tiles[1].startswith(f"{not_ready}\nnot ready for the CA rotation")
    assert tiles[3].startswith("5 days ago\nserver certificate last moved to another CA") and "2 of 3 server addresses moved" in tiles[3]
    assert tiles[4].startswith("12 days left\nof the next certificate to end: listener legacy")
    assert page.evaluate("document.querySelector('.tiles').getBoundingClientRect().bottom") < 900  # without scrolling


def test_who_goes_around_is_a_figure_of_its_own_and_not_known_without_looking(open_at):
    world = World(20)
    page, _ = open_at(world)
    ready(page)
    tile = "document.querySelector('.tile[data-key=direct]').innerText"
    assert page.evaluate(tile) == "not known\ngo around pgairlock (direct)\nno server was looked at"
    page.evaluate("location.hash = '#clients'")
    page.until("document.querySelector('#view').innerText.includes('Who goes around pgairlock is not known')")
    assert not page.evaluate("document.querySelector('[data-bind=source]')")

    world = World(20)
    world.looked = True
    world.clients += [direct(n) for n in range(3)]
    page, _ = open_at(world)
    ready(page)
    assert page.evaluate(tile) == "3\ngo around pgairlock (direct)\n2 in clear text; 83 % of the servers' sessions are seen"
    tiles = page.evaluate("[...document.querySelectorAll('.tile')].map(t => t.innerText)")
    assert "of 20 clients known" in tiles[0]  # no other figure counts them
    page.click(".tile[data-key=direct]")
    page.until("document.querySelector('#view .count')?.textContent.includes('shown, of')")
    assert rows(page, 0) == ["10.77.0.0", "10.77.0.1", "10.77.0.2"]
    shown = text(page, "#view")
    assert "3 clients go around pgairlock (direct): 2 in clear text, 1 with TLS" in shown and "a session shorter than that may be missing here." in shown
    assert page.evaluate("document.querySelector('[data-bind=source]').value") == "direct"
    write(page, "seen", "[data-bind=source]")
    page.until("document.querySelectorAll('#view table.cards > tbody > tr:not(.below)').length === 20")
    write(page, "", "[data-bind=source]")
    page.until("document.querySelectorAll('#view table.cards > tbody > tr:not(.below)').length === 23")


def test_a_row_that_goes_around_says_where_it_was_listed_and_nothing_that_nobody_knows(open_at):
    world = World(2)
    world.looked = True
    world.clients.append(direct(0))
    page, _ = open_at(world, "#clients?source=direct&open=d0")
    ready(page)
    row = text(page, "#view table.cards tbody tr")
    assert "direct" in row and "at 10.1.0.1:5432" in row and "and go through the proxy" in row
    details = text(page, "#view .details")
    assert "in 40 looks, 7 different sessions; shorter ones may be missing" in details
    assert "not known: they do not come through pgairlock" in details
    assert "Not known: servers list sessions, and no days." in details
    assert "clear_at_server" in details


def test_counts_that_are_not_there_are_called_not_known(open_at):
    world = World(3)
    overview = world.overview
    world.overview = lambda whole=True: overview(whole) | {"clients": None}
    page, _ = open_at(world)
    ready(page)
    assert page.evaluate("[...document.querySelectorAll('.tile')].slice(0, 3).map(t => t.innerText.split('\\n')[0])") == ["not known"] * 3


def test_sessions_come_worst_first_and_filter(open_at):
    page, _ = open_at(World(20))
    ready(page)
    states = rows(page, 2, "#view [data-key='session table'] table")
    assert states == sorted(states, key=["in clear", "not verifying", "unknown", "verifying"].index) and len(set(states)) == 4
    write(page, "JDBC tls")
    assert page.evaluate("document.querySelector('#view .count').textContent").endswith("shown, of 40 sessions")
    assert all(row == "stock@orders" for row in rows(page, 1, "#view [data-key='session table'] table"))


def test_of_ten_thousand_sessions_a_thousand_are_listed_and_that_is_said_first(open_at):
    page, server = open_at(World(20, sessions=10_000))
    ready(page)
    shown = text(page, "#view [data-key='session table']")
    assert shown.startswith("10,000 open, 1,000 listed: weak ones first.")
    assert text(page, "#view [data-key='session table'] .count") == "1 to 100 of 1,000 sessions"
    assert len(rows(page, 2, "#view [data-key='session table'] table")) == 100
    assert "/api/sessions.json?most=1000" in server.queries


def test_clients_come_in_the_reports_order(open_at):
    world = World(20)
    world.clients[0]["accepted"] = {"owner": "erp team", "reason": "goes away", "until": at(days=-80), "state": ["plain"], "worse": [], "excused": True}
    page, _ = open_at(world, "#clients")
    ready(page)
    assert rows(page, 0) == [c["client_addr"] for c in world.clients[1:] + world.clients[:1]]
    assert "accepted by erp team" in page.evaluate("[...document.querySelectorAll('table.clients > tbody > tr')].at(-1).innerText")


def test_of_five_thousand_clients_a_hundred_are_in_the_document(open_at):
    page, _ = open_at(World(5000), "#clients")
    ready(page)
    assert len(rows(page)) == 100
    assert text(page, "#view .count") == "1 to 100 of 5,000 clients"
    page.evaluate("[...document.querySelectorAll('.pager button')].at(-1).click()")
    assert text(page, "#view .count") == "101 to 200 of 5,000 clients"
    assert len(rows(page)) == 100
    write(page, "billing_4995")  # who came with the last
    write(page, "_4999")
    assert text(page, "#view .count") == "1 shown, of 5,000 clients"
    page.evaluate("location.hash = '#now'")
    ready(page)
    assert page.evaluate("document.querySelectorAll('tr').length") < 150
    page.evaluate("location.hash = '#rotation'")
    ready(page)
    assert page.evaluate("document.querySelectorAll('tr').length") < 150
    assert "100 of " in text(page, "#view")


def test_a_click_on_a_row_unfolds_what_is_known_and_what_to_do(open_at):
    world = World(20)
    page, _ = open_at(world, "#clients")
    ready(page)
    chosen = next(c for c in world.clients if c["action"] == "update trust store")
    page.click(f"tr[data-key={chosen['key']}] > td:nth-child(5)")
    details = text(page, ".details")
    for part in ("What to do: update trust store", "give it the new CA before the rotation", "candidate_refused", "17a29cbdecd2-", "2026-11-30",
                 "candidate: shown to 3 connections, 2 accepted, 1 lost by it"):
        assert part in details
    page.click(f"tr[data-key={chosen['key']}] > td:nth-child(5)")
    assert page.evaluate("document.querySelector('.details') === null")


def test_decisions_of_people_are_told(open_at):
    world = World(20)
    world.clients[3] |= {"note": "moves in May", "repaired_at": at(days=1),
                         "accepted": {"owner": "erp team", "reason": "cannot be changed", "until": None, "state": ["plain"], "worse": ["failing"],
                                      "excused": False}}
    page, _ = open_at(world, "#clients?open=" + world.clients[3]["key"])
    ready(page)
    details = text(page, ".details")
    for part in ("Note: moves in May", "Repaired 2026-11-29", "Was accepted by erp team, without an end: cannot be changed",
                 "and is worse since: failing"):
        assert part in details


def test_servers_show_addresses_certificates_chains_and_anchors(open_at):
    page, _ = open_at(World(20), "#servers")
    ready(page)
    hosts = page.evaluate("[...document.querySelectorAll('#view table')][0].innerText")
    assert hosts.index("10.1.0.3") < hosts.index("10.1.0.1")  # the one that is down
    assert "Connection refused" in hosts and "not known" in hosts and "4 of 4" in hosts and "does not suffice" in hosts
    page.evaluate("document.querySelector('#view details summary').click()")
    assert "issued by Amazon RDS Root CA RSA2048 G1" in text(page, "#view details ol")
    shown = text(page, "#view [data-key=certificates]")
    for part in ("12 days left", "made by pgairlock", "global-bundle.pem", "candidate", "replaced"):
        assert part in shown


def test_authorities_of_the_same_name_are_told_apart(open_at):
    world = World(20)
    made = world.certificates_json
    def twins():
        data = made()
        data["upstream"][0]["issuer"] = "CN=Root,O=One"
        data["upstream"][1]["issuer"] = "CN=Root,O=Two"
        return data
    world.certificates_json = twins
    page, _ = open_at(world, "#servers")
    ready(page)
    assert "CN=Root,O=One" in text(page, "#view") and "CN=Root,O=Two" in text(page, "#view")


def test_the_rotation_shows_a_picture_its_table_and_who_is_left(open_at):
    world = World(20)
    page, _ = open_at(world, "#rotation")
    ready(page)
    not_ready = len(world.rotation_json()["last_not_ready"])
    assert text(page, ".figures").startswith(f"{not_ready} not ready now, of 20 clients: 2 break, of {not_ready - 2} it is not known")
    bars = page.evaluate("[...document.querySelectorAll('.days rect')].map(r => [getComputedStyle(r).fill, r.getBoundingClientRect().height])")
    assert len({fill for fill, _ in bars}) == 3 and all(height > 1 for _, height in bars)
    page.evaluate("document.querySelector('.panel details summary').click()")
    assert rows(page, 2, ".panel table") == [str(d["not_ready"]) for d in reversed(world.rotation_json()["days"])]
    assert len(rows(page, 0, "table[aria-label='Clients that are not ready']")) == not_ready
    assert "server 10.1.0.1:5432 of orders showed a certificate of Amazon RDS Root CA RSA2048 G1 instead of Amazon RDS Root 2019 CA" in text(page,
        ".moves")
    page.click("table[aria-label='Clients that are not ready'] a")
    page.until("document.querySelector('.details')")
    assert page.evaluate("location.hash").startswith("#clients?open=")


def test_who_moved_may_be_no_more_ready_than_before(open_at):
    world = World(20)
    made = world.rotation_json()
    made["moves"] = [{"t": at(hours=1), "what": "client", "client": "web@orders from 10.0.0.1", "key": "k1", "from": "verifying", "to": "verifying",
                      "rotation_from": "unknown", "rotation_to": "breaks"},
                     {"t": at(hours=2), "what": "client", "client": "new@orders from 10.0.0.2", "key": "k2", "from": None, "to": "in clear",
                      "rotation_from": None, "rotation_to": "unknown"}]
    world.rotation_json = lambda: made
    page, _ = open_at(world, "#rotation")
    ready(page)
    assert page.evaluate("[...document.querySelectorAll('.moves li')].map(l => l.innerText.slice(17))") == [
        "client web@orders from 10.0.0.1: CA rotation unknown → breaks", "client new@orders from 10.0.0.2: new: in clear, CA rotation new: unknown"]


def test_what_nobody_could_count_yet_is_not_known(open_at):
    world = World(20)
    made = world.overview
    def young(whole=True):
        overview = made(whole)
        overview["now"] |= {"logins_per_s": None, "failures_per_s": None, "login_ms": {"p50": 8.0, "p95": 16.0, "p99": None, "of": 3}}
        overview["now"]["history"] = [point | {"logins_per_s": None, "failures_per_s": None} for point in overview["now"]["history"]]
        return overview
    world.overview = young
    page, _ = open_at(world)
    ready(page)
    panels = text(page, ".panels")
    assert "not known logins" in panels and "not known failures" in panels and "more than 60 s" in panels


def test_captures_say_what_they_lose_and_what_secrets_they_hold(open_at):
    world = World(20)
    world.captures[0] |= {"dropped": 7, "keylog": True}
    page, _ = open_at(world, "#captures")
    ready(page)
    assert "with TLS keys" in text(page, "#view") and page.evaluate("[...document.querySelectorAll('#view td .bad')].some(e => e.textContent === '7')")


def test_a_fleet_has_proxies_and_no_sessions(open_at):
    page, server = open_at(World(20, fleet=True))
    ready(page)
    assert "a fleet of 2 proxies" in text(page, "header")
    assert text(page, "[data-key=proxies] h3") == "Proxies: 2, 1 silent"
    assert rows(page, 1, "[data-key=proxies] table")[0] == "silent for 2 days"
    assert "knows no open sessions" in text(page, "#view")
    assert text(page, "#view").find("could not be renewed") == -1 and fetched(server, "sessions") == 0
    for view in ("servers", "captures", "events"):
        page.evaluate(f"location.hash = '#{view}'")
        page.until("document.querySelector('#view').innerText.includes(\"A fleet's inventory\")")
