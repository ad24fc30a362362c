"""The small API of all sites: its requests, and the routes that serve them."""

from typing import NamedTuple


class Visit(NamedTuple):
    """A request, the status of its answer, and the template of the route that it takes."""

    method: str
    path: str
    status: int
    label: str


class Site(NamedTuple):
    """Where a framework differs from the others."""

    name: str
    """The module's name without `_site`, for `importlib`."""

    of_other_methods: str = "/items/{id}"
    """The label of a method that the path does not have; `(unmatched)` for a 404 of the router."""

    status_of_other_methods: int = 405

    rest: str = "rest"
    """The name of a parameter that takes the rest of the path."""

    is_whole: bool = False
    """Whether the framework routes the whole path, the server's `root_path` included."""


VISITS = (
    Visit("GET", "/", 200, "/"),
    Visit("GET", "/items/7", 200, "/items/{id}"),
    Visit("GET", "/items/8?page=2", 200, "/items/{id}"),
    Visit("GET", "/api/v1/users/ann/posts/3", 200, "/api/v1/users/{name}/posts/{post}"),
    Visit("GET", "/api/v1/users/J%C3%BCrgen/posts/3", 200, "/api/v1/users/{name}/posts/{post}"),
    Visit("GET", "/boom/1", 500, "/boom/{id}"),
    Visit("GET", "/nowhere", 404, "(unmatched)"),
    Visit("GET", "/items/7/nothing", 404, "(unmatched)"),
    Visit("GET", "/items/%3Cscript%3E", 404, "(unmatched)"),
    Visit("GET", "/" + "x" * 10_000, 404, "(unmatched)"),
)


def visits_of(site: Site) -> tuple[Visit, ...]:
    """The requests to a site."""
    return (
        *VISITS,
        Visit("GET", "/files/a/b.txt", 200, "/files/{" + site.rest + "}"),
        Visit("PUT", "/items/7", site.status_of_other_methods, site.of_other_methods),
    )
