"""`doctor` finds what is wrong with an app, and never fails itself."""

import re
from pathlib import Path

import pytest

from asgi_serial.cli.findings import Code, Level
from tests.apps import sites
from tests.cache.places import ENCODED, at_cluster, at_sentinel, at_socket, at_tls
from tests.cache.services import free_port, redis_server
from tests.cli.commands import ROOT, run
from tests.pages import read_page

PAGE = read_page("command-line")


def codes(ended):
    return sorted({finding["code"] for finding in ended.document["findings"]})


def found(ended, code):
    return [one for one in ended.document["findings"] if one["code"] == code]


@pytest.fixture(scope="module")
def misplaced():
    return run("doctor", "tests.apps.misplaced:app", "--json")


def test_every_misplaced_part_is_found(misplaced):
    assert misplaced.code == 1
    assert codes(misplaced) == [
        "base-http-inside",
        "base-http-outside",
        "compressed-inside",
        "compressed-outside",
        "not-outermost",
        "path-shadows-route",
        "path-within-route",
        "pattern-without-route",
        "policy-above-route",
        "policy-not-routed",
        "route-fails",
    ]


@pytest.mark.parametrize(
    ("code", "where", "message"),
    [
        ("policy-above-route", "tests/apps/misplaced.py:", "above to GET /above"),
        ("path-shadows-route", "report_path", "'/report'"),
        ("path-within-route", "purge_path", "/items/{number}"),
        ("pattern-without-route", "routes", "'/itmes'"),
        ("policy-not-routed", "/hidden", "/hidden"),
        ("route-fails", "/fails", "RuntimeError('on purpose')"),
        ("not-outermost", "layer 3 of 7", "tests.apps.misplaced.Plain"),
        ("base-http-outside", "tests/apps/misplaced.py:", "tests.apps.misplaced.outside"),
        ("base-http-inside", "layer 7 of 7", "tests.apps.misplaced.Inside"),
        ("compressed-outside", "layer 4 of 7", "GZipMiddleware"),
        ("compressed-inside", "layer 6 of 7", "GZipMiddleware"),
    ],
)
def test_a_finding_says_what_and_where_it_is(misplaced, code, where, message):
    (finding,) = found(misplaced, code)
    assert where in finding["where"]
    assert message in finding["message"]
    assert finding["what_to_do"] == Code(code).remedy


def test_requests_say_what_would_be_cached_and_why_not(misplaced):
    rows = {row["route"]: row for row in misplaced.document["requests"]}
    assert sorted(rows) == ["/above", "/fails", "/hidden", "/teapot"]
    assert (rows["/above"]["status"], rows["/above"]["cache"]) == (200, "no-freshness")
    assert (rows["/fails"]["status"], rows["/fails"]["cache"]) == (500, "failed")
    assert {"about": "storage", "name": "no-freshness"}.items() <= {
        **next(one for one in rows["/above"]["reasons"] if one["name"] == "no-freshness")
    }.items()


def test_only_get_is_sent(misplaced):
    assert "a method that is not safe" not in misplaced.err + misplaced.out


def test_a_dry_run_does_not_start_the_app():
    ended = run("doctor", "tests.apps.misplaced:app", "--dry-run", "--json")
    assert ended.document["requests"] == []
    assert "policy-above-route" in codes(ended)
    assert "route-fails" not in codes(ended)


@pytest.mark.parametrize("name", sites.FRAMEWORKS)
def test_an_app_of_any_framework_without_faults_is_fine(name):
    ended = run("doctor", f"tests.apps.sites:{name}", "--path", "/items/7", "--json")
    assert ended.code == 0, ended.out + ended.err
    rows = {row["route"]: row for row in ended.document["requests"]}
    assert (rows["/items/7"]["status"], rows["/items/7"]["cache"]) == (200, "stored")
    if name == "plain":
        assert codes(ended) == ["routes-unknown"]
    else:
        assert rows["/"]["cache"] == "stored"
        assert codes(ended) == []


@pytest.mark.parametrize(
    ("spec", "code", "expected"),
    [
        ("strange:hostile", 1, {"check-failed"}),
        ("strange:odd", 1, {"route-fails", "routes-unknown"}),
        ("strange:wrapped", 1, {"nested", "routes-unknown"}),
        ("strange:circular", 0, {"routes-unknown"}),
        ("strange:alone", 1, {"no-middleware", "routes-unknown"}),
        ("wrong_settings:app", 1, {"settings-wrong"}),
        ("wrong_later:app", 1, {"settings-wrong"}),
        ("elsewhere:litestar_app", 1, {"cached-elsewhere", "compressed-inside"}),
        ("elsewhere:outer", 1, {"nested", "compressed-inside", "path-within-route"}),
        ("elsewhere:stuck", 1, {"startup-failed", "routes-unknown"}),
        ("elsewhere:off", 1, {"turned-off", "routes-unknown"}),
        ("elsewhere:users", 1, {"users-not-shared", "store-not-shared", "routes-unknown"}),
        ("elsewhere:refused", 1, {"store-refused", "routes-unknown"}),
    ],
)
def test_a_strange_app_is_a_finding(spec, code, expected):
    ended = run("doctor", f"tests.apps.{spec}", "--path", "/", "--json")
    missing = expected - set(codes(ended))
    assert (ended.code, missing) == (code, set()), ended.out + ended.err
    assert "Traceback" not in ended.err


