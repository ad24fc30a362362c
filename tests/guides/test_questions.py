"""The pages of questions and recipes say what happens: their tables and their apps are tried."""

import json
import os
import re
import subprocess
import sys

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from asgi_serial import SerialMiddleware
from asgi_serial.reasons import Reason
from tests.cache.services import redis_server
from tests.engine.driver import awaited, settled
from tests.pages import blocks_of, programs_of, read_page, run_program, titled_blocks_of

from .asking import ask, module_of, part_of_cache, rows_of, serving

TOKENS = {reason.token: reason for reason in Reason}
# Words of the tables that are no reasons of ours.
OTHER_DETAILS = {"request-has-unknown-field:x-token", "request-has-unkeyed-field:x-forwarded-host"}


def app_of(fields, **settings):
    """An app that answers all requests with these fields."""

    async def answer(request):
        return JSONResponse([1], headers=fields)

    return SerialMiddleware(Starlette(routes=[Route("/", answer)]), **settings)


async def twice(app, path="/", **fields):
    """How the cache takes part in the second of two equal requests."""
    async with serving(app) as client:
        await ask(client, "GET", path, **fields)
        return part_of_cache(await ask(client, "GET", path, **fields))


@pytest.mark.parametrize("page", ["not-cached", "django"])
def test_the_details_of_cache_status_are_reasons(page):
    details = set(re.findall(r"`detail=([\w:-]+)`", read_page(page))) - OTHER_DETAILS
    assert details <= TOKENS.keys()


def test_the_reasons_of_compression_are_reasons():
    named = [name.strip("`") for name, *_ in rows_of("not-compressed", "| reason | because | do |")]
    assert len(named) == 10
    assert {TOKENS[name].about for name in named} <= {"coding", "content"}


# Who shares what: what the request has, what the response says, and what comes of it.
SHARING = [
    ({}, "", {"cache_ttl": "60s"}, "hit"),
    ({}, "max-age=60", {}, "hit"),
    ({"x_token": "1"}, "", {"cache_ttl": "60s"}, "request-has-unknown-field:x-token"),
    ({"x_token": "1"}, "max-age=60", {}, "hit"),
    ({"cookie": "sid=1"}, "max-age=60", {}, "request-has-credentials"),
    ({"cookie": "sid=1"}, "public, max-age=60", {}, "hit"),
    ({"x_api_key": "1"}, "max-age=60", {}, "request-has-credentials"),
    ({"authorization": "Bearer 1"}, "max-age=60", {}, "request-has-credentials"),
    ({"authorization": "Bearer 1"}, "public, max-age=60", {}, "hit"),
    ({"authorization": "Bearer 1"}, "s-maxage=60", {}, "hit"),
    ({"authorization": "Bearer 1"}, "max-age=60, must-revalidate", {}, "hit"),
    ({"cookie": "sid=1"}, "", {"routes": {"/": {"cache_ttl": 60, "cache_shared": True}}}, "hit"),
]


@pytest.mark.parametrize(("fields", "says", "settings", "expected"), SHARING)
@awaited
async def test_a_request_shares_as_the_table_says(fields, says, settings, expected):
    app = app_of({"cache-control": says} if says else {}, **settings)
    assert await twice(app, **fields) == expected


@awaited
async def test_the_page_of_sharing_keeps_users_apart():
    async with serving((await module_of("sharing", 0)).app) as client:
        await ask(client, "GET", "/prices")
        assert part_of_cache(await ask(client, "GET", "/prices", cookie="sid=ada")) == "hit"
    async with serving((await module_of("sharing", 1)).app) as client:
        await ask(client, "GET", "/rates")
        assert part_of_cache(await ask(client, "GET", "/rates", cookie="sid=ada")) == "hit"
    program = next(one for one in programs_of(blocks_of(read_page("sharing"))) if "/me/**" in one)
    module = await run_program(f"{program}\napp.add_api_route('/me/cart', lambda: 1)\n")
    async with serving(module.app) as client:
        said = [
            part_of_cache(await ask(client, "GET", "/me/cart", cookie=f"sid={user}"))
            for user in ("ada", "ada", "bob")
        ]
    assert said == ["stored", "hit", "stored"]


