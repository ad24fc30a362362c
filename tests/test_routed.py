"""Only the function that a request was routed to permits something, in every framework."""

import asyncio
import functools
import logging
import sys
import types

import blacksheep
import django
import django.conf
import django.core.asgi
import django.http
import django.test.utils
import django.urls
import django.views
import falcon.asgi
import fastapi
import litestar
import pytest
import quart
import quart.views
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial import serial, set_policy
from asgi_serial.settings.policy import CURRENT, RequestPolicy, build_policy
from asgi_serial.settings.routed_handler import REQUEST, is_routed_to, is_served_by

from .engine.client import understand
from .engine.driver import Recording, Request, ask, awaited, serial_of

PERMITS = {"cache_ttl": 60, "cache_shared": True}

# Paths of each site: which function says what permits to share the answer.
HEARD = ("/own", "/thread", "/said", "/said/thread", "/class", "/wrapped")
UNHEARD = ("/helper", "/helper/thread", "/nested/own", "/nested/thread", "/nested/said")


def wrapped(function):
    """A decorator of users, as one that asks who is logged in."""

    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        return await function(*args, **kwargs)

    return wrapper


@serial(**PERMITS)
async def config(*_):
    return "dark"


@serial(**PERMITS)
def config_in_thread(*_):
    return "dark"


async def serve(app, path, **fields):
    """The answer of an app to a client that leaves when it has that, as servers tell it."""
    request, recording, is_over = Request(path=path).having(**fields), Recording(), asyncio.Event()
    receive = request.make_receive()
    has_asked = False

    async def receive_or_end():
        nonlocal has_asked
        if has_asked:
            await is_over.wait()
            return {"type": "http.disconnect"}
        has_asked = True
        return await receive()

    async def send(message):
        await recording.send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            is_over.set()

    await app(request.make_scope(), receive_or_end, send)
    return understand(recording)


async def call_bare(app, path):
    """Ask an app in process that has no middleware around it."""
    assert (await serve(app, path, cookie="sid=inner")).status == 200


def starlette_site():
    def answer(request):
        return PlainTextResponse(request.headers["cookie"])

    @serial(**PERMITS)
    async def own(request):
        return answer(request)

    @serial(**PERMITS)
    def thread(request):
        return answer(request)

    async def said(request):
        set_policy(**PERMITS)
        return answer(request)

    def said_in_thread(request):
        set_policy(**PERMITS)
        return answer(request)

    class Endpoint(HTTPEndpoint):
        @serial(**PERMITS)
        async def get(self, request):
            return answer(request)

    async def helper(request):
        await config(request)
        await asyncio.create_task(config(request))
        return answer(request)

    async def helper_in_thread(request):
        await asyncio.to_thread(config_in_thread, request)
        return answer(request)

    async def nested(request):
        await call_bare(app, "/" + request.path_params["path"])
        return answer(request)

    app = Starlette(
        routes=[
            Route("/own", own),
            Route("/thread", thread),
            Route("/said", said),
            Route("/said/thread", said_in_thread),
            Route("/class", Endpoint),
            Route("/wrapped", wrapped(own)),
            Route("/helper", helper),
            Route("/helper/thread", helper_in_thread),
            Route("/nested/{path:path}", nested),
        ]
    )
    return app


