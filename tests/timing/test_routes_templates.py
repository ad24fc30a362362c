import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.timing.routes.templates import from_angles, from_braces, from_regex


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("/", "/"),
        ("/items", "/items"),
        ("/items/<id>", "/items/{id}"),
        ("/items/<int:id>/", "/items/{id}/"),
        ("/<string(minlength=2, maxlength=3):code>", "/{code}"),
        ("/<any(a, 'b:c'):which>.<ext>", "/{which}.{ext}"),
        ("/<path:rest>", "/{rest}"),
        ("<tenant>.example.com/", "{tenant}.example.com/"),
        ("/<", "/<"),
    ],
)
def test_parameters_in_angles(text, template):
    assert from_angles(text) == template


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("/items/{id}", "/items/{id}"),
        ("/items/{id:int}", "/items/{id}"),
        ("/items/{id:int(2, min=1)}", "/items/{id}"),
        ('/{day:dt("%Y-%m-%d")}/x', "/{day}/x"),
        ("/{year}-{month:int}", "/{year}-{month}"),
        ("/{", "/{"),
    ],
)
def test_parameters_in_braces(text, template):
    assert from_braces(text) == template


@pytest.mark.parametrize(
    ("pattern", "template"),
    [
        ("", ""),
        ("^$", ""),
        (r"^items/$", "items/"),
        (r"^items/?$", "items/"),
        (r"\Aitems\Z", "items"),
        (r"^items/(?P<id>[0-9]+)/$", "items/{id}/"),
        (r"^(?P<a>(x|y)(?:z))-(\d)$", "{a}-{3}"),
        (r"^(\d{4})/(\d\d)/$", "{1}/{2}/"),
        (r"^(?:page-(?P<page>\d+)/)?$", "page-{page}/"),
        (r"^(?:v1|v2)/(x)", "*/{1}"),
        (r"^(?:a(b)c)(d)", "a{1}c{2}"),
        (r"^a(?i:b(c))(?=d)(?!e)(?#f)(?<=g)(?<!h)", "ab{1}"),
        (r"(?i)items", "items"),
        (r"(?P<x>.)(?P=x)", "{x}{x}"),
        (r"^[^/]+\.[]a]json\(\[\\", r"*.*json([" + "\\"),
        (r"a.b\wc{2,3}d*?e+", "a*b*cde"),
        (r"(?P<x>[)(]+\))y", "{x}y"),
        (r"(unclosed", "{1}"),
        (r"[unclosed", "*"),
        ("a\\", "a"),
    ],
)
def test_groups_of_a_regular_expression(pattern, template):
    assert from_regex(pattern) == template


@given(st.text(alphabet="ab/.*+?^$|()[]{}<>P:=!#\\d0,-", max_size=60))
def test_any_text_has_a_template_of_bounded_length(text):
    template = from_regex(text)
    assert len(template) <= 4 * len(text) + 4
    from_angles(text)
    from_braces(text)


@given(st.lists(st.sampled_from(["a/", "b-", r"(?P<n>\d+)", "(?:x/)", r"([a-z]+)/"]), max_size=6))
def test_a_group_is_a_parameter_as_re_counts_it(parts):
    pattern = "".join(part.replace("<n>", f"<n{index}>") for index, part in enumerate(parts))
    template = from_regex(pattern)
    names = {number: name for name, number in re.compile(pattern).groupindex.items()}
    groups = [names.get(number, str(number)) for number in range(1, re.compile(pattern).groups + 1)]
    assert re.findall(r"\{(\w+)\}", template) == groups