@awaited
async def test_a_preview_goes_past_the_cache():
    program = next(one for one in programs_of(blocks_of(read_page("sharing"))) if "skip=" in one)
    async with serving((await run_program(program)).app) as client:
        said = [
            part_of_cache(await ask(client, "GET", f"/articles{query}"))
            for query in ("", "?preview=1", "")
        ]
    assert said == ["stored", "skipped", "hit"]


@awaited
async def test_parameters_that_track_make_no_difference():
    program = f"{programs_of(blocks_of(read_page('cookies')))[1]}\n"
    route = "app.add_api_route('/offers', serial(cache_ttl=60)(lambda page=1: page))\n"
    async with serving((await run_program(program + route)).app) as client:
        answers = [
            await ask(client, "GET", f"/offers?page=2{more}")
            for more in ("&utm_id=7&fbclid=x", "&gclid=3", "", "&lang=de")
        ]
    assert [part_of_cache(one) for one in answers] == ["stored", "hit", "hit", "stored"]


LANGUAGES = rows_of("languages", "| the browser sends | the app sees |")


@pytest.mark.parametrize(("sent", "seen"), LANGUAGES)
@awaited
async def test_the_app_sees_one_of_its_languages(sent, seen):
    module = await module_of("languages")
    fields = {"accept_language": sent.strip("`")} if sent != "nothing" else {}
    async with serving(module.app) as client:
        answers = [await ask(client, "GET", "/greeting", **fields) for _ in "12"]
    assert [part_of_cache(one) for one in answers] == ["stored", "hit"]
    language = re.match(r"`([\w-]+)`", seen)[1]
    assert {one.json() for one in answers} == {module.GREETINGS[language]}


@awaited
async def test_languages_that_mean_the_same_share_an_entry():
    async with serving((await module_of("languages")).app) as client:
        said = [
            part_of_cache(await ask(client, "GET", "/greeting", accept_language=sent))
            for sent in ("de-CH,de;q=0.9,en;q=0.7", "de", "DE-at", "fr", "en-GB,en;q=0.9")
        ]
    assert said == ["stored", "hit", "hit", "stored", "hit"]


CDN = "| send | browsers | CDN | this cache |"


@pytest.mark.parametrize(("says", "browsers", "cdn", "here"), rows_of("deployment", CDN))
@awaited
async def test_a_field_means_to_this_cache_what_the_table_says(says, browsers, cdn, here):
    fields = dict(re.findall(r"`([\w-]+): ([^`]+)`", says))
    settings = {} if fields else {"cache_ttl": "60s"}
    async with serving(app_of(fields, **settings)) as client:
        answers = [await ask(client, "GET", "/") for _ in "12"]
    lifetime = int(re.search(r"ttl=(\d+)", answers[1].headers["cache-status"])[1])
    seconds = int(here.split()[0])
    assert seconds - 5 <= lifetime <= seconds


PROXIES = "| the proxy sends | without a setting | do |"
EXPECTED = {
    "it is part of the key": "hit",
    "they are known to be harmless": "hit",
    "the request bypasses the cache": "request-has-unkeyed-field",
    "the field bypasses the cache": "request-has-unkeyed-field",
    "it is a request with credentials": "request-has-credentials",
}


@pytest.mark.parametrize(
    ("field", "happens"),
    [
        (field.lower(), happens)
        for names, happens, _ in rows_of("behind-a-proxy", PROXIES)
        for field in re.findall(r"`([\w-]+)`", names)
        if field not in ("root_path", "Host")
    ],
)
@awaited
async def test_a_field_of_a_proxy_does_what_the_table_says(field, happens):
    expected = next(said for words, said in EXPECTED.items() if happens.startswith(words))
    said = await twice(app_of({}, cache_ttl="60s"), **{field: "1"})
    assert said.startswith(expected)


@awaited
async def test_a_field_that_nobody_knows_keeps_a_request_out_until_it_is_named():
    said = await twice(app_of({}, cache_ttl="60s"), x_country="NL")
    assert said == "request-has-unknown-field:x-country"
    named = app_of({}, cache_ttl="60s", cache_ignore_fields="x-country, x-edge-id")
    assert await twice(named, x_country="NL") == "hit"


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        ("_ga=1; _pk_id=2; _hjid=3; hubspotutk=4", "hit"),
        ("consent=yes; ab_7=b", "hit"),
        ("theme=dark", "hit"),
        ("sid=ada", "request-has-credentials"),
        ("_ga=1; sid=ada", "request-has-credentials"),
    ],
)
@awaited
async def test_cookies_do_what_the_recipe_says(cookie, expected):
    assert await twice((await module_of("cookies")).app, "/home", cookie=cookie) == expected


