import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial.timing.routes.resolver import build_resolver

from .drive import Copying, http_scope, run


async def ok() -> str:
    return "ok"


async def plain(request):
    return PlainTextResponse("plain")


async def files(scope, receive, send) -> None:
    await PlainTextResponse("file")(scope, receive, send)


def make_app(directory, *, wrap=lambda app: app) -> FastAPI:
    items = APIRouter(prefix="/items")
    items.add_api_route("/", ok)
    items.add_api_route("/{id}", ok, methods=["GET"])
    items.add_route("/plain/{id}", plain)

    users = APIRouter()
    users.add_api_route("/users/{name:path}", ok)
    users.include_router(items, prefix="/users-items")
    users.mount("/files", wrap(files))

    inner = FastAPI()
    inner.add_api_route("/", ok)
    inner.include_router(items, prefix="/v1")

    app = FastAPI()
    app.add_api_route("/", ok)
    app.include_router(items)
    app.include_router(items, prefix="/again")
    app.include_router(users, prefix="/api")
    app.mount("/sub/{tenant}", wrap(inner))
    app.mount("/static", wrap(files))
    app.router.routes.append(Mount("/listed", routes=[Route("/{id}", plain)]))
    app.frontend("/ui", directory=directory)
    return app


CASES = [
    pytest.param("GET", "/", 200, "/", id="a direct route"),
    pytest.param("GET", "/items/3", 200, "/items/{id}", id="an included router"),
    pytest.param("GET", "/again/items/3", 200, "/again/items/{id}", id="included twice"),
    pytest.param("PUT", "/again/items/3", 405, "/again/items/{id}", id="an included 405"),
    pytest.param("GET", "/again/plain/3", 200, "/again/plain/{id}", id="a plain route in one"),
    pytest.param("GET", "/api/users/a/b", 200, "/api/users/{name}", id="a path parameter"),
    pytest.param("GET", "/api/users-items/items/3", 200, "/api/users-items/items/{id}", id="deep"),
    pytest.param("GET", "/api/files/a.css", 200, "/api/files/{path}", id="a mount in a router"),
    pytest.param("GET", "/sub/x/", 200, "/sub/{tenant}/", id="a mounted app"),
    pytest.param("GET", "/sub/x/v1/items/3", 200, "/sub/{tenant}/v1/items/{id}", id="its routers"),
    pytest.param("GET", "/sub/x/docs", 200, "/sub/{tenant}/docs", id="its docs"),
    pytest.param("GET", "/sub/x/none", 404, "/sub/{tenant}/{path}", id="its 404"),
    pytest.param("GET", "/static/a.css", 200, "/static/{path}", id="an app without routes"),
    pytest.param("GET", "/listed/3", 200, "/listed/{id}", id="a mount with its own routes"),
    pytest.param("GET", "/openapi.json", 200, "/openapi.json", id="a route of the framework"),
    pytest.param("GET", "/none", 404, "(unmatched)", id="no route"),
]


@pytest.mark.parametrize(("method", "path", "status", "label"), CASES)
def test_the_template_is_read_from_the_scope(tmp_path, method, path, status, label):
    app = make_app(tmp_path)
    resolve = build_resolver(app=app)
    for _ in range(2):
        answered, scope = run(app, http_scope(path, method))
        assert (answered, resolve(scope)) == (status, label)
    assert resolve.failures == 0


@pytest.mark.parametrize(("method", "path", "status", "label"), CASES)
@pytest.mark.parametrize("called", [True, False], ids=["scope copied inside", "app not called"])
def test_without_a_choice_the_path_is_matched(tmp_path, called, method, path, status, label):
    app = make_app(tmp_path, wrap=Copying)
    resolve = build_resolver(app=app)
    scope = http_scope(path, method)
    if called:
        answered, scope = run(app, scope)
        assert answered == status
    assert resolve(scope) == label
    assert resolve.failures == 0


@pytest.mark.parametrize("name", ["page.html", "deep/page.html", ""])
def test_files_of_a_frontend_share_its_prefix(tmp_path, name):
    (tmp_path / "deep").mkdir()
    for file in ("page.html", "deep/page.html", "index.html"):
        (tmp_path / file).write_text("page")
    app = make_app(tmp_path)
    status, scope = run(app, http_scope("/ui/" + name))
    assert (status, build_resolver()(scope)) == (200, "/ui/{path}")
