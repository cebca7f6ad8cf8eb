"""The dashboard's page in Chromium, over a scripted server (dashboard_server.py): what it shows, how it stays new without disturbing its reader, and
what it does when the proxy is away. test_dashboard_proxy.py asks the real ones."""

import json
import urllib.parse

import pytest

import chromium
from dashboard_server import NEW, Server, World, at, client, session

pytestmark = pytest.mark.skipif(not chromium.executable(), reason="no chromium: apt-get install chromium")

ATTACK = "<img src=x onerror=\"document.title='owned'\"></td><script>document.title='owned'</script>"
VIEWS = ["now", "clients", "servers", "rotation", "captures", "events"]
NETWORK = ("net::ERR_", "status of 401", "status of 503")  # what Chromium itself says of a server that is away or refuses


@pytest.fixture(scope="module")
def browser():
    page = chromium.Page(deadline=1800)
    page.viewport(1280)
    yield page
    page.close()


@pytest.fixture
def open_at(browser):
    """Opens the page over a world. Afterwards nothing was complained of and nothing was asked of anybody else."""
    servers = []

    def opened(world: World, view: str = "", **options):
        server = Server(world, **options)
        servers.append(server)
        browser.open(server.url + view)
        return browser, server

    browser.complaints.clear()
    browser.requests.clear()
    yield opened
    asked, complaints = list(browser.requests), [c for c in browser.complaints if not any(known in json.dumps(c) for known in browser_says)]
    browser.open("about:blank")
    for server in servers:
        server.go_away()
    browser_says.clear()
    browser.viewport(1280)
    browser.scheme("light")
    assert complaints == []
    assert [url for url in asked if not url.startswith(("about:", "data:", *(s.url for s in servers)))] == []


browser_says = []  # complaints that a test provokes


def expects(*sayings: str) -> None:
    browser_says.extend(sayings)


def ready(page) -> None:
    page.until("document.querySelector('#pulse').textContent.startsWith('live') && !document.querySelector('#view').textContent.includes('Asking…')")


def text(page, selector: str) -> str:
    return page.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")


def rows(page, column: int = 1, of: str = "#view table.cards") -> list[str]:
    return page.evaluate(f"[...document.querySelectorAll({json.dumps(of + ' > tbody > tr:not(.below)')})].map(r => r.cells[{column}].innerText.split('\\n')[0])")


def write(page, value: str, field: str = "[data-bind=text]") -> None:
    page.evaluate(f"{{ const f = document.querySelector({json.dumps(field)}); f.value = {json.dumps(value)}; f.dispatchEvent(new Event('input', {{bubbles: true}})); }}")


def press_heading(page, title: str) -> None:
    page.evaluate(f"[...document.querySelectorAll('#view table.clients th button')].find(b => b.textContent === {json.dumps(title)}).click()")


def unfold(page, key: str) -> None:
    page.evaluate(f"document.querySelector('.unfold[data-value={json.dumps(key)}]').click()")


def fetched(server, name: str) -> int:
    return server.asked.count(f"/api/{name}.json")


# What is shown

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


def test_many_sentences_fold_and_the_critical_ones_do_not(open_at):
    world = World(20)
    world.unknown = [f"sentence {n}" for n in range(9)]
    world.warnings = [{"severity": "warning", "what": "x", "text": f"warning {n}", "since": None} for n in range(9)] + [{"severity": "critical", "what": "x", "text": "the worst", "since": None}]
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
    for part in ("What to do: update trust store", "give it the new CA before the rotation", "candidate_refused", "17a29cbdecd2-", "2026-11-30", "candidate: shown to 3 connections, 2 accepted, 1 lost by it"):
        assert part in details
    page.click(f"tr[data-key={chosen['key']}] > td:nth-child(5)")
    assert page.evaluate("document.querySelector('.details') === null")