def fastapi_site():
    app = fastapi.FastAPI()

    def cookie(request: fastapi.Request) -> str:
        return request.headers["cookie"]

    def says(request: fastapi.Request) -> None:
        set_policy(**PERMITS)

    async def says_on_loop() -> None:
        set_policy(**PERMITS)

    known = fastapi.Depends(cookie)

    @app.get("/own")
    @serial(**PERMITS)
    async def own(who: str = known):
        return who

    @app.get("/thread")
    @serial(**PERMITS)
    def thread(who: str = known):
        return who

    @app.get("/said", dependencies=[fastapi.Depends(says_on_loop)])
    async def said(who: str = known):
        return who

    @app.get("/said/thread", dependencies=[fastapi.Depends(says)])
    def said_in_thread(who: str = known):
        return who

    @app.get("/class")
    def said_in_function(who: str = known):
        def helper():
            set_policy(**PERMITS)

        helper()
        return who

    @app.get("/wrapped")
    @wrapped
    @serial(**PERMITS)
    async def below(who: str = known):
        return who

    @app.get("/helper", dependencies=[fastapi.Depends(serial(**PERMITS)(lambda: None))])
    async def helper(who: str = known):
        await own("nobody")
        return who

    @app.get("/helper/thread")
    def helper_in_thread(who: str = known):
        config_in_thread()
        return who

    @app.get("/nested/{path:path}")
    async def nested(path: str, who: str = known):
        await call_bare(app, f"/{path}")
        return who

    return app


def litestar_site():
    def cookie(request):
        return request.headers["cookie"]

    @litestar.get("/own")
    @serial(**PERMITS)
    async def own(request: litestar.Request) -> str:
        return cookie(request)

    @litestar.get("/thread", sync_to_thread=True)
    @serial(**PERMITS)
    def thread(request: litestar.Request) -> str:
        return cookie(request)

    @litestar.get("/said")
    async def said(request: litestar.Request) -> str:
        set_policy(**PERMITS)
        return cookie(request)

    @litestar.get("/said/thread", sync_to_thread=True)
    def said_in_thread(request: litestar.Request) -> str:
        set_policy(**PERMITS)
        return cookie(request)

    class Items(litestar.Controller):
        @litestar.get("/class")
        @serial(**PERMITS)
        async def show(self, request: litestar.Request) -> str:
            return cookie(request)

    @litestar.get("/wrapped")
    @wrapped
    @serial(**PERMITS)
    async def below(request: litestar.Request) -> str:
        return cookie(request)

    @litestar.get("/helper")
    async def helper(request: litestar.Request) -> str:
        await config(request)
        return cookie(request)

    @litestar.get("/helper/thread", sync_to_thread=True)
    def helper_in_thread(request: litestar.Request) -> str:
        config_in_thread(request)
        return cookie(request)

    @litestar.get(["/nested/own", "/nested/thread", "/nested/said"])
    async def nested(request: litestar.Request) -> str:
        await call_bare(app, request.url.path.removeprefix("/nested"))
        return cookie(request)

    handlers = [own, thread, said, said_in_thread, Items, below, helper, helper_in_thread, nested]
    app = litestar.Litestar(handlers, openapi_config=None)
    return app


def quart_site():
    app = quart.Quart("site")

    def cookie():
        return quart.request.headers["cookie"]

    @app.get("/own")
    @serial(**PERMITS)
    async def own():
        return cookie()

    @app.get("/thread")
    @serial(**PERMITS)
    def thread():
        return cookie()

    @app.get("/said")
    async def said():
        set_policy(**PERMITS)
        return cookie()

    @app.get("/said/thread")
    def said_in_thread():
        set_policy(**PERMITS)
        return cookie()

    class View(quart.views.MethodView):
        @serial(**PERMITS)
        async def get(self):
            return cookie()

    app.add_url_rule("/class", view_func=View.as_view("class"))
    app.add_url_rule("/wrapped", "wrapped", wrapped(own))

    @app.get("/helper")
    async def helper():
        await config()
        await asyncio.create_task(config())
        return cookie()

    @app.get("/helper/thread")
    def helper_in_thread():
        config_in_thread()
        return cookie()

    @app.get("/nested/<path:path>")
    async def nested(path):
        await call_bare(app, f"/{path}")
        return cookie()

    return app


