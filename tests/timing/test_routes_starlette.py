import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router, WebSocketRoute

from asgi_serial.bounds.memo import MAX_BYTES
from asgi_serial.timing.routes.resolver import build_resolver

from .drive import Capturing, Copying, http_scope, run


async def ok(request) -> Response:
    return PlainTextResponse("ok")


async def other(request) -> Response:
    return PlainTextResponse("other")


async def files(scope, receive, send) -> None:
    await PlainTextResponse("file")(scope, receive, send)


class Resource(HTTPEndpoint):
    async def get(self, request) -> Response:
        return PlainTextResponse("resource")


async def pass_on(request, call_next):
    return await call_next(request)


def shared_app() -> Starlette:
    return Starlette(routes=[Route("/", other), Route("/{page}", ok)])


def make_app(*, wrap=lambda app: app) -> Starlette:
    twice = shared_app()
    items = [
        Route("/{id:int}", ok, methods=["GET"]),
        Route("/{id:int}", other, methods=["DELETE"]),
    ]
    return Starlette(
        routes=[
            Route("/", ok),
            Route("/items/{id:int}", other),
            Route("/resource", Resource),
            WebSocketRoute("/socket", ok),
            Host("{tenant}.example.com", Router([Route("/", ok), Route("/home", other)])),
            Mount("/static", wrap(files)),
            Mount("/one", wrap(twice)),
            Mount("/two", wrap(twice)),
            Mount(
                "/api",
                routes=[
                    Mount("/{version}/items", wrap(Router(items))),
                    Mount("/deep", wrap(Starlette(routes=[Mount("/er", wrap(shared_app()))]))),
                ],
            ),
            Mount("/users/{id}", wrap(Router([Route("/posts/{id:path}", ok)]))),
            Mount("", wrap(Router([Route("/last", ok)]))),
        ]
    )


CASES = [
    pytest.param("GET", "/", 200, "/", id="an endpoint of several routes"),
    pytest.param("HEAD", "/", 200, "/", id="a method that the framework adds"),
    pytest.param("GET", "/items/7", 200, "/items/{id}", id="a parameter with its convertor"),
    pytest.param("GET", "/resource", 200, "/resource", id="an endpoint that is a class"),
    pytest.param("PUT", "/items/7", 404, "/{path}", id="a method that only a later mount takes"),
    pytest.param("GET", "/items/x", 404, "/{path}", id="a convertor that does not match"),
    pytest.param("GET", "/static/a/b.css", 200, "/static/{path}", id="an app without routes"),
    pytest.param("GET", "/one/", 200, "/one/", id="an app mounted twice, first place"),
    pytest.param("GET", "/two/", 200, "/two/", id="an app mounted twice, second place"),
    pytest.param("GET", "/one/page", 200, "/one/{page}", id="its parameter, first place"),
    pytest.param("GET", "/two/page", 200, "/two/{page}", id="its parameter, second place"),
    pytest.param("GET", "/api/v1/items/3", 200, "/api/{version}/items/{id}", id="nested mounts"),
    pytest.param("PUT", "/last", 405, "/last", id="a method that is not allowed"),
    pytest.param("DELETE", "/api/v2/items/3", 200, "/api/{version}/items/{id}", id="by method"),
    pytest.param("PUT", "/api/v2/items/3", 405, "/api/{version}/items/{id}", id="a nested 405"),
    pytest.param("GET", "/api/v2/items/x", 404, "/api/{version}/items/{path}", id="a nested 404"),
    pytest.param("GET", "/api/deep/er/page", 200, "/api/deep/er/{page}", id="apps in apps"),
    pytest.param("GET", "/users/7/posts/a/b", 200, "/users/{id}/posts/{id}", id="a name twice"),
    pytest.param("GET", "/last", 200, "/last", id="a mount without a prefix"),
]


@pytest.mark.parametrize(("method", "path", "status", "label"), CASES)
def test_the_template_is_read_from_the_scope(method, path, status, label):
    app = make_app()
    resolve = build_resolver(app=app)
    for _ in range(2):
        answered, scope = run(app, http_scope(path, method))
        assert (answered, resolve(scope)) == (status, label)
    assert resolve.failures == 0


@pytest.mark.parametrize(("method", "path", "status", "label"), CASES)
@pytest.mark.parametrize("called", [True, False], ids=["scope copied inside", "app not called"])
def test_without_a_choice_in_the_scope_the_path_is_matched(called, method, path, status, label):
    app = make_app(wrap=Copying)
    resolve = build_resolver(app=app)
    for _ in range(2):
        scope = http_scope(path, method)
        if called:
            answered, scope = run(app, scope)
            assert answered == status
        assert resolve(scope) == label
    assert resolve.failures == 0


@pytest.mark.parametrize("root_path", ["", "/proxy"])
@pytest.mark.parametrize("outer", [Copying, lambda app: app], ids=["copied", "plain"])
def test_inside_the_stack_the_template_is_the_same(outer, root_path):
    scopes: list = []
    app = Starlette(
        routes=[Mount("/api", routes=[Route("/items/{id}", ok)])],
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=pass_on),
            Middleware(Capturing, scopes=scopes),
            Middleware(outer) if outer is Copying else Middleware(Capturing, scopes=[]),
            Middleware(BaseHTTPMiddleware, dispatch=pass_on),
        ],
    )
    run(app, http_scope("/api/items/3", root_path=root_path))
    assert build_resolver()(scopes[0]) == "/api/items/{id}"