@awaited
async def test_a_cookie_of_the_key_has_a_response_for_each_value():
    async with serving((await module_of("cookies")).app) as client:
        said = [
            part_of_cache(await ask(client, "GET", "/home", cookie=f"theme={theme}"))
            for theme in ("dark", "light", "dark")
        ]
    assert said == ["stored", "stored", "hit"]


@awaited
async def test_a_mutation_of_graphql_runs_each_time_and_drops_the_queries():
    async with serving((await module_of("graphql")).app) as client:

        async def post(query):
            document = json.dumps({"query": query}).encode()
            answer = await ask(
                client, "POST", "/graphql", document, content_type="application/json"
            )
            return part_of_cache(answer)

        queries = ("{a}", "{a}", "{b}", "mutation {c}", "mutation {c}", "{a}")
        said = [await post(query) for query in queries]
    assert said == ["stored", "hit", "stored", "no-freshness", "no-freshness", "stored"]


@awaited
async def test_a_search_by_post_is_cached_by_its_body():
    async with serving((await module_of("graphql", 1)).app) as client:
        said = []
        # The handler's own options are known from the second request of a path on.
        for text in ("a", "b", "b", "c", "b"):
            body = json.dumps({"text": text}).encode()
            answer = await ask(client, "POST", "/search", body, content_type="application/json")
            said.append(part_of_cache(answer))
    assert said[-3:] == ["hit", "stored", "hit"]


@awaited
async def test_an_origin_has_an_entry_of_its_own_and_a_preflight_is_not_cached():
    async with serving((await module_of("cors")).app) as client:
        answers = [
            await ask(client, "GET", "/prices", origin=f"https://{host}")
            for host in ("shop.example", "shop.example", "evil.example")
        ]
        preflight = await ask(
            client,
            "OPTIONS",
            "/prices",
            origin="https://shop.example",
            access_control_request_method="GET",
        )
    assert [part_of_cache(one) for one in answers] == ["stored", "hit", "stored"]
    allowed = [one.headers.get("access-control-allow-origin") for one in answers]
    assert allowed == ["https://shop.example"] * 2 + [None]
    assert part_of_cache(preflight) == "method-not-cached"


PRECOMPRESSED = """
import brotli
from starlette.responses import Response

seen = []


async def serve(request):
    seen.append(request.headers.get("accept-encoding"))
    takes_br = seen[-1] == "br"
    fields = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "br"} if takes_br else {})
    body = brotli.compress(b"x" * 1000) if takes_br else b"x" * 1000
    return Response(body, media_type="text/css", headers=fields)


app = Starlette(routes=[Mount("/static", routes=[Route("/app.css", serve)])])
"""


@awaited
async def test_an_app_chooses_among_precompressed_files_where_compression_is_off():
    first, second = blocks_of(read_page("static-files"))
    imports = "\n".join(first.splitlines()[:6]) + "\nfrom starlette.routing import Route\n"
    seen = []
    for added in (first.partition("app.add_")[2], second.partition("app.add_")[2]):
        added = added.removeprefix("middleware")
        module = await run_program(f"{imports}{PRECOMPRESSED}\napp.add_middleware{added}")
        async with serving(module.app) as client:
            said = [
                part_of_cache(
                    await ask(client, "GET", "/static/app.css", accept_encoding="identity")
                )
                for _ in "12"
            ]
            request = client.build_request(
                "GET", "/static/app.css", headers={"accept-encoding": "br"}
            )
            answer = await client.send(request, stream=True)
        assert said == ["stored", "hit"]
        seen.append((answer.headers["content-encoding"], module.seen))
    # Encoded here, of what is stored; and by the app, which was asked for this form.
    assert seen == [("br", ["identity", None]), ("br", ["identity", "br"])]


