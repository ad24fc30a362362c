"""Visitors with analytics cookies share what is stored: over uvicorn, and in a browser."""

import json
import signal

import pytest

from tests.cache.services import free_port, redis_server

from .browser import open_browser
from .serving import serving, uvicorn_of

VISITORS = 30


def visitor(number):
    return f"_ga=GA1.1.{number}.1; _ga_X{number}=GS2.1.s{number}; _gid=GA1.1.{number}"


@pytest.fixture(scope="module", params=["", "redis"], ids=["in memory", "over Redis"])
def site(request):
    if not request.param:
        with uvicorn_of("tests.integration.visited:app", "--lifespan", "off") as server:
            yield server
        return
    with redis_server() as store:
        environ = {"STORE_URL": f"redis://127.0.0.1:{store.port}"}
        arguments = ("tests.integration.visited:app", "--lifespan", "off")
        with uvicorn_of(*arguments, environ=environ) as server:
            yield server


@pytest.mark.parametrize("path", ["/plain", "/varying"])
def test_thirty_visitors_with_cookies_of_their_own_make_one_call(site, path):
    before = len(site.get("/calls").value)
    answers = [site.get(path, cookie=visitor(number)) for number in range(VISITORS)]
    answers.append(site.get(path))
    calls = site.get("/calls").value[before:]
    assert calls == [path]
    assert [answer.cache for answer in answers] == ["fwd=uri-miss", *["hit"] * VISITORS]
    assert {json.dumps(answer.value["cookies"]) for answer in answers} == {"[]"}

    # A session beside them still keeps the request out, and nobody else sees what it is shown.
    for number in (1, 2, 1):
        for cookies in (f"{visitor(number)}; session={number}", f"session={number}; _ga=1"):
            answer = site.get(path, cookie=cookies)
            assert answer.cache != "hit"
            assert f"session={number}" in answer.value["cookies"][0]
            assert "stored" not in answer.fields["cache-status"]
    answer = site.get(path, cookie=visitor(99))
    assert (answer.cache, answer.value["cookies"]) == ("hit", [])


def of_each(page, event, name):
    """The value of a field in each request for, or response of, the cities."""
    sent = [one["params"] for one in page.events if one["method"] == "Network.requestWillBeSent"]
    numbers = {one["requestId"] for one in sent if one["request"]["url"].endswith("/cities")}
    found = [one["params"] for one in page.events if one["method"] == f"Network.{event}"]
    return [
        value
        for one in found
        if one["requestId"] in numbers
        for key, value in one["headers"].items()
        if key.lower() == name
    ]


def test_a_browser_that_loads_the_cached_page_of_the_demo_twice_gets_a_hit():
    port, outcomes, shown = free_port(), [], []
    with (
        serving(["-m", "asgi_serial", "demo", "--port", str(port)], port) as demo,
        open_browser() as browser,
    ):
        for cookie in ("GA1.1.111.1", "GA1.1.222.2"):  # two visitors
            with browser.page() as page:
                page.call("Network.setCookie", name="_ga", value=cookie, url=demo.url)
                for _ in range(2):
                    page.open(f"{demo.url}/cities")
                    shown.append(page.evaluate("document.body.innerText"))
                    page.open("about:blank")  # a second time, not a reload
                assert (
                    of_each(page, "requestWillBeSentExtraInfo", "cookie") == [f"_ga={cookie}"] * 2
                )
                said = of_each(page, "responseReceivedExtraInfo", "cache-status")
                outcomes += [one.split("; ")[1] for one in said]
        assert outcomes == ["fwd=uri-miss", "hit", "hit", "hit"]
        assert len(set(shown)) == 1
        assert json.loads(shown[0])[0]["name"] == "Lisbon"

        report = demo.get("/timing", accept="application/json", host="localhost").value
        found = [one["cache"] for one in report["routes"] if one["route"] == "/cities"]
        assert sum(one["hit"] for one in found) == 3
        assert sum(one["miss"] for one in found) == 1
        demo.client.close()
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(120) == 0
