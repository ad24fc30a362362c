"""Routes of Django, whose patterns are matched again: it leaves nothing in the scope."""

import sys
from contextlib import nullcontext
from typing import Any

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.timing.routes.apps import is_instance
from asgi_serial.timing.routes.base import RouteTable
from asgi_serial.timing.routes.templates import from_angles, from_regex
from asgi_serial.types import Scope

_LANGUAGE = "{language}/"


class DjangoTable:
    """The patterns of `ROOT_URLCONF`, with those that they include.

    A result is remembered until the settings name other patterns, or Django is told to forget them.
    The urlconf that a middleware sets on a request is not known.
    """

    __slots__ = ("_handler", "_known", "_root")

    is_whole = False

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._root: Any = None
        self._known: BoundedDict[tuple[str, str], str | None] = BoundedDict(shares_values=True)

    def find(self, scope: Scope) -> str | None:
        """Return the route, with the prefix of each `include`; see RouteTable."""
        root = _module("django.urls.resolvers").get_resolver()
        if root is not self._root:
            self._known.clear()
            self._root = root
        key = (scope["path"], scope.get("root_path", ""))
        try:
            return self._known[key]
        except KeyError:
            pass
        # How a request takes the root path, and FORCE_SCRIPT_NAME, from the path is its own affair.
        bare = {**scope, "query_string": b"", "headers": []}
        path = self._handler.request_class(bare, None).path_info
        with _language_of(root, path):
            template = _resolve(root, path)
        self._known.keep(key, template)
        return template


def _module(name: str) -> Any:
    """Return a module of Django, which has imported it by the time that it has an app."""
    return sys.modules[name]


def _language_of(root: Any, path: str) -> Any:
    """Activate the language that LocaleMiddleware takes from a path, for `i18n_patterns`."""
    if not any(_is_of_language(one) for one in root.url_patterns):
        return nullcontext()
    translation = _module("django.utils.translation")
    default = _module("django.conf").settings.LANGUAGE_CODE
    return translation.override(translation.get_language_from_path(path) or default)


def _is_of_language(one: Any) -> bool:
    return hasattr(one.pattern, "language_prefix")


def _resolve(one: Any, path: str) -> str | None:
    """Return the template of the first pattern that matches, as URLResolver.resolve goes."""
    end = _match(one.pattern, path)
    if end is None:
        return None
    if not hasattr(one, "url_patterns"):
        return _template(one.pattern)
    for inner in one.url_patterns:
        template = _resolve(inner, path[end:])
        if template is not None:
            return _template(one.pattern) + template
    return None


def _match(pattern: Any, path: str) -> int | None:
    """Return how much of a path a pattern takes; None if it does not match."""
    try:
        found = pattern.match(path)
    except Exception:
        # A converter of the user's own, which may need what there is only in a request.
        found = pattern.regex.search(path)
        return None if found is None else int(found.end())
    return None if found is None else len(path) - len(found[0])


def _template(pattern: Any) -> str:
    if hasattr(pattern, "language_prefix"):
        return _LANGUAGE if pattern.language_prefix else ""
    text = str(pattern)
    return from_angles(text) if hasattr(pattern, "_route") else from_regex(text)


def open_django(app: object) -> RouteTable | None:
    """Return the routes of an app of Django; None if it is none."""
    is_app = is_instance(app, "django.core.handlers.asgi", "ASGIHandler")
    return DjangoTable(app) if is_app else None
