"""The dashboard's page in the browser, for its tests: the fixtures, and how to read and use it."""

import json

import pytest

import chromium
from dashboard_server import Server
from dashboard_world import World

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
    lines = json.dumps(of + " > tbody > tr:not(.below)")
    return page.evaluate(f"[...document.querySelectorAll({lines})].map(r => r.cells[{column}].innerText.split('\\n')[0])")


def write(page, value: str, field: str = "[data-bind=text]") -> None:
    page.evaluate(f"{{ const f = document.querySelector({json.dumps(field)}); f.value = {json.dumps(value)};"
                  " f.dispatchEvent(new Event('input', {bubbles: true})); }")


def press_heading(page, title: str) -> None:
    page.evaluate(f"[...document.querySelectorAll('#view table.clients th button')].find(b => b.textContent === {json.dumps(title)}).click()")


def unfold(page, key: str) -> None:
    page.evaluate(f"document.querySelector('.unfold[data-value={json.dumps(key)}]').click()")


def fetched(server, name: str) -> int:
    return server.asked.count(f"/api/{name}.json")