def test_decisions_of_people_are_told(open_at):
    world = World(20)
    world.clients[3] |= {"note": "moves in May", "repaired_at": at(days=1), "accepted": {"owner": "erp team", "reason": "cannot be changed", "until": None, "state": ["plain"], "worse": ["failing"], "excused": False}}
    page, _ = open_at(world, "#clients?open=" + world.clients[3]["key"])
    ready(page)
    details = text(page, ".details")
    for part in ("Note: moves in May", "Repaired 2026-11-29", "Was accepted by erp team, without an end: cannot be changed", "and is worse since: failing"):
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
    assert "server 10.1.0.1:5432 of orders showed a certificate of Amazon RDS Root CA RSA2048 G1 instead of Amazon RDS Root 2019 CA" in text(page, ".moves")
    page.click("table[aria-label='Clients that are not ready'] a")
    page.until("document.querySelector('.details')")
    assert page.evaluate("location.hash").startswith("#clients?open=")


def test_who_moved_may_be_no_more_ready_than_before(open_at):
    world = World(20)
    made = world.rotation_json()
    made["moves"] = [{"t": at(hours=1), "what": "client", "client": "web@orders from 10.0.0.1", "key": "k1", "from": "verifying", "to": "verifying", "rotation_from": "unknown", "rotation_to": "breaks"},
                     {"t": at(hours=2), "what": "client", "client": "new@orders from 10.0.0.2", "key": "k2", "from": None, "to": "in clear", "rotation_from": None, "rotation_to": "unknown"}]
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


# Staying new

def test_figures_follow_the_stream_and_lists_what_it_says_has_changed(open_at):
    world = World(20)
    page, server = open_at(world)
    ready(page)
    assert text(page, ".big") == "40"
    before = fetched(server, "sessions")
    with server.lock:
        world.sessions.append(session(900, usename="new_one"))
        server.now()
    page.until("document.querySelector('.big').textContent === '41'")
    assert fetched(server, "sessions") == before  # nobody said that the list has changed
    server.tell("sessions", "clients")
    page.until("document.querySelector('[data-key=\"session table\"]').innerText.includes('new_one')")
    assert fetched(server, "clients") == 0  # which this view does not show


def test_a_live_update_disturbs_nobody(open_at):
    world = World(300)
    page, server = open_at(world, "#clients")
    ready(page)
    key = world.clients[40]["key"]
    unfold(page, key)
    page.evaluate(f"document.querySelector('.unfold[data-value={key}]').focus({{preventScroll: true}})")
    page.evaluate("document.querySelector('.details').scrollIntoView({block: 'center'})")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.details .todo p'))")
    place = f"document.querySelector('tr[data-key={key}]').getBoundingClientRect().top"
    before = page.evaluate(place)
    node = page.evaluate(f"window.row = document.querySelector('tr[data-key={key}]'); window.scrolled = scrollY; getSelection().toString()")
    with server.lock:
        world.clients[41]["connections"] += 1
        world.clients[40]["connections"] = 777777
        world.clients.insert(90, client(9001))
        server.tell("clients")
    page.until(f"document.querySelector('tr[data-key={key}]').innerText.includes('777,777')")
    assert page.evaluate(f"window.row === document.querySelector('tr[data-key={key}]')")
    assert page.evaluate(f"document.activeElement.dataset.value === '{key}'")
    assert page.evaluate("document.querySelectorAll('.details').length") == 1
    assert page.evaluate("getSelection().toString()") == node
    assert page.evaluate(place) == before and page.evaluate("scrollY === window.scrolled")


def test_the_row_with_the_focus_stays_where_others_move_round_it(open_at):
    world = World(20)
    page, server = open_at(world, "#clients")
    ready(page)
    key = world.clients[10]["key"]
    page.evaluate(f"document.querySelector('.unfold[data-value={key}]').focus()")
    page.evaluate("window.lost = 0; document.addEventListener('focusout', () => ++window.lost)")
    with server.lock:
        world.clients.reverse()
        server.tell("clients")
    page.until(f"document.querySelector('table.clients > tbody > tr').dataset.key === '{world.clients[0]['key']}'")
    assert rows(page, 0) == [c["client_addr"] for c in world.clients]
    assert page.evaluate(f"document.activeElement.dataset.value === '{key}' && window.lost === 0")