def django_site():
    if not django.conf.settings.configured:
        django.conf.settings.configure(
            ALLOWED_HOSTS=["*"], ROOT_URLCONF="tests_django_urls", SECRET_KEY="x"
        )
        django.setup()

    def answer(request):
        return django.http.HttpResponse(request.headers["cookie"])

    @serial(**PERMITS)
    async def own(request):
        return answer(request)

    @serial(**PERMITS)
    def thread(request):
        return answer(request)

    async def said(request):
        set_policy(**PERMITS)
        return answer(request)

    def said_in_thread(request):
        set_policy(**PERMITS)
        return answer(request)

    class View(django.views.View):
        @serial(**PERMITS)
        async def get(self, request):
            return answer(request)

    async def helper(request):
        await config(request)
        return answer(request)

    def helper_in_thread(request):
        config_in_thread(request)
        return answer(request)

    async def nested(request, path):
        await asyncio.create_task(call_bare(app, f"/{path}"))
        return answer(request)

    path = django.urls.path
    urls = types.ModuleType("tests_django_urls")
    urls.urlpatterns = [
        path("own", own),
        path("thread", thread),
        path("said", said),
        path("said/thread", said_in_thread),
        path("class", View.as_view()),
        path("wrapped", wrapped(own)),
        path("helper", helper),
        path("helper/thread", helper_in_thread),
        path("nested/<path:path>", nested),
    ]
    sys.modules["tests_django_urls"] = urls
    handler = django.core.asgi.ASGIHandler()

    async def app(scope, receive, send):
        # Django has one set of settings in a process, which another test may have chosen.
        with django.test.utils.override_settings(ROOT_URLCONF=urls.__name__):
            django.urls.clear_url_caches()
            await handler(scope, receive, send)

    return app


def falcon_site():
    def answer(req, resp):
        resp.text = req.get_header("cookie")

    class Own:
        @serial(**PERMITS)
        async def on_get(self, req, resp):
            answer(req, resp)

    class Said:
        async def on_get(self, req, resp):
            set_policy(**PERMITS)
            answer(req, resp)

    class Helper:
        async def on_get(self, req, resp):
            await config(req)
            await Own().on_get(req, resp)
            answer(req, resp)

    class Nested:
        async def on_get(self, req, resp, path):
            await call_bare(app, f"/{path}")
            answer(req, resp)

    app = falcon.asgi.App()
    for path, resource in (("/own", Own()), ("/said", Said()), ("/helper", Helper())):
        app.add_route(path, resource)
    app.add_route("/nested/{path:path}", Nested())
    return app


def blacksheep_site():
    app = blacksheep.Application()

    def cookie(request):
        return blacksheep.text(request.headers.get_first(b"cookie").decode())

    @app.router.get("/own")
    @serial(**PERMITS)
    async def own(request: blacksheep.Request):
        return cookie(request)

    @app.router.get("/said")
    async def said(request: blacksheep.Request):
        set_policy(**PERMITS)
        return cookie(request)

    @app.router.get("/helper")
    async def helper(request: blacksheep.Request):
        await config(request)
        return cookie(request)

    @app.router.get("/nested/*")
    async def nested(request: blacksheep.Request):
        await call_bare(app, request.url.path.decode().removeprefix("/nested"))
        return cookie(request)

    return app


