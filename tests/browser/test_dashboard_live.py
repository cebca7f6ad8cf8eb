"""How the dashboard's page stays new without disturbing its reader, and what it does when the proxy is away."""

import json

import pytest

import chromium
from dashboard_page import NETWORK, expects, fetched, ready, rows, text, unfold, write
from dashboard_server import Server
from dashboard_world import World, at, client, session

pytestmark = pytest.mark.skipif(not chromium.executable(), reason="no chromium: apt-get install chromium")


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
        server.world.warnings.append({"severity": "critical", "what": "host_down", "text": "the server 10.1.0.3:5432 of orders does not serve",
                                      "since": None})
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
    write(page, "tls_failed", "[data-bind=show]")
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
    page.evaluate("window.said = 0; new MutationObserver(() => ++said)"
                  ".observe(document.getElementById('banner'), {childList: true, subtree: true, characterData: true})")
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