def test_a_row_that_is_gone_stays_while_it_has_the_focus_and_says_so(open_at):
    world = World(20)
    page, server = open_at(world, "#clients")
    ready(page)
    key = world.clients[10]["key"]
    page.evaluate(f"document.querySelector('.unfold[data-value={key}]').focus()")
    with server.lock:
        del world.clients[10]
        server.tell("clients")
    page.until("document.querySelector('#view .count').textContent === '19 clients'")
    assert page.evaluate(f"document.activeElement.dataset.value === '{key}'")
    assert page.evaluate(f"getComputedStyle(document.querySelector('tr[data-key={key}] > td'), '::after').content") == '"no longer in this list"'
    page.evaluate("document.activeElement.blur()")
    page.until(f"document.querySelector('tr[data-key={key}]') === null")


def test_what_is_being_written_into_the_filter_stays(open_at):
    world = World(20)
    page, server = open_at(world, "#clients")
    ready(page)
    page.evaluate("document.querySelector('[data-bind=text]').focus()")
    page.write("meta")
    with server.lock:
        world.clients.append(client(41, usename="metadata"))
        server.tell("clients")
    page.until("document.querySelector('#view').innerText.includes('metadata@orders')")
    page.write("base")
    assert page.evaluate("document.activeElement.value") == "metabase"
    assert set(rows(page)) == {"reports@orders"}


def test_the_live_region_says_nothing_every_two_seconds(open_at):
    page, server = open_at(World(20))
    ready(page)
    page.evaluate("window.said = []; for (const id of ['status', 'banner']) new MutationObserver(() => said.push(document.getElementById(id).innerText))"
                  ".observe(document.getElementById(id), {childList: true, subtree: true, characterData: true})")
    shown = text(page, "#pulse")
    with server.lock:
        server.world.warnings[0]["text"] = "app-2 is silent for 3 days"  # is no new one
    for _ in range(5):
        server.now()
    page.until(f"document.querySelector('#pulse').innerText !== {json.dumps(shown)}")
    server.tell("sessions", "certificates")
    page.until("document.querySelector('#missing').innerText.includes('silent for 3 days')")
    assert page.evaluate("said") == []
    with server.lock:
        server.world.warnings.append({"severity": "critical", "what": "host_down", "text": "the server 10.1.0.3:5432 of orders does not serve", "since": None})
        server.now()
    page.until("document.querySelector('#status').innerText === 'Critical: the server 10.1.0.3:5432 of orders does not serve'")


def test_events_arrive_filter_and_pause(open_at):
    page, server = open_at(World(20), "#events")
    ready(page)
    server.audit("connected", usename="billing", datname="orders", ssl=False, weak=True)
    server.audit("tls_failed", client_addr="10.0.0.9", error="alert unknown_ca (48)", reason="tls_abandoned")
    page.until("document.querySelectorAll('.event').length === 2")
    assert "tls_failed from 10.0.0.9" in text(page, ".event")  # the newest first
    page.evaluate("document.querySelectorAll('.event summary')[1].click()")
    server.audit("connected", usename="other", datname="orders", ssl=True, version="TLSv1.3")
    page.until("document.querySelectorAll('.event').length === 3")
    assert page.evaluate("[...document.querySelectorAll('.event details')].map(d => d.open)") == [False, False, True]
    assert '"usename": "billing"' in text(page, ".event details[open] pre")
    page.evaluate("document.querySelector('[data-do=pause]').click()")
    server.audit("connected", usename="held_back", datname="orders", ssl=True)
    page.until("document.querySelector('#view').innerText.includes('Paused: 1 newer are held back.')")
    assert "held_back" not in text(page, ".events")
    page.evaluate("document.querySelector('[data-do=pause]').click()")
    page.until("document.querySelector('.events').innerText.includes('held_back')")
    page.evaluate("{ const s = document.querySelector('[data-bind=show]'); s.value = 'tls_failed'; s.dispatchEvent(new Event('input', {bubbles: true})); }")
    assert page.evaluate("document.querySelectorAll('.event').length") == 1


def test_a_thousand_events_are_kept_and_few_of_them_are_in_the_document(open_at):
    page, server = open_at(World(20), "#events")
    ready(page)
    for n in range(1100):
        server.audit("connected", usename=f"user{n}", datname="orders", ssl=True)
    page.until("document.querySelector('.event')?.innerText.includes('user1099@')")
    assert page.evaluate("document.querySelectorAll('.event').length") == 200
    assert text(page, "#view .count") == "200 shown, of 1,000 that this page has heard of"


