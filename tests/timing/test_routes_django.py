"""Patterns of Django, by every way in which they are written and included."""

import sys
from types import ModuleType

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers.asgi import get_script_prefix
from django.test.utils import override_settings
from django.urls import clear_url_caches, include, path, re_path, register_converter
from django.urls.converters import IntConverter
from django.utils.translation import gettext_lazy

from asgi_serial.bounds.memo import MAX_BYTES
from asgi_serial.timing.routes.resolver import build_resolver
from tests.sites import django_site

from .drive import http_scope


async def view(request, **parameters): ...


class Even(IntConverter):
    def to_python(self, value):
        if int(value) % 2:
            raise ValueError(value)
        return int(value)


class Stored(IntConverter):
    """Looks its value up in a database, which is not allowed where there is an event loop."""

    def to_python(self, value):
        raise SynchronousOnlyOperation


register_converter(Even, "tests_even")
register_converter(Stored, "tests_stored")

details = [path("<slug:name>/", view, name="one"), path("", view)]
PATTERNS = [
    path("", view),
    path("items/<int:id>/", view),
    path("even/<tests_even:number>", view),
    path("even/<int:odd>", view),
    path("stored/<tests_stored:id>", view),
    path("shops/<uuid:shop>/", include((details, "shops"), namespace="shops")),
    path("again/", include((details, "shops"), namespace="again")),
    re_path(r"^archive/(?P<year>[0-9]{4})/(?:(?P<month>[0-9]{2})/)?$", view),
    re_path(r"^numbers/(\d+)-(\d+)/$", view),
    re_path(r"^(?P<kind>books|films)/", include([re_path(r"^(?P<id>\d+)\.json$", view)])),
    path("/double", view),
]


@pytest.fixture
def label(request):
    """The label of a request to an app of these patterns."""
    module = ModuleType("tests_django_patterns")
    module.urlpatterns = request.param if hasattr(request, "param") else PATTERNS
    sys.modules[module.__name__] = module
    clear_url_caches()
    with override_settings(ROOT_URLCONF=module.__name__, LANGUAGE_CODE="en"):
        resolve = build_resolver(app=django_site.get_asgi_application())

        def label(target, **how):
            found = [resolve(http_scope(target, **how)) for _ in range(2)]
            assert found[0] == found[1]
            assert resolve.failures == 0
            return found[0]

        label.table = resolve._table
        yield label
    del sys.modules[module.__name__]
    clear_url_caches()


@pytest.mark.parametrize("root_path", ["", "/proxy"])
@pytest.mark.parametrize(
    ("target", "template"),
    [
        ("/", "/"),
        ("/items/7/", "/items/{id}/"),
        ("/items/7", "(unmatched)"),
        ("/items/x/", "(unmatched)"),
        ("/even/2", "/even/{number}"),
        ("/even/3", "/even/{odd}"),
        ("/stored/3", "/stored/{id}"),
        ("/shops/00000000-0000-0000-0000-000000000000/a/", "/shops/{shop}/{name}/"),
        ("/shops/00000000-0000-0000-0000-000000000000/", "/shops/{shop}/"),
        ("/again/a/", "/again/{name}/"),
        ("/archive/2024/", "/archive/{year}/{month}/"),
        ("/archive/2024/11/", "/archive/{year}/{month}/"),
        ("/numbers/1-2/", "/numbers/{1}-{2}/"),
        ("/books/7.json", "/{kind}/{id}.json"),
        ("//double", "//double"),
        ("/films/", "(unmatched)"),
        ("/nowhere", "(unmatched)"),
    ],
)
def test_a_request_has_the_template_of_its_patterns(label, root_path, target, template):
    assert label(target, root_path=root_path) == template


TRANSLATED = [
    path("healthz", view),
    *i18n_patterns(
        path("", view), path(gettext_lazy("Sunday"), view), path("items/<int:id>", view)
    ),
]
FOR_SOME = i18n_patterns(path("items/<int:id>", view), prefix_default_language=False)


@pytest.mark.parametrize(
    ("label", "target", "template"),
    [
        (TRANSLATED, "/healthz", "/healthz"),
        (TRANSLATED, "/en/items/7", "/{language}/items/{id}"),
        (TRANSLATED, "/de/items/7", "/{language}/items/{id}"),
        (TRANSLATED, "/de/Sonntag", "/{language}/Sonntag"),
        (TRANSLATED, "/en/Sonntag", "(unmatched)"),
        (TRANSLATED, "/de/", "/{language}/"),
        (TRANSLATED, "/items/7", "(unmatched)"),
        (TRANSLATED, "/xx/items/7", "(unmatched)"),
        (FOR_SOME, "/items/7", "/items/{id}"),
        (FOR_SOME, "/de/items/7", "/{language}/items/{id}"),
    ],
    indirect=["label"],
)
def test_the_prefix_of_a_language_is_a_parameter(label, target, template):
    assert label(target) == template


def test_other_patterns_of_the_settings_are_asked_at_once(label):
    assert label("/items/7/") == "/items/{id}/"
    module = ModuleType("tests_django_other_patterns")
    module.urlpatterns = [path("items/<int:number>/", view)]
    sys.modules[module.__name__] = module
    with override_settings(ROOT_URLCONF=module.__name__):
        assert label("/items/7/") == "/items/{number}/"
    assert label("/items/7/") == "/items/{id}/"


def test_the_script_name_of_the_settings_is_left_out(label):
    with override_settings(FORCE_SCRIPT_NAME="/site"):
        assert get_script_prefix({}) == "/site"
        assert label("/site/items/7/") == "/items/{id}/"


def test_the_paths_remembered_are_bounded(label):
    for number in range(5_000):
        assert label(f"/items/{number}/") == "/items/{id}/"
    assert label("/items/" + "1" * 4_000 + "/") == "/items/{id}/"
    assert label("/" + "x" * 1_000_000) == "(unmatched)"
    assert 0 < label.table._known.held_bytes <= MAX_BYTES
