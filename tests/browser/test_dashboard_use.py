"""The dashboard's page in use: addresses, filter, order, keyboard, screen reader, narrow and dark screens, and names that attack it."""

import urllib.parse

import pytest

import chromium
from dashboard_page import ATTACK, NETWORK, VIEWS, expects, press_heading, ready, rows, text, unfold, write
from dashboard_world import World

pytestmark = pytest.mark.skipif(not chromium.executable(), reason="no chromium: apt-get install chromium")


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
    write(page, "not_ready", "[data-bind=show]")
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
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle === 'solid' || document.activeElement.matches('select, input')")
        assert len(reached) < 40
    assert reached[:3] == ["text", "show", "action"] and "Last seen" in reached
    page.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert "What to do" in text(page, ".details")
    page.press("Tab")
    page.press("Tab", shift=True)
    page.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"


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
    world.clients[0] |= {"usename": ATTACK, "datname": ATTACK, "application_name": ATTACK, "note": ATTACK, "error": ATTACK, "key": "attack",
                         "not_probed": ATTACK, "client_process": "/" + ATTACK,
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
    assert page.evaluate("[...document.querySelectorAll('#view *')]"
                         f".filter(e => e.getBoundingClientRect().right > {width} + 1 && !e.closest('.scroll, .unseen'))"
                         ".map(e => e.outerHTML.slice(0, 200))") == []
    if width == 390:
        assert page.evaluate("document.querySelector('#views ul').scrollWidth <= document.querySelector('#views ul').clientWidth")
        assert page.evaluate("[...document.querySelectorAll('.scroll:has(> .cards)')].every(s => s.scrollWidth <= s.clientWidth)")


CONTRAST = """(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
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
