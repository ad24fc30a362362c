"""Each framework's page has an app that caches, purges and is measured as the page says."""

import json
import os
import subprocess
import sys

import pytest
from sanic import Sanic

from asgi_serial import timing_report
from tests.engine.driver import awaited
from tests.pages import ROOT, read_page, titled_blocks_of

from .asking import ask, module_of, part_of_cache, rows_of, serving

# In one process Sanic has one app of a name, whose methods are compiled for its settings.
Sanic.test_mode = True

PAGES = ("starlette", "fastapi", "litestar", "quart", "falcon", "blacksheep", "sanic", "plain-asgi")
NAMES = {
    "Starlette": "starlette",
    "FastAPI": "fastapi",
    "Litestar": "litestar",
    "Quart": "quart",
    "Falcon": "falcon",
    "BlackSheep": "blacksheep",
    "Sanic": "sanic",
}
HEAD_OF_TABLE = "| HEAD before the first GET | frameworks |"


def served(module):
    """The app that the page says to serve."""
    return getattr(module, "application", None) or module.app


@pytest.mark.parametrize("page", PAGES)
@awaited
async def test_the_app_of_the_page_caches_and_purges(page):
    app = served(await module_of(page))
    async with serving(app) as client:
        said = [
            part_of_cache(await ask(client, method, "/books/3"))
            for method in ("GET", "GET", "HEAD", "PUT", "GET")
        ]
        report = await ask(client, "GET", "/-/timing", host="localhost:8000")
    assert said == ["stored", "hit", "hit", "method-not-cached", "stored"]
    routes = {row["route"] for row in timing_report(app).to_dict()["routes"]}
    assert routes == {"/books/{number}"}
    assert report.status_code == 200
    assert "/books/{number}" in report.text


BEFORE_GET = [
    pytest.param(answer, page, id=f"{name}: {answer}")
    for answer, frameworks in rows_of("integrations/index", HEAD_OF_TABLE)
    for name, page in NAMES.items()
    if name in frameworks
]


def test_the_table_of_head_names_every_framework():
    assert sorted(row.values[1] for row in BEFORE_GET) == sorted(NAMES.values())


@pytest.mark.parametrize(("answer", "page"), BEFORE_GET)
@awaited
async def test_head_before_the_first_get_is_answered_as_the_table_says(answer, page):
    app = served(await module_of(page))
    async with serving(app) as client:
        status = (await ask(client, "HEAD", "/books/3")).status_code
    assert str(status) == answer if answer.isdigit() else status == 200


@awaited
async def test_what_stands_in_litestars_list_is_called_for_routes_only():
    module = await module_of("litestar", 1)
    async with serving(module.listed) as client:
        said = [await ask(client, "GET", "/books/3") for _ in range(2)]
        assert [part_of_cache(one) for one in said] == ["stored", "hit"]
        assert (await ask(client, "GET", "/-/timing")).status_code == 404
        assert (await ask(client, "HEAD", "/books/3")).status_code == 405
        assert "cache-status" not in (await ask(client, "GET", "/nowhere")).headers


@awaited
async def test_a_handler_of_fastapi_states_the_lifetime_for_all():
    async with serving((await module_of("fastapi", 1)).app) as client:
        first = await ask(client, "GET", "/prices")
        second = await ask(client, "GET", "/prices", cookie="sid=ada")
    assert first.headers["cache-control"] == "public, max-age=60"
    assert [part_of_cache(one) for one in (first, second)] == ["stored", "hit"]