def test_events_that_were_not_sent_are_a_row_of_their_own(open_at):
    page, server = open_at(World(20), "#events")
    ready(page)
    server.say(server.message("left_out", {"events": 1303}))
    page.until("document.querySelector('.event')?.innerText.includes('1,303 events before this were not sent to this page')")


# The proxy goes away

def test_a_proxy_that_goes_away_is_said_and_one_that_comes_back_is_found(open_at):
    expects(*NETWORK)
    world = World(20)
    page, server = open_at(world)
    ready(page)
    server.go_away()
    page.until("document.querySelector('#banner').innerText.startsWith('Not connected since 03:12:44 UTC; what is below is of then')")
    assert text(page, "#pulse").startswith("not connected")
    assert page.evaluate("document.title").startswith("(not connected)")
    assert text(page, ".big") == "40"  # what is known stays, greyed
    assert page.evaluate("getComputedStyle(document.querySelector('main')).filter") == "grayscale(1)"
    with server.lock:
        world.sessions.append(session(900, usename="meanwhile"))
        world.tick += 30
    server.come_back()
    page.until("document.querySelector('#banner').innerText === '' && document.querySelector('.big').textContent === '41'")
    page.until("document.querySelector('[data-key=\"session table\"]').innerText.includes('meanwhile')")  # though its version is the same
    assert page.evaluate("getComputedStyle(document.querySelector('main')).filter") == "none"


def test_a_proxy_that_was_started_anew_begins_a_new_history_and_keeps_what_was_heard(open_at):
    expects(*NETWORK)
    world = World(20)
    page, server = open_at(world, "#events")
    ready(page)
    server.audit("connected", usename="before", datname="orders", ssl=True)
    page.until("document.querySelectorAll('.event').length === 1")
    server.go_away()
    page.until("document.querySelector('#banner').innerText !== ''")
    with server.lock:
        world.started = at(seconds=1)
        world.events.clear()
    server.come_back()
    page.until("document.querySelector('#banner').innerText === ''")
    server.audit("started", message="pgairlock 0.1.0, 2 threads")
    page.until("document.querySelectorAll('.event').length === 2")


def test_no_event_is_told_twice_after_a_break(open_at):
    expects(*NETWORK)
    page, server = open_at(World(20), "#events")
    ready(page)
    server.audit("connected", usename="once", datname="orders", ssl=True)
    page.until("document.querySelectorAll('.event').length === 1")
    server.drop_readers()
    page.until("document.querySelector('#banner').innerText !== ''")
    page.until("document.querySelector('#banner').innerText === ''")
    server.audit("connected", usename="twice", datname="orders", ssl=True)
    page.until("document.querySelector('.event').innerText.includes('twice')")
    assert page.evaluate("document.querySelectorAll('.event').length") == 2


def test_a_proxy_that_only_falls_silent_is_noticed(open_at):
    page, server = open_at(World(20))
    ready(page)
    server.speaks = False
    page.until("document.querySelector('#banner').innerText.includes('it says nothing') || window.noticed", timeout=90)
    page.until("document.querySelector('#banner').innerText === ''")  # it asked again, and was answered


def test_an_answer_that_is_not_there_yet_is_asked_for_again(open_at):
    expects("status of 503")
    world = World(20)
    server = Server(world)
    server.unready["clients"] = "the first report is being made"
    page, _ = open_at(world)
    page.open(server.url + "#clients")
    page.until("document.querySelector('#view').innerText.includes('The clients are not there yet: the first report is being made.')")
    with server.lock:
        server.unready.clear()
    page.until("document.querySelectorAll('table.clients > tbody > tr').length === 20")
    assert "not there yet" not in text(page, "#view")
    page.requests.clear()
    page.open("about:blank")
    server.go_away()


def test_a_list_that_cannot_be_renewed_says_of_when_it_is(open_at):
    expects("status of 503")
    page, server = open_at(World(20), "#clients")
    ready(page)
    server.unready["clients"] = "the inventory is away"
    server.tell("clients")
    page.until("document.querySelector('#view').innerText.includes('The clients below are of 03:12:44 and could not be renewed: the inventory is away.')")
    assert len(rows(page)) == 20