def test_a_path_that_litestar_does_not_pass_on_is_found():
    (found,) = (
        finding
        for finding in run("doctor", "tests.apps.elsewhere:litestar_app", "--json").document[
            "findings"
        ]
        if finding["code"] == "path-not-served"
    )
    assert (found["where"], found["level"]) == ("report_path", "warning")
    assert "path-not-served" not in codes(
        run("doctor", "tests.apps.elsewhere:litestar_wrapped", "--dry-run", "--json")
    )


def test_compression_and_caching_by_django_are_seen():
    ended = run("doctor", "tests.apps.elsewhere_django:app", "--json")
    assert {"compressed-inside", "cached-elsewhere"} <= set(codes(ended)), ended.out + ended.err


def test_wrong_settings_are_named_as_at_a_start():
    ended = run("doctor", "tests.apps.wrong_settings:app")
    assert ended.code == 1
    assert "error settings-wrong" in ended.out
    assert "gzip_levl is not a setting; did you mean gzip_level?" in ended.out


def test_a_variable_that_turns_off_what_the_code_asks_for_is_noted():
    ended = run("doctor", "examples.caching:app", "--json", "--dry-run", ASGI_SERIAL_CACHE="off")
    (finding,) = found(ended, "setting-overridden")[:1]
    assert "although ASGI_SERIAL_CACHE is off" in finding["message"]


@pytest.fixture(scope="module")
def redis():
    with redis_server() as service:
        yield service


def test_a_store_is_tried_and_left_as_it_was(redis):
    url = f"redis://127.0.0.1:{redis.port}/0"
    ended = run("doctor", "examples.fastapi_app:app", "--json", ASGI_SERIAL_CACHE_URL=url)
    (store,) = ended.document["stores"]
    assert (store["store"], store["reached"], store["is_shared"]) == (url, True, True)
    assert sorted(store["seconds"]) == ["delete", "get", "set"]
    assert all(0 < seconds < 60 for seconds in store["seconds"].values())
    assert {row["cache"] for row in ended.document["requests"]} >= {"stored"}
    # Neither the probe nor a response is left.
    assert run("doctor", "examples.fastapi_app:app", "--no-store", "--json").code == 0
    assert _keys_of(redis) == []


@pytest.mark.parametrize(
    "place", [at_socket, at_tls, at_sentinel, at_cluster], ids=lambda place: place.__name__
)
def test_a_store_at_any_url_is_tried(place):
    with place() as url:
        ended = run("doctor", "examples.fastapi_app:app", "--json", ASGI_SERIAL_CACHE_URL=url)
    (store,) = ended.document["stores"]
    assert (store["reached"], store["is_shared"]) == (True, True)
    assert store["store"].partition(":")[0] == url.partition(":")[0]
    assert ENCODED not in ended.out + ended.err


def test_an_unknown_option_of_a_url_is_named():
    url = "redis://:s3cret@localhost?socket_timeout=1"
    ended = run("doctor", "examples.fastapi_app:app", "--dry-run", ASGI_SERIAL_CACHE_URL=url)
    assert ended.code == 1
    assert "has the unknown option 'socket_timeout' in its query (it may have db)" in " ".join(
        (ended.out + ended.err).split()
    )
    assert "s3cret" not in ended.out + ended.err


def _keys_of(service):
    import redis as client

    with client.Redis(port=service.port) as known:
        return known.keys("*")


def test_a_store_that_is_not_there_is_an_error():
    url = f"redis://user:secret@127.0.0.1:{free_port()}/0"
    ended = run("doctor", "examples.fastapi_app:app", "--dry-run", ASGI_SERIAL_CACHE_URL=url)
    assert ended.code == 1
    assert "error store-unreachable  (cache_url)" in ended.out
    assert "secret" not in ended.out + ended.err


def test_a_store_that_needs_a_password_has_refused():
    with redis_server("--requirepass", "right") as service:
        url = f"redis://:wrong@127.0.0.1:{service.port}/0"
        ended = run(
            "doctor", "examples.fastapi_app:app", "--dry-run", "--json", ASGI_SERIAL_CACHE_URL=url
        )
    assert ended.code == 1
    assert {"store-refused", "store-unreachable"} & set(codes(ended))


@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["text", "json"])
def test_what_an_app_prints_does_not_spoil_the_result(arguments):
    ended = run("doctor", "tests.apps.noisy:app", *arguments)
    if arguments:
        assert ended.document["app"] == "tests.apps.noisy:app"
        assert "imported" in ended.err
    else:
        assert "imported" in ended.out


def test_the_text_is_plain_where_there_is_no_terminal(misplaced):
    ended = run("doctor", "tests.apps.misplaced:app", "--dry-run")
    assert "\033" not in ended.out + ended.err
    assert re.search(r"^\d errors, \d warnings, \d notes\.$", ended.out, re.MULTILINE)


@pytest.mark.parametrize("code", Code, ids=lambda code: code.value)
def test_the_page_lists_every_finding_with_its_level(code):
    assert re.search(rf"^\| `{code.value}` \| {code.level.value} \| ", PAGE, re.MULTILINE)


def test_the_page_lists_no_other_finding():
    listed = re.findall(
        rf"^\| `([\w-]+)` \| (?:{'|'.join(each.value for each in Level)}) \|", PAGE, re.M
    )
    assert listed == [code.value for code in Code]


def test_remedies_end_without_a_full_stop():
    assert [code for code in Code if code.remedy.endswith(".")] == []
    assert Path(ROOT).is_dir()