# A project as Django's own command makes it, with what the page adds.
SETTINGS = """
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "config.urls"
SECRET_KEY = "x"
LOGGING_CONFIG = None
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
"""
MORE_VIEWS = """
from django.middleware.csrf import get_token
from django.views import View
from django.views.decorators.cache import cache_control, never_cache
from asgiref.sync import async_to_sync


@cache_control(public=True, max_age=60)
def for_all(request):
    return HttpResponse("all")


@serial(cache_ttl="60s")
def with_form(request):
    return HttpResponse(get_token(request))


@serial(cache_ttl="60s")
@never_cache
def never(request):
    return HttpResponse("never")


def plain(request):
    return HttpResponse("plain")


def plain_refresh(request):
    async_to_sync(purge)(request, tags=["books"])
    return HttpResponse(status=204)


class Titles(View):
    @serial(cache_ttl="60s")
    def get(self, request):
        return HttpResponse("titles")


class Others(View):
    def get(self, request):
        return HttpResponse("others")
"""
MORE_PATHS = """
urlpatterns += [
    path(view.__name__ + "/", view)
    for view in (views.for_all, views.with_form, views.never, views.plain, views.plain_refresh)
]
urlpatterns += [
    path("titles/", views.Titles.as_view()),
    path("others/", views.serial(cache_ttl="60s")(views.Others.as_view())),
]
"""
VISITS = """
import asyncio
import json

from asgi_serial import timing_report
from config.asgi import application
from tests.guides.asking import ask, part_of_cache, serving

COOKIE = {"cookie": "consent=yes"}


async def visit():
    said = {}
    async with serving(application) as client:
        for name, method, path, fields in (
            ("head first", "HEAD", "/books/", {}),
            ("first", "GET", "/books/", {}),
            ("second", "GET", "/books/", {}),
            ("head", "HEAD", "/books/", {}),
            ("with a cookie", "GET", "/books/", COOKIE),
            ("purge", "GET", "/refresh/", {}),
            ("after the purge", "GET", "/books/", {}),
            ("purge of a plain view", "GET", "/plain_refresh/", {}),
            ("after the second purge", "GET", "/books/", {}),
            ("for all", "GET", "/for_all/", {}),
            ("for all, with a cookie", "GET", "/for_all/", COOKIE),
            ("form", "GET", "/with_form/", {}),
            ("never", "GET", "/never/", {}),
            ("plain", "GET", "/plain/", {}),
            ("method", "GET", "/titles/", {}),
            ("method again", "GET", "/titles/", {}),
            ("view", "GET", "/others/", {}),
            ("view again", "GET", "/others/", {}),
        ):
            answer = await ask(client, method, path, **fields)
            said[name] = f"{answer.status_code} {part_of_cache(answer)}"
    said["routes"] = [row["route"] for row in timing_report(application).to_dict()["routes"]]
    print(json.dumps(said))


asyncio.run(visit())
"""


@pytest.fixture
def project(tmp_path):
    """A project of Django with the files of the page."""
    files = dict(titled_blocks_of(read_page("django")))
    files["config/settings.py"] = SETTINGS
    files["books/views.py"] += MORE_VIEWS
    files["config/urls.py"] += MORE_PATHS
    for path in ("config/__init__.py", "books/__init__.py"):
        files[path] = ""
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def run_in(project, program):
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{project}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_project_of_django_is_cached_as_the_page_says(project):
    said = json.loads(run_in(project, VISITS))
    routes = said.pop("routes")
    assert said == {
        "head first": "200 method-not-cached",
        "first": "200 stored",
        "second": "200 hit",
        "head": "200 hit",
        "with a cookie": "200 request-has-credentials",
        "purge": "204 no-freshness",
        "after the purge": "200 stored",
        "purge of a plain view": "204 no-freshness",
        "after the second purge": "200 stored",
        "for all": "200 stored",
        "for all, with a cookie": "200 hit",
        "form": "200 sets-cookie",
        "never": "200 no-store",
        "plain": "200 no-freshness",
        "method": "200 stored",
        "method again": "200 hit",
        "view": "200 stored",
        "view again": "200 hit",
    }
    assert {"/books/", "/refresh/", "/titles/"} <= set(routes)


def test_a_pattern_caches_a_view_of_django_that_nobody_has_touched(project):
    block = titled_blocks_of(read_page("django"))["config/asgi.py, with a pattern"]
    path = project / "config" / "asgi.py"
    path.write_text(path.read_text() + block)
    (project / "config" / "urls.py").write_text(
        "from django.urls import path\nfrom books import views\n"
        'urlpatterns = [path("feed/news/", views.plain)]\n'
    )
    program = (
        "import asyncio\n"
        "from config.asgi import application\n"
        "from tests.guides.asking import ask, part_of_cache, serving\n"
        "async def visit():\n"
        "    async with serving(application) as client:\n"
        "        print(*[part_of_cache(await ask(client, 'GET', '/feed/news/')) for _ in '12'])\n"
        "asyncio.run(visit())\n"
    )
    assert run_in(project, program).split() == ["stored", "hit"]