def test_where_there_is_no_place_for_one_more_the_page_says_so_and_asks_by_itself(open_at):
    expects("status of 503")
    world = World(20)
    server = Server(world)
    server.most_readers = 0
    page, _ = open_at(world)
    page.open(server.url)
    page.until("document.querySelector('#banner').innerText.includes('no place for one more page')")
    assert text(page, ".big") == "40"
    with server.lock:
        world.sessions.append(session(900))
    page.until("document.querySelector('.big').textContent === '41'")
    page.evaluate("window.said = 0; new MutationObserver(() => ++said).observe(document.getElementById('banner'), {childList: true, subtree: true, characterData: true})")
    asked = fetched(server, "overview")
    while fetched(server, "overview") < asked + 2:
        page.evaluate("1")
    assert page.evaluate("said") == 0  # it is not told again each time
    server.most_readers = 16
    page.until("document.querySelector('#banner').innerText === ''")
    page.requests.clear()
    page.open("about:blank")
    server.go_away()


def test_a_token_is_asked_for_by_the_browser_and_serves_page_data_and_stream(open_at, browser):
    expects(*NETWORK)
    browser.log_in("anybody", "a-token-of-some-length")
    try:
        page, server = open_at(World(20), "#clients", token="a-token-of-some-length")
        page.until("document.querySelectorAll('table.clients > tbody > tr').length === 20")
        server.token = "another-token"
        browser.cancel_log_in()
        server.drop_readers()
        page.until("document.querySelector('#banner').innerText.includes('it asks for a token: reload this page')")
    finally:
        browser.log_out()


# Moving about

def test_every_view_has_its_address_and_unknown_ones_lead_to_the_first(open_at):
    page, _ = open_at(World(20), "#nonsense")
    ready(page)
    assert text(page, "[aria-current=page]") == "Now"
    for view in (*VIEWS[1:], "now"):
        page.evaluate(f"document.querySelector('#views a[href=\"#{view}\"]').click()")
        page.until(f"location.hash === '#{view}'")
        ready(page)
        assert page.evaluate("document.querySelectorAll('#views [aria-current=page]').length") == 1
        assert text(page, "#view-title").lower() == view == text(page, "[aria-current=page]").lower()
        assert page.evaluate("document.activeElement.id") == "view-title"
        assert page.evaluate("document.title").lower().startswith(view)
    page.evaluate("history.back()")
    page.until("document.querySelector('#view-title').textContent === 'Events'")


def test_words_and_kinds_filter_and_the_address_keeps_them(open_at):
    world = World(20)
    page, server = open_at(world, "#clients")
    ready(page)
    write(page, "METABASE orders")
    assert set(rows(page)) == {"reports@orders"}
    write(page, "")
    page.evaluate("{ const s = document.querySelector('[data-bind=show]'); s.value = 'not_ready'; s.dispatchEvent(new Event('input', {bubbles: true})); }")
    expected = [c["client_addr"] for c in world.clients if c["breaks_on_ca_rotation"] != "no"]
    assert rows(page, 0) == expected
    page.until("location.hash === '#clients?show=not_ready'")
    page.until("document.querySelector('#status').textContent === '9 shown, of 20 clients'")  # said once the reader has stopped
    page.open("about:blank")
    page.open(server.url + "#clients?show=not_ready&text=web")
    ready(page)
    assert set(rows(page)) == {"web@orders"}
    assert page.evaluate("[document.querySelector('[data-bind=show]').value, document.querySelector('[data-bind=text]').value]") == ["not_ready", "web"]
    page.evaluate("location.hash = '#clients?show=weak'")
    page.until("document.querySelector('[data-bind=show]').value === 'weak' && document.querySelector('[data-bind=text]').value === ''")


def test_a_figure_leads_to_those_that_it_counts(open_at):
    world = World(20)
    page, _ = open_at(world)
    ready(page)
    page.click(".tile")
    page.until("document.querySelector('#view .count')?.textContent.includes('shown, of')")
    assert len(rows(page)) == sum(1 for c in world.clients if c["weak"])


