"""`pgairlock report --format html` in Chromium: it shows, sorts and filters, loads nothing, and names from the wire stay text."""

import pytest

import chromium
from harness.inventory import DAY, Inventory
from harness.programs import pgairlock

pytestmark = pytest.mark.skipif(not chromium.executable(), reason="no chromium: apt-get install chromium")

ATTACK = "<img src=x onerror=\"document.title='owned'\"></td><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    inventory = Inventory(directory)
    day = inventory.start // DAY
    inventory.client("plain", "clear_startup", mode="plain", connections=9, days={day: {"plain": 6}, day + 2: {"plain": 3}},
                     last=inventory.start + 2 * DAY)
    inventory.client("web", "tls_startup_undistributed", connections=100, days={day: {"TLSv1.3": 10}, day + 1: {"TLSv1.2": 90}},
                     last=inventory.start + DAY)
    inventory.client("good", "untrusted_refused", "tls_startup", "wrong_name_refused", "candidate_accepted", connections=20)
    inventory.client(ATTACK, "tls_startup", application_name=ATTACK, connections=1)
    inventory.certificate(subject=ATTACK)
    inventory.close()
    file = directory / "report.html"
    file.write_text(pgairlock("report", "--state-dir", directory, "--format", "html", check=True).stdout)
    opened = chromium.Page().open(file)
    yield opened
    opened.close()


def column(page, number: int, table="clients") -> list[str]:
    return page.evaluate(f"[...document.querySelectorAll('#{table} tbody > tr')].filter(r => !r.hidden && r.closest('table').id === '{table}')"
                         f".map(r => r.cells[{number}].textContent)")


def click(page, title: str) -> None:
    page.evaluate(f"[...document.querySelectorAll('#clients > thead button')].find(b => b.textContent === '{title}').click()")


USER, CONNECTIONS = 1, 9  # columns


def test_the_worst_comes_first(page):
    assert column(page, USER)[:2] == ["plain@orders", "web@orders"]


def test_it_fits_a_screen_of_1280_pixels(page):
    page.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    assert page.evaluate("document.querySelector('#clients').getBoundingClientRect().right") <= 1280
    page.call("Emulation.clearDeviceMetricsOverride")


def test_a_click_sorts_by_number_and_another_turns_it_round(page):
    click(page, "Connections")
    assert column(page, CONNECTIONS) == ["1", "9", "20", "100"]
    click(page, "Connections")
    assert column(page, CONNECTIONS) == ["100", "20", "9", "1"]
    assert page.evaluate("document.querySelector('[aria-sort=descending]').textContent") == "Connections"


def test_a_click_sorts_by_text(page):
    click(page, "User@database")
    assert column(page, USER) == [f"{name}@orders" for name in (ATTACK, "good", "plain", "web")]


def test_words_and_the_action_filter(page):
    page.evaluate("text.value = 'GOOD'; text.dispatchEvent(new Event('input'))")
    assert column(page, USER) == ["good@orders"]
    assert page.evaluate("shown.textContent") == "1 of 4"
    page.evaluate("text.value = ''; text.dispatchEvent(new Event('input'));"
                  "action.value = 'enable TLS'; action.dispatchEvent(new Event('change'))")
    assert column(page, USER) == ["plain@orders"]
    page.evaluate("action.value = ''; action.dispatchEvent(new Event('change'))")
    assert len(column(page, USER)) == 4


def test_evidence_unfolds(page):
    height = "document.querySelector('#clients details').getBoundingClientRect().height"
    click_on = "document.querySelector('#clients details summary').click()"
    folded = page.evaluate(height)
    page.evaluate(click_on)
    assert page.evaluate(height) > folded + 20
    page.evaluate(click_on)
    assert page.evaluate(height) == folded


def test_the_pictures_are_there_and_styled(page):
    bars = page.evaluate("[...document.querySelectorAll('svg[role=img] rect')].map(r => [getComputedStyle(r).fill, r.textContent, "
                         "r.getBoundingClientRect().width, r.getBoundingClientRect().height])")
    assert len(bars) == 8  # four of connections, four of clients
    assert len({bar[0] for bar in bars}) == 3
    assert all(bar[2] > 1 and bar[3] > 1 for bar in bars)
    assert bars[0][1].endswith("6 of 37 connections in clear text")
    assert bars[4][1].endswith("1 of 4 clients in clear text only")


def test_nothing_that_a_client_sent_is_more_than_text(page):
    assert page.evaluate("document.title").startswith("pgairlock: migration report of ")
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.scripts.length") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(page, scheme):
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    luminance = page.evaluate("""[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color].map(color =>
        color.match(/\\d+/g).map(Number).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4))
        .map(([r, g, b]) => .2126 * r + .7152 * g + .0722 * b)""")
    assert (luminance[0] > luminance[1]) == (scheme == "light")
    assert (max(luminance) + .05) / (min(luminance) + .05) > 7  # WCAG 2, AAA


def test_it_prints_without_the_form(page):
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.evaluate("getComputedStyle(document.getElementById('filter')).display") == "none"
    page.call("Emulation.setEmulatedMedia", media="")
    assert page.evaluate("getComputedStyle(document.getElementById('filter')).display") == "flex"


def test_the_page_loads_nothing_and_complains_of_nothing(page):
    """Last: it looks back at all that the others did."""
    assert [url for url in page.requests if not url.startswith("file:///")] == []
    assert len(page.requests) == 1
    assert page.complaints == []


def test_the_policy_lets_no_other_script_in(page):
    page.evaluate("const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s)")
    assert page.evaluate("document.title") != "1"
