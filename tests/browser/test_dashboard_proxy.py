"""The dashboard of a running proxy, and of `pgairlock dashboard`, in Chromium: that the page and the API under it fit. test_dashboard.py has the rest."""

import json
import re
import signal
import subprocess

import psycopg2
import pytest

import chromium
from harness import programs
from harness.inventory import DAY, Inventory
from harness.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(not chromium.executable(), reason="no chromium: apt-get install chromium")

EXPECTED = ("net::ERR_", "status of 503")  # what Chromium itself says of a server that is away, and of one that has no report yet
ATTACK = "<img src=x onerror=\"document.title='owned'\">"  # PostgreSQL cuts names at 63 bytes
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def page(browser):
    browser.complaints.clear()
    browser.requests.clear()
    yield browser
    asked = {url.split("/")[2] for url in browser.requests if url.startswith("http")}
    complaints = [c for c in browser.complaints if not any(known in json.dumps(c) for known in EXPECTED)]
    browser.open("about:blank")
    browser.log_out()
    assert complaints == []
    assert len(asked) == 1  # nobody but the proxy


def url(address) -> str:
    return f"http://{address[0]}:{address[1]}/"


def shows(page, view: str, *texts: str) -> None:
    page.evaluate(f"location.hash = '#{view}'")
    for text in texts:
        page.until(f"document.querySelector('#view-title')?.textContent.toLowerCase() === '{view}' && "
                   f"document.querySelector('#view').innerText.includes({json.dumps(text)})")


def test_a_running_proxys_dashboard_shows_it_and_follows_it(page, start, connect):
    proxy = start(admin={"http": "127.0.0.1:0"})
    for sslmode in ("disable", "disable", "require"):
        connect(proxy, sslmode=sslmode, application_name=ATTACK)
    page.open(url(proxy.http))
    page.until("document.querySelector('.big')?.textContent === '3'")
    shows(page, "now", "2 in clear text", ATTACK, "legacy")
    page.until("document.querySelector('.tile b').textContent !== 'not known'")
    extra = connect(proxy, application_name="fourth")
    page.until("document.querySelector('.big').textContent === '4'")
    shows(page, "now", "fourth")
    extra.close()
    page.until("document.querySelector('.big').textContent === '3'")
    shows(page, "clients", "enable TLS", ATTACK, "in clear")
    page.evaluate("document.querySelector('.unfold').click()")
    page.until("document.querySelector('.details')?.innerText.includes('clear_startup')")
    shows(page, "servers", "verified", "not rehearsed", "from cert_file", "Test New CA")
    shows(page, "rotation", "not ready now, of")
    shows(page, "captures", "No capture is known to run")
    shows(page, "events", "connected", "fourth")
    with pytest.raises(psycopg2.OperationalError):
        connect(proxy, dbname="nowhere")
    shows(page, "events", "auth_failed")
    assert page.evaluate("document.images.length") == 0 and not page.evaluate("document.title").startswith("owned")
    assert page.evaluate("document.querySelector('#banner').innerText") == ""


def test_a_proxy_that_goes_away_is_said_and_the_next_at_its_place_is_found(page, start, connect):
    proxy = start(admin={"http": "127.0.0.1:0"}, runtime={"name": "first"})
    address = proxy.http
    page.open(url(address))
    shows(page, "now", "Open sessions")
    proxy.stop()
    page.until("document.querySelector('#banner').innerText.startsWith('Not connected since ')")
    again = start(admin={"http": f"{address[0]}:{address[1]}"}, runtime={"name": "second"})
    connect(again)
    page.until("document.querySelector('#banner').innerText === '' && document.querySelector('#who').innerText.startsWith('second') && "
               "document.querySelector('.big').textContent === '1'")


def test_a_token_is_the_password_that_the_browser_asks_for(page, start, directory):
    token = directory / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    proxy = start(admin={"http": "127.0.0.1:0", "http_token_file": str(token)})
    page.log_in("anybody", TOKEN)
    page.open(url(proxy.http))
    shows(page, "now", "Open sessions")
    page.until("document.querySelector('#pulse').innerText.startsWith('live')")


def test_a_fleets_dashboard_shows_the_clients_of_all_proxies(page, directory):
    inventories = []
    for name in ("app-1", "app-2"):
        made = Inventory(directory / name)
        made.client(f"user_of_{name}", "clear_startup", mode="plain", client_addr="10.0.0.1" if name == "app-1" else "10.0.0.2", last=made.start + DAY)
        made.certificate()
        made.close()
        inventories += ["--state-dir", directory / name]
    out = directory / "dashboard.out"
    with open(out, "wb") as to:
        process = subprocess.Popen(programs.with_death_signal([programs.PGAIRLOCK, "dashboard", "--listen", "127.0.0.1:0", *map(str, inventories)]),
                                   stdin=subprocess.DEVNULL, stdout=to, stderr=subprocess.STDOUT)
    try:
        place = until(lambda: re.search(r"dashboard at (\S+)\n", out.read_text()), what="the dashboard listens").group(1)
        page.open(url(place.rsplit(":", 1)))
        shows(page, "now", "app-1", "app-2", "each proxy's own dashboard does")
        shows(page, "clients", "user_of_app-1@orders", "user_of_app-2@orders")
        shows(page, "servers", "10.1.0.1:5432")
        shows(page, "rotation", "not ready now")
        shows(page, "events", "each proxy's own dashboard does")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
