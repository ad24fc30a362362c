"""Swagger UI shows the formats of a route, and calls it in each of them."""

import json

import pytest

from .browser import open_browser
from .serving import uvicorn_of

ALL = ["application/json", "application/vnd.msgpack", "application/cbor"]

# Resolves once an expression has a value; the page is built by scripts after it has been loaded.
AWAITED = """new Promise((resolve) => {{
  const look = () => {{
    const found = {expression};
    found ? resolve(JSON.stringify(found)) : setTimeout(look, 20);
  }};
  look();
}})"""

MEDIA_TYPES = """(() => {
  const selects = [...document.querySelectorAll(".opblock select")];
  const found = selects.map((one) => [...one.options].map((option) => option.value));
  return found.length < 2 ? null : found;
})()"""
CHOOSE = """(() => {
  const select = document.querySelector(".response-control-media-type select");
  const {set} = Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, "value");
  set.call(select, "application/cbor");
  select.dispatchEvent(new Event("change", {bubbles: true}));
  document.querySelector(".try-out__btn").click();
})()"""
EXECUTE = """(() => {
  const button = document.querySelector(".execute");
  button?.click();
  return Boolean(button);
})()"""
ANSWER = "document.querySelector('.live-responses-table tr.response')?.innerText"


@pytest.fixture(scope="module")
def server():
    with uvicorn_of("tests.apps.documented:app") as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    with open_browser() as one:
        yield one


def awaited(page, expression):
    result = page.call(
        "Runtime.evaluate",
        expression=AWAITED.format(expression=expression),
        awaitPromise=True,
        returnByValue=True,
    )
    assert "exceptionDetails" not in result, result
    return json.loads(result["result"]["value"])


@pytest.mark.parametrize(
    ("document", "status"),
    [("/fastapi/openapi.json", "200"), ("/schema/openapi.json", "201")],
)
def test_swagger_ui_offers_each_format_and_gets_it(server, browser, document, status):
    with browser.page() as page:
        page.open(f"{server.url}/docs?document={document}")
        shown = awaited(page, MEDIA_TYPES)
        assert shown[:2] == [ALL, ALL]
        page.evaluate(CHOOSE)
        awaited(page, EXECUTE)
        answer = awaited(page, ANSWER)
        assert answer.startswith(status)
        assert "content-type: application/cbor" in answer
        assert page.complaints() == []