def test_a_heading_sorts_up_then_down_then_as_the_report_does(open_at):
    world = World(20)
    page, _ = open_at(world, "#clients")
    ready(page)
    as_reported = rows(page, 0)
    press_heading(page, "Connections")
    column = page.evaluate("[...document.querySelectorAll('table.clients th')].findIndex(t => t.textContent === 'Connections')")
    numbers = [int(n.replace(",", "")) for n in rows(page, column)]
    assert numbers == sorted(numbers)
    assert page.evaluate("document.querySelector('[aria-sort=ascending]').textContent") == "Connections"
    press_heading(page, "Connections")
    numbers = [int(n.replace(",", "")) for n in rows(page, column)]
    assert numbers == sorted(numbers, reverse=True)
    assert page.evaluate("document.querySelectorAll('[aria-sort]').length") == 1
    press_heading(page, "Connections")
    assert rows(page, 0) == as_reported and page.evaluate("document.querySelectorAll('[aria-sort]').length") == 0
    press_heading(page, "User@database")
    assert rows(page)[-3:] == ["(not known)"] * 3  # what is not known is last, both ways
    press_heading(page, "User@database")
    assert rows(page)[-3:] == ["(not known)"] * 3


def test_everything_is_reached_by_keyboard(open_at):
    world = World(20)
    page, _ = open_at(world)
    ready(page)
    focus = "(document.activeElement.innerText ?? '').split('\\n')[0]"
    page.press("Tab")
    assert page.evaluate(focus) == "Skip to the content"
    page.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.press("Tab", shift=True)
    while page.evaluate(focus) != "Clients":
        page.press("Tab", shift=True)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter")
    page.until("document.querySelector('.unfold')")
    assert page.evaluate("document.activeElement.id") == "view-title"
    reached = []
    while not page.evaluate("document.activeElement.matches('.unfold')"):
        page.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.bind ?? document.activeElement.innerText"))
        assert page.evaluate("(s => s.outlineStyle === 'solid' || document.activeElement.matches('select, input'))(getComputedStyle(document.activeElement))")
        assert len(reached) < 40
    assert reached[:3] == ["text", "show", "action"] and "Last seen" in reached
    page.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert "What to do" in text(page, ".details")
    page.press("Tab")
    page.press("Tab", shift=True)
    page.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"


# For everybody

def test_a_screen_reader_finds_landmarks_headings_and_names(open_at):
    page, _ = open_at(World(20), "#clients")
    ready(page)
    nodes = page.accessible()
    roles = [node["role"] for node in nodes]
    for landmark in ("banner", "navigation", "main", "contentinfo", "status", "search"):
        assert landmark in roles, landmark
    headings = [(node["level"], node["name"]) for node in nodes if node["role"] == "heading"]
    assert headings[0] == (1, "pgairlock") and (2, "Clients") in headings
    assert all(after - before <= 1 for (before, _), (after, _) in zip(headings, headings[1:]))
    for node in nodes:
        if node["role"] in ("button", "link", "textbox", "searchbox", "combobox", "table", "region", "img", "columnheader"):
            assert node["name"], node


@pytest.mark.parametrize("width", [1280, 390])
def test_tables_are_tables_also_where_they_look_like_cards(open_at, width):
    page, _ = open_at(World(20), "#clients")
    page.viewport(width)
    ready(page)
    roles = [node["role"] for node in page.accessible()]
    assert roles.count("row") == 21 and roles.count("columnheader") >= 11 and roles.count("cell") >= 20 * 11


LOUDER = "Ünïcode " + "x" * 300


def hostile() -> World:
    world = World(20)
    world.clients[0] |= {"usename": ATTACK, "datname": ATTACK, "application_name": ATTACK, "note": ATTACK, "error": ATTACK, "key": "attack", "not_probed": ATTACK, "client_process": "/" + ATTACK,
                         "names": {"count": 12, "examples": [ATTACK]}}
    world.clients[1] |= {"usename": "a\u202egnp.exe", "application_name": "bell\u0007\u200bzero\u0000 \u2800", "datname": "שלום"}
    world.clients[2] |= {"usename": LOUDER, "datname": "y" * 63, "application_name": "z" * 500, "client_process": "/" + "w" * 400}
    world.sessions[0] |= {"usename": ATTACK, "application_name": ATTACK}
    world.sessions[1] |= {"usename": LOUDER, "application_name": "z" * 500}
    world.unknown.append(ATTACK)
    world.warnings.append({"severity": "critical", "what": "x", "text": "q" * 500, "since": None})
    return world