@awaited
async def test_an_event_stream_is_compressed_and_not_stored():
    program = programs_of(blocks_of(read_page("event-streams")))[0]
    program = program.replace("sleep(1)", "sleep(0)").replace("ware)", 'ware, cache_ttl="60s")')
    async with serving((await run_program(program)).app) as client:
        answer = await ask(client, "GET", "/events", accept_encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert part_of_cache(answer) == "event-stream"
    assert answer.text == "data: tick 0\n\ndata: tick 1\n\ndata: tick 2\n\n"


@awaited
async def test_the_page_of_purging_purges_by_tag():
    module = await module_of("purge")
    async with serving(module.app) as client:
        said = [
            part_of_cache(await ask(client, method, path))
            for method, path in (
                ("GET", "/articles"),
                ("GET", "/articles"),
                ("PUT", "/articles/3"),
                ("GET", "/articles"),
            )
        ]
    assert said == ["stored", "hit", "method-not-cached", "stored"]


@awaited
async def test_a_script_purges_what_an_app_has_stored():
    first, second = blocks_of(read_page("purge-from-elsewhere"))
    with redis_server() as store:
        url = f"redis://127.0.0.1:{store.port}/0"
        script = await run_program(first)
        module = await run_program(
            second.replace("redis://cache:6379/0", url).replace(
                "cache_url", 'cache_poll="50ms", cache_url'
            )
        )
        async with serving(module.app) as client:
            answers = [await ask(client, "GET", "/prices") for _ in "12"]
            assert [part_of_cache(one) for one in answers] == ["stored", "hit"]
            assert await script.import_prices(url)

            said = []
            while "stored" not in said:
                await settled(1)
                said.append(part_of_cache(await ask(client, "GET", "/prices")))
            assert set(said[:-1]) <= {"hit", "invalidated", "newer-stored"}


TESTS = """
def test_the_first_is_stored():
    asyncio.run(test_prices_are_cached())


def test_the_second_is_stored_as_well():
    asyncio.run(test_prices_are_cached())
"""


def run_pytest(folder, *arguments):
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if "ASGI_SERIAL" not in name},
        capture_output=True,
        text=True,
    )
    return ran.returncode, ran.stdout


def test_the_fixture_of_the_page_empties_the_cache_between_tests(tmp_path):
    app, check = blocks_of(read_page("testing"))
    check = check.replace("async def test_", "async def check_")
    tests = TESTS.replace("test_prices", "check_prices")
    (tmp_path / "test_shop.py").write_text(f"{app}\n{check}\n{tests}")
    code, output = run_pytest(tmp_path)
    assert (code, "2 passed" in output) == (0, True), output
    without = app.replace("    asyncio.run(purge(app, everything=True))\n", "")
    (tmp_path / "test_shop.py").write_text(f"{without}\n{check}\n{tests}")
    code, output = run_pytest(tmp_path)
    assert (code, "1 failed, 1 passed" in output) == (1, True), output


def test_the_variable_of_the_page_turns_the_cache_off(tmp_path):
    app, check = blocks_of(read_page("testing"))
    (tmp_path / "conftest.py").write_text(titled_blocks_of(read_page("testing"))["conftest.py"])
    check = check.replace("async def test_", "async def check_")
    (tmp_path / "test_shop.py").write_text(
        f"{app}\n{check}\n{TESTS.replace('test_pr', 'check_pr')}"
    )
    code, output = run_pytest(tmp_path)
    assert (code, "KeyError: 'cache-status'" in output) == (1, True), output


@awaited
async def test_a_response_explains_itself_as_the_pages_show():
    shown = re.search(r"^asgi-serial-why: (.+)$", read_page("not-cached"), re.M)[1]
    program = programs_of(blocks_of(read_page("not-cached")))[0]
    module = await run_program(f"{program}\napp.add_api_route('/prices', lambda: 1)\n")
    async with serving(module.app) as client:
        del client.headers["accept-encoding"]
        answer = await ask(client, "GET", "/prices")
    assert answer.headers["asgi-serial-why"] == shown


@awaited
async def test_the_key_has_a_digest_where_the_page_says_so():
    async with serving(app_of({}, cache_ttl="60s", cache_status_key=True)) as client:
        lines = [
            (await ask(client, "GET", f"/?{query}")).headers["cache-status"]
            for query in ("a=1&b=2", "b=2&a=1")
        ]
    digests = {re.search(r'key="?([^";]+)', line)[1] for line in lines}
    assert len(digests) == 2