def plain_site():
    async def answer(scope, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = dict(scope["headers"])[b"cookie"]
        await send({"type": "http.response.body", "body": body})

    @serial(**PERMITS)
    async def own(scope, receive, send):
        await answer(scope, send)

    class Routed:
        @serial(**PERMITS)
        async def get(self, scope, receive, send):
            await answer(scope, send)

    async def said(scope, receive, send):
        set_policy(**PERMITS)
        await answer(scope, send)

    async def helper(scope, receive, send):
        recording = Recording()
        await own(scope, receive, recording.send)
        await own({**scope, "path": "/own"}, receive, recording.send)
        await own(Request().having(cookie="inner").make_scope(), receive, recording.send)
        await config(scope["path"])
        await answer(scope, send)

    async def nested(scope, receive, send):
        await call_bare(app, scope["path"].removeprefix("/nested"))
        await answer(scope, send)

    routes = {"/own": own, "/class": Routed().get, "/said": said, "/helper": helper}

    async def app(scope, receive, send):
        await routes.get(scope["path"], nested)(scope, receive, send)

    return app


SITES = {
    "starlette": (starlette_site, HEARD, UNHEARD),
    "fastapi": (fastapi_site, HEARD, UNHEARD),
    "litestar": (litestar_site, HEARD, UNHEARD),
    "quart": (quart_site, HEARD, UNHEARD),
    "django": (django_site, HEARD, UNHEARD),
    "falcon": (falcon_site, ("/own", "/said"), ("/helper", "/nested/own", "/nested/said")),
    "blacksheep": (blacksheep_site, ("/own", "/said"), ("/helper", "/nested/own", "/nested/said")),
    "plain": (plain_site, ("/own", "/said", "/class"), ("/helper", "/nested/own", "/nested/said")),
}


async def opened(framework):
    """The site of a framework, and the same behind the middleware."""
    app = SITES[framework][0]()
    if framework == "blacksheep":
        await app.start()
    return app, serial_of(app)


async def told(site, path, **fields):
    """Who two users are told to be, and what the cache says to the second."""
    answers = [await serve(site, path, cookie=f"sid={user}", **fields) for user in ("alice", "bob")]
    users = ["alice" if b"sid=alice" in answer.content else "bob" for answer in answers]
    return users, answers[1].one("cache-status").removeprefix("asgi_serial; ").partition(";")[0]


@pytest.mark.parametrize(
    ("framework", "path"), [(name, path) for name, site in SITES.items() for path in site[1]]
)
@awaited
async def test_the_function_that_was_routed_to_permits_what_it_says(framework, path):
    _, site = await opened(framework)
    assert await told(site, path) == (["alice", "alice"], "hit")


@pytest.mark.parametrize(
    ("framework", "path"), [(name, path) for name, site in SITES.items() for path in site[2]]
)
@awaited
async def test_what_it_calls_permits_nothing(framework, path):
    """Neither a decorated function, nor another request that it makes in process."""
    _, site = await opened(framework)
    for fields in ({}, {"accept_encoding": "gzip"}):
        assert await told(site, path, **fields) == (["alice", "bob"], "fwd=uri-miss")


def copying(app):
    """A middleware of users that gives the app a copy of the scope."""

    async def copied(scope, receive, send):
        await app({**scope, "headers": [*scope["headers"], (b"x-id", b"1")]}, receive, send)

    return copied


@pytest.mark.parametrize("framework", ["starlette", "fastapi", "litestar", "falcon", "quart"])
@awaited
async def test_a_copy_of_the_scope_tells_as_well_who_was_routed_to(framework):
    app, _ = await opened(framework)
    site = serial_of(copying(app))
    for path in ("/own", "/said"):
        assert (await told(site, path))[0] == ["alice", "alice"]
    for path in ("/helper", "/nested/own", "/nested/said"):
        assert (await told(site, path))[0] == ["alice", "bob"]


@awaited
async def test_a_request_that_is_made_of_a_copied_scope_says_nothing_of_the_first():
    async def inner(request):
        set_policy(**PERMITS)
        return PlainTextResponse("inner")

    async def outer(request):
        scope = {**request.scope, "path": "/inner"}
        for key in ("router", "app"):
            scope.pop(key, None)
        await app(scope, request.receive, Recording().send)
        return PlainTextResponse(request.headers["cookie"])

    app = Starlette(routes=[Route("/inner", inner), Route("/outer", outer)])
    assert (await told(serial_of(app), "/outer"))[0] == ["alice", "bob"]


def page_of_parts(way, changes, says):
    """A page for one user, made of parts that it gets of ASGI apps, each with a copy of its scope.

    Where they are `crossing`, the first is called before the second, and returns before it; a
    `late` one returns when the page has begun.
    """
    ready = [asyncio.Event(), asyncio.Event()]

    async def answer(number, send):
        ready[number].set()
        if way == "crossing":
            await (is_left if number else ready[1]).wait()
        elif way == "late" and number == 1:
            await is_sent.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part"})
        is_left.set()

    is_sent, is_left = asyncio.Event(), asyncio.Event()

    async def part_that_says(scope, receive, send, number):
        set_policy(**PERMITS)
        await answer(number, send)

    @serial(**PERMITS)
    async def decorated(scope, receive, send, number):
        await answer(number, send)

    part = part_that_says if says == "set_policy" else decorated

    async def page(scope, receive, send):
        for event in (*ready, is_sent, is_left):
            event.clear()
        parts = [Recording(), Recording()]
        calls = [
            part({**scope, **changes}, receive, one.send, number)
            for number, one in enumerate(parts)
        ]
        if way == "in turn":
            tasks = [await call for call in calls]
        else:
            tasks = [asyncio.ensure_future(call) for call in calls]
            await (asyncio.gather(*tasks) if way == "crossing" else ready[1].wait())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        is_sent.set()
        if way == "late":
            await asyncio.gather(*tasks)
        await send({"type": "http.response.body", "body": dict(scope["headers"])[b"cookie"]})

    return page


@pytest.mark.parametrize(
    "changes",
    [{"path": "/part"}, {"query_string": b"part=1"}, {"root_path": "/part"}, {"method": "POST"}],
    ids=["path", "query", "root", "method"],
)
@pytest.mark.parametrize("way", ["in turn", "crossing", "late"])
@pytest.mark.parametrize("says", ["set_policy", "serial"])
@awaited
async def test_a_part_of_a_page_permits_nothing_of_the_page(says, way, changes):
    site = serial_of(page_of_parts(way, changes, says))
    users, said = await told(site, "/page")
    assert users == ["alice", "bob"]
    assert said == "fwd=uri-miss"


@pytest.mark.parametrize("way", ["in turn", "crossing"])
@awaited
async def test_an_app_that_has_returned_permits_nothing_though_another_was_called_before(way):
    """Each of them is called with the scope of the page itself."""
    assert (await told(serial_of(page_of_parts(way, {}, "serial")), "/page"))[0] == ["alice", "bob"]


@pytest.mark.parametrize(
    "changes",
    [{"root_path": "/m"}, {"root_path": "/m", "path": "/page"}, {"path": "/m/page/"}],
    ids=["within the path", "taken out", "a slash at the end"],
)
@pytest.mark.parametrize("says", ["set_policy", "serial"])
@awaited
async def test_an_app_that_is_mounted_by_hand_permits_what_it_says(says, changes):
    async def answer(scope, receive, send):
        if says == "set_policy":
            set_policy(**PERMITS)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": dict(scope["headers"])[b"cookie"]})

    mounted = serial(**PERMITS)(answer) if says == "serial" else answer

    async def site(scope, receive, send):
        await mounted({**scope, **changes}, receive, send)

    assert await told(serial_of(site), "/m/page") == (["alice", "alice"], "hit")


@awaited
async def test_a_decorator_that_hides_what_it_decorates_is_told_of(caplog):
    def hiding(function):
        async def hidden(request):
            return await function(request)

        return hidden

    @serial(**PERMITS)
    async def handler(request):
        return PlainTextResponse(request.headers["cookie"])

    site = serial_of(Starlette(routes=[Route("/", hiding(handler))]))
    with caplog.at_level(logging.DEBUG, "asgi_serial"):
        answer = await ask(site, Request().having(cookie="sid=alice"))
    assert answer.one("cache-status") == "asgi_serial; fwd=uri-miss; detail=policy-not-heard"
    assert "functools.wraps" in caplog.text


@pytest.mark.parametrize(
    ("own", "others", "status"),
    [
        ({"cache_ttl": 60}, {"cache": False}, "detail=cache-turned-off"),
        ({"cache_ttl": 60}, {"cache_ttl": 5}, "stored"),
        ({"cache_ttl": 60}, {"cache_shared": True}, "stored"),
        ({"cache_ttl": 60}, {"cache_partition": "cookie:sid"}, "detail=cache-turned-off"),
        (
            {"cache_ttl": 60, "cache_partition": "cookie:sid"},
            {"cache_partition": "cookie:sid"},
            "stored",
        ),
        (
            {"cache_ttl": 60, "cache_partition": "cookie:sid"},
            {"cache_partition": "cookie:org"},
            "detail=cache-turned-off",
        ),
        ({"cache": False}, {"cache_ttl": 60}, "detail=cache-turned-off"),
    ],
)
@pytest.mark.parametrize("calls_first", [True, False], ids=["before", "after"])
@awaited
async def test_what_is_called_forbids_all_the_same(own, others, status, calls_first):
    @serial(**others)
    async def helper():
        pass

    @serial(**own)
    async def handler(request):
        await helper()
        return JSONResponse({})

    @serial(**own)
    async def after(request):
        set_policy(**own)
        await helper()
        return JSONResponse({})

    app = Starlette(routes=[Route("/", handler if calls_first else after)])
    answer = await ask(serial_of(app), Request())
    assert answer.one("cache-status").endswith(status)
    if status == "stored" and others.get("cache_ttl"):
        site = serial_of(app)
        await ask(site, Request())
        assert (await ask(site, Request())).one("cache-status").endswith("hit; ttl=5")


@awaited
async def test_a_handler_in_a_mounted_app_is_the_one_that_was_routed_to():
    site = serial_of(Starlette(routes=[Mount("/shop", starlette_site())]))
    assert (await told(site, "/shop/own"))[0] == ["alice", "alice"]
    assert (await told(site, "/shop/helper"))[0] == ["alice", "bob"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@awaited
async def test_a_class_answers_head_by_its_method_for_get(method):
    scope = {"type": "http", "method": method}

    class Endpoint:
        @serial(cache=False)
        def get(self):
            pass

        @serial(cache=False)
        def post(self):
            pass

    scope |= {"endpoint": Endpoint, REQUEST: object()}
    assert is_routed_to(Endpoint.get, scope, (), None)
    assert not is_routed_to(Endpoint.post, scope, (), None)


def called_in(module, function, **names):
    """Call a function in a frame of the module of that name, with these local names."""
    lines = [f"    {name} = names['{name}']" for name in names]
    text = "\n".join(["def call(function, names):", *lines, "    return function()"])
    space = {"__name__": module}
    exec(text, space)
    return space["call"](function, names)


@pytest.mark.parametrize(
    ("module", "is_caller"),
    [("sanic.app", True), ("falcon.asgi.app", True), ("shop.views", False), ("asyncio", False)],
)
def test_where_no_scope_tells_a_framework_has_to_be_the_caller(module, is_caller):
    scope = {"type": "http", REQUEST: object()}

    def ask_by_frame():
        return is_routed_to(config, scope, (), sys._getframe(1))

    assert called_in(module, ask_by_frame, scope=scope) is is_caller
    assert not called_in(module, ask_by_frame, scope={"type": "http"})
    assert not called_in(module, ask_by_frame)


class Hostile:
    @property
    def scope(self):
        raise RuntimeError


def test_objects_that_fail_are_no_proof():
    scope = {"type": "http", REQUEST: object()}

    def look():
        frame = sys._getframe(1)
        routed = is_routed_to(config, scope, (), frame)
        return routed, is_served_by(scope, frame)

    assert called_in("sanic.app", look, request=Hostile()) == (False, False)


def test_outside_of_what_serves_a_request_nothing_is_permitted():
    current = RequestPolicy()
    token = CURRENT.set(current)
    try:
        set_policy(**PERMITS)
        set_policy(**PERMITS)
        set_policy(cache=False)
    finally:
        CURRENT.reset(token)
    assert current.has_ignored_permission
    assert len(current.other_policies) == 1
    assert current.resolve(None, 600.0) == build_policy({"cache": False, "cache_ttl": 60})
