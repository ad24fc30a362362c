"""The page of the report in a real browser: what it shows, to whom, and on which screens."""

import json
import os
from pathlib import Path

import pytest

from .browser import open_browser
from .serving import uvicorn_of

TOKEN = "the-token-of-the-report"
PATH = "/-/timing"
HOSTILE = "/<script>alert(1)</script><img src=x onerror=alert(1)>"

# Each text that is seen, with its contrast to what is behind it, and its size.
CONTRASTS = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const parse = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const part = c[i] / 255;
    return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("svg, option, .skip, caption")) continue;
    if (!element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color)), light(behind(element))].sort((x, y) => y - x);
    found.push([walker.currentNode.data.trim().slice(0, 40), (a + 0.05) / (b + 0.05),
                parseFloat(style.fontSize)]);
  }
  return JSON.stringify(found);
})()"""


@pytest.fixture(scope="module")
def browser():
    with open_browser() as one:
        yield one


def ask_for_all(server):
    for path in ("/items", "/items", "/items", "/items/1", "/items/2", "/nowhere", "/broken"):
        server.get(path, accept_encoding="gzip")
    server.ask("POST", "/items", b"{}")
    ask_for_markup(server)


def ask_for_markup(server):
    server.get(HOSTILE.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20"))


@pytest.fixture(scope="module")
def site():
    with uvicorn_of("tests.integration.watched:app") as server:
        ask_for_all(server)
        yield server


@pytest.fixture(scope="module")
def guarded():
    environ = {"REPORT_TOKEN": TOKEN}
    with uvicorn_of("tests.integration.watched:app", environ=environ) as server:
        ask_for_all(server)
        yield server


def text_of(page):
    return page.evaluate("document.body.innerText")


def keep(page, name):
    """Keep a picture of the page for who wants to look at it: PICTURES=folder."""
    if os.environ.get("PICTURES"):
        height = page.evaluate("document.documentElement.scrollHeight")
        width = page.evaluate("innerWidth")
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        page.picture(Path(os.environ["PICTURES"], f"{name}.png"))


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_readable_on_every_screen(browser, site, width, dark, scripts):
    with browser.page(width=width, dark=dark, scripts=scripts) as page:
        page.open(site.url + PATH)
        assert page.evaluate("document.title") == "Timing report"
        text = text_of(page)
        for part in (
            *("/items/{number}", "Requests in the last hour", "From the cache", "µs", "kB"),
            *("Slowest requests", "Settings", "Versions", "Our own cost", "1 failed or 5xx"),
        ):
            assert part in text
        # Nothing lies beyond the edge of the screen.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        seen = json.loads(page.evaluate(CONTRASTS))
        assert len(seen) > 100
        assert [each for each in seen if each[1] < 4.5] == []
        assert [each for each in seen if each[2] < 12] == []
        shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
        red = int(shade.removeprefix("rgb(").split(",")[0])
        assert red < 64 if dark else red > 192
        assert page.complaints() == []
        keep(page, f"report-{width}-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("width", [360, 1280])
def test_a_screen_reader_finds_landmarks_tables_and_pictures(browser, site, width):
    with browser.page(width=width) as page:
        page.open(site.url + PATH)
        roles = page.roles()
        counts = {role: sum(one == role for one, _ in roles) for role, _ in roles}
        assert (counts["banner"], counts["main"], counts["contentinfo"]) == (1, 1, 1)
        assert {name for role, name in roles if role == "navigation"} == {"Refresh", "Sections"}
        assert ("heading", "Timing report") in roles
        assert ("region", "Routes") in roles
        tables = [name for role, name in roles if role == "table"]
        assert "Requests by route, method and status" in tables
        names = {name for role, name in roles if role == "columnheader"}
        if width > 600:
            assert {"Route", "Requests", "p50", "p95", "p99", "Sent"} <= names
        assert any("/items/{number}" in name for role, name in roles if role == "rowheader")
        assert counts["cell"] > 50
        pictures = [name for role, name in roles if role in ("image", "img")]
        assert any(name.startswith("Requests in the last hour: ") for name in pictures)
        assert any(name.startswith("p50 ") for name in pictures)
        assert "" not in pictures


def test_a_keyboard_is_enough(browser, site):
    with browser.page() as page:
        page.open(site.url + PATH)
        page.press("Tab")
        assert page.evaluate("document.activeElement.innerText") == "Skip to the figures"
        box = "document.activeElement.getBoundingClientRect()"
        assert page.evaluate(f"{box}.left >= 0 && {box}.top >= 0")
        style = "getComputedStyle(document.activeElement)"
        assert page.evaluate(f"{style}.outlineStyle") == "solid"
        page.press("Enter")
        assert page.evaluate("location.hash") == "#content"
        page.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")
        summary = "document.querySelector('summary')"
        page.evaluate(f"{summary}.focus()")
        page.press("Enter")
        assert page.evaluate(f"{summary}.parentElement.open") is True


def test_a_link_sorts_and_another_refreshes(browser, site):
    with browser.page(scripts=False) as page:
        page.open(site.url + PATH)
        sorted_by = "document.querySelector('[aria-sort]').innerText.trim()"
        assert page.evaluate(sorted_by) == "Total time ▾"
        page.act("[...document.querySelectorAll('thead a')].find(a => a.text === 'p95').click()")
        assert page.evaluate(sorted_by) == "p95 ▾"
        assert page.evaluate("location.search") == "?sort=p95"
        meta = "document.querySelector('meta[http-equiv=refresh]')"
        assert page.evaluate(f"{meta} === null")
        page.act("[...document.querySelectorAll('.choice a')].find(a => a.text === '5 s').click()")
        assert page.evaluate("location.search") == "?sort=p95&refresh=5"
        assert page.evaluate(f"{meta}.content") == "5"
        assert page.complaints() == []


def test_a_page_that_refreshes_is_loaded_again(browser, site):
    with browser.page(scripts=False) as page:
        page.open(f"{site.url}{PATH}?refresh=5")
        page.wait_for("Page.loadEventFired", 2)
        assert page.evaluate("document.title") == "Timing report"


def test_a_path_of_markup_is_text(browser):
    # Of many requests, only the slowest show their paths.
    with uvicorn_of("tests.integration.watched:app") as site, browser.page() as page:
        ask_for_markup(site)
        page.open(site.url + PATH)
        assert HOSTILE in text_of(page)
        assert page.evaluate("document.querySelectorAll('script, img').length") == 0
        assert page.complaints() == []


def test_no_script_runs_and_nothing_is_loaded_from_elsewhere(browser, site):
    """Even if one got into the page: the policy keeps it from running."""
    with browser.page() as page:
        page.open(site.url + PATH)
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'),"
            "{textContent: 'window.ran = true'}))"
        )
        assert page.evaluate("window.ran === undefined")
        assert "Content Security Policy" in page.complaints()[0]
        requested = [
            event["params"]["request"]["url"]
            for event in page.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        assert {url.partition(",")[0] for url in requested} <= {
            site.url + PATH,
            "data:image/svg+xml",
        }


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_browser_signs_in_and_out(browser, guarded, scripts):
    with browser.page(width=360, scripts=scripts) as page:
        page.open(guarded.url + PATH)
        assert "The report's token" in text_of(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        keep(page, "sign-in")
        field = "document.querySelector('input[name=token]')"
        page.act(f"{field}.value = 'wrong'; document.querySelector('button').click()")
        assert "This is not the token." in text_of(page)
        page.act(f"{field}.value = '{TOKEN}'; document.querySelector('button').click()")
        assert "Requests in the last hour" in text_of(page)
        (cookie,) = page.call("Network.getCookies", urls=[guarded.url + PATH])["cookies"]
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", PATH)
        assert page.call("Network.getCookies", urls=[guarded.url + "/items"])["cookies"] == []
        page.act("document.querySelector('footer button').click()")
        assert "The report's token" in text_of(page)
        assert page.call("Network.getCookies", urls=[guarded.url + PATH])["cookies"] == []
        refused = "Failed to load resource: the server responded with a status of 401"
        assert [line for line in page.complaints() if not line.startswith(refused)] == []


def test_a_link_opens_the_report_once(browser, guarded):
    bearer = {"authorization": f"Bearer {TOKEN}"}
    link = guarded.ask("POST", PATH, **bearer).body.decode().strip()
    with browser.page(scripts=False) as page:
        page.open(link)
        # The page that it opens leads on by itself.
        page.wait_for("Page.loadEventFired", 2)
        assert page.evaluate("location.href") == guarded.url + PATH
        assert "Requests in the last hour" in text_of(page)
    with browser.page() as page:
        page.open(link)
        assert "The report's token" in text_of(page)


def test_a_form_purges(browser, guarded):
    bearer = {"authorization": f"Bearer {TOKEN}"}
    guarded.get("/items")
    assert guarded.get("/items").cache == "hit"
    link = guarded.ask("POST", PATH, **bearer).body.decode().strip()
    with browser.page(scripts=False) as page:
        page.open(link)
        page.wait_for("Page.loadEventFired", 2)
        button = "document.querySelector('button[value=purge]').click()"
        fill = "document.querySelector('#purge-{}').value = '{}'; "
        target = fill.format("kind", "uri") + fill.format("value", "/items")
        page.act(target + fill.format("token", "wrong") + button)
        assert "the token is not the right one" in text_of(page)
        assert guarded.get("/items").cache == "hit"
        page.act(target + fill.format("token", "a-token-for-purging") + button)
        assert "The stored responses are purged." in text_of(page)
        assert page.complaints() == []
    assert guarded.get("/items").cache != "hit"


def test_a_page_of_another_site_cannot_purge(browser, guarded, site):
    """A page on another port is of another origin, though of the same site."""
    assert guarded.get("/items")
    assert guarded.get("/items").cache == "hit"
    with browser.page() as page:
        page.open(guarded.url + PATH)
        field = "document.querySelector('input[name=token]')"
        page.act(f"{field}.value = '{TOKEN}'; document.querySelector('button').click()")
        page.open(site.url + "/items/1")
        form = (
            f"<form method=post action='{guarded.url}{PATH}'>"
            "<input name=action value=purge-everything>"
            "<input name=token value=a-token-for-purging></form>"
        )
        page.act(f'document.body.innerHTML = "{form}"; document.querySelector("form").submit()')
        assert "was not sent by the page of the report" in text_of(page)
    assert guarded.get("/items").cache == "hit"