def test_nothing_that_a_client_sent_is_more_than_text(open_at):
    world = hostile()
    page, server = open_at(world, "#clients?open=attack")
    ready(page)
    server.audit("connected", usename=ATTACK, datname=ATTACK, message=ATTACK)
    for view in ("clients?open=attack", *VIEWS):
        page.evaluate(f"location.hash = '#{view}'")
        ready(page)
        assert page.evaluate("document.images.length") == 0 and page.evaluate("document.scripts.length") == 1
        assert not page.evaluate("document.title").startswith("owned")
    page.evaluate("location.hash = '#clients?open=attack'")
    page.until("document.querySelector('.details')")
    assert text(page, "tr[data-key=attack] > td:nth-child(2)").startswith(f"{ATTACK}@{ATTACK}")
    page.evaluate(f"location.hash = '#clients?{urllib.parse.urlencode({'text': ATTACK, 'sort': ATTACK, 'show': ATTACK})}'")
    page.until("document.querySelector('#view .count').textContent.startsWith('0 ')")


def test_characters_that_hide_or_turn_text_round_are_seen(open_at):
    page, _ = open_at(hostile(), "#clients")
    ready(page)
    row = text(page, "table.clients > tbody > tr:nth-child(2) > td:nth-child(2)")
    assert "aU+202Egnp.exe@שלום" in row and "bellU+0007U+200BzeroU+0000 U+2800" in row
    assert page.evaluate("document.querySelectorAll('.odd').length") == 5
    assert page.evaluate("getComputedStyle(document.querySelector('.odd')).borderTopStyle") == "solid"


@pytest.mark.parametrize("width", [1280, 390, 320])
@pytest.mark.parametrize("view", ["now", "clients?open=attack&open=k1", *VIEWS[2:]])
def test_no_page_is_wider_than_its_window(open_at, width, view):
    page, server = open_at(hostile(), f"#{view}")
    page.viewport(width)
    ready(page)
    server.audit("upstream_failed", usename=LOUDER, datname="y" * 63, error="e" * 900)
    if view == "events":
        page.until("document.querySelector('.event')")
        page.evaluate("document.querySelector('.event summary').click()")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(f"[...document.querySelectorAll('#view *')].filter(e => e.getBoundingClientRect().right > {width} + 1 && !e.closest('.scroll, .unseen'))"
                         ".map(e => e.outerHTML.slice(0, 200))") == []
    if width == 390:
        assert page.evaluate("document.querySelector('#views ul').scrollWidth <= document.querySelector('#views ul').clientWidth")
        assert page.evaluate("[...document.querySelectorAll('.scroll:has(> .cards)')].every(s => s.scrollWidth <= s.clientWidth)")


CONTRAST = """(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = numbers(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length || e.closest('noscript')) continue;
    const [a, b] = [light(numbers(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push([ratio.toFixed(2), e.outerHTML.slice(0, 120)]);
  }
  return poor;
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_its_ground(open_at, scheme):
    expects(*NETWORK)
    page, server = open_at(World(20))
    page.scheme(scheme)
    server.audit("tls_failed", client_addr="10.0.0.9", error="alert unknown_ca (48)")
    for view in VIEWS:
        page.evaluate(f"location.hash = '#{view}'")
        ready(page)
        if view == "clients":
            unfold(page, "k0")
        assert page.evaluate(CONTRAST) == []  # WCAG 2, AA
    server.go_away()
    page.until("document.querySelector('#banner').innerText !== ''")
    assert page.evaluate(CONTRAST) == []
    server.come_back()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b)")
    assert (background > 600) == (scheme == "light")


def test_nothing_moves_by_itself(open_at):
    page, server = open_at(World(20))
    ready(page)
    server.now()
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_policy_lets_no_other_script_in(open_at):
    expects("Content Security Policy")
    page, _ = open_at(World(1))
    ready(page)
    page.evaluate("{ const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s); }")
    assert page.evaluate("document.title") != "1"