def test_inside_a_mounted_app_the_prefix_is_kept():
    scopes: list = []
    inner = Starlette(
        routes=[Route("/items/{id}", ok)], middleware=[Middleware(Capturing, scopes=scopes)]
    )
    run(Starlette(routes=[Mount("/api/{version}", inner)]), http_scope("/api/v1/items/3"))
    assert build_resolver()(scopes[0]) == "/api/{version}/items/{id}"


@pytest.mark.parametrize(
    ("host", "path", "label"),
    [
        pytest.param("a.example.com", "/", "{tenant}.example.com/", id="a host's own route"),
        pytest.param("A.example.com:80", "/home", "{tenant}.example.com/home", id="with a port"),
        pytest.param("example.org", "/", "/", id="another host"),
        pytest.param("[::1]:80", "/", "/", id="an address with a port"),
        pytest.param("[::1]", "/", "/", id="an address"),
    ],
)
def test_a_route_of_a_host_names_the_host(host, path, label):
    app = Starlette(
        routes=[
            Host("{tenant}.example.com", Router([Route("/", ok), Route("/home", other)])),
            Route("/", ok),
        ]
    )
    resolve = build_resolver(app=app)
    assert resolve(run(app, http_scope(path, host=host))[1]) == label
    assert resolve(http_scope(path, host=host)) == label


def test_without_a_host_field_no_host_matches():
    app = Starlette(routes=[Host("{any}", Router([Route("/", ok)])), Route("/", ok)])
    scope = http_scope("/") | {"headers": []}
    assert build_resolver(app=app)(scope) == "/"


@pytest.mark.parametrize("called", [True, False])
def test_a_path_without_a_route_goes_to_one_bucket(called):
    app = Starlette(routes=[Route("/items", ok)])
    resolve = build_resolver(app=app)
    for path in ("/nothing", "/items/", "/" + "x" * 5000):
        scope = http_scope(path)
        assert resolve(run(app, scope)[1] if called else scope) == "(unmatched)"


def test_routes_added_later_are_found():
    app = Starlette(routes=[Route("/first", ok)])
    resolve = build_resolver()
    assert resolve(run(app, http_scope("/first"))[1]) == "/first"
    app.add_route("/second", ok)
    assert resolve(run(app, http_scope("/second"))[1]) == "/second"
    assert resolve(run(app, http_scope("/first"))[1]) == "/first"
    app.add_route("/third", other)
    assert resolve(run(app, http_scope("/third"))[1]) == "/third"


def test_routes_added_within_a_mount_are_found():
    inner = Router([Route("/first", ok)])
    app = Starlette(routes=[Mount("/api", inner)])
    resolve = build_resolver()
    assert resolve(run(app, http_scope("/api/first"))[1]) == "/api/first"
    inner.add_route("/second", other)
    assert resolve(run(app, http_scope("/api/second"))[1]) == "/api/second"


def test_endpoints_made_for_each_request_cost_a_bounded_number_of_walks():
    app = Starlette(routes=[Route("/items/{id}", ok)])
    resolve = build_resolver()
    _, scope = run(app, http_scope("/items/3"))
    for _ in range(300):
        assert resolve(scope | {"endpoint": object()}) == "/items/{id}"


def test_the_paths_remembered_are_bounded():
    app = Starlette(routes=[Route("/items/{id}", ok)])
    resolve = build_resolver(app=app)
    for number in range(10_000):
        assert resolve(http_scope(f"/items/{number}")) == "/items/{id}"
    for size in (1_000, 60_000):
        scope = http_scope("/items/" + "1" * size, method="M" * size, host="h" * size)
        assert resolve(scope) == "/items/{id}"
    tree = resolve._frameworks[0]._trees[id(app)]
    assert tree._matched.held_bytes <= MAX_BYTES


def test_many_routers_are_kept_within_bounds():
    resolve = build_resolver()
    for number in range(100):
        app = Starlette(routes=[Route(f"/{number}", ok)])
        assert resolve(run(app, http_scope(f"/{number}"))[1]) == f"/{number}"
    assert len(resolve._frameworks[0]._trees) <= 16


def test_an_app_mounted_in_itself_ends():
    app = Starlette(routes=[Route("/page", ok)])
    app.mount("/again", app)
    assert build_resolver()(run(app, http_scope("/again/again/page"))[1]) == "/again/again/page"


class Unusual(BaseRoute):
    """A route of the user's own, which has neither a path nor an endpoint."""

    def matches(self, scope):
        return (Match.FULL if scope["path"] == "/unusual" else Match.NONE), {}

    async def handle(self, scope, receive, send) -> None:
        await PlainTextResponse("unusual")(scope, receive, send)


def test_routes_of_another_shape_are_passed_over():
    app = Starlette(routes=[Unusual(), Mount("/m", Router([Unusual()])), Route("/page", ok)])
    resolve = build_resolver(app=app)
    assert resolve(run(app, http_scope("/page"))[1]) == "/page"
    assert resolve(run(app, http_scope("/unusual"))[1]) == "(unmatched)"
    assert resolve.failures == 0


def test_an_app_of_very_many_routes_is_read_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("asgi_serial.timing.routes.tree._MAX_NODES", 10)
    app = Starlette(routes=[Route(f"/{number}", ok) for number in range(20)])
    resolve = build_resolver(app=app)
    assert [resolve(http_scope(path)) for path in ("/9", "/10")] == ["/9", "(unmatched)"]


def test_a_route_called_without_a_router_has_no_tree():
    route = Route("/page", ok)
    status, scope = run(route, http_scope("/page"))
    assert (status, build_resolver(app=route)(scope)) == (200, "(unmatched)")
