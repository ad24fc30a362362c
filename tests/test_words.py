"""Docstrings, comments and messages are plain English; CONTRIBUTING.md says how they are worded."""

import ast
import io
import re
import tokenize
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "asgi_serial"

NAMES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
each_module = pytest.mark.parametrize("module", NAMES)

DIALECT = re.compile(
    r"\b(can not|that of which|what is to be|for ever|him|his own)\b", re.IGNORECASE
)
ARTICLE = re.compile(r"\b[Aa]n? $")
OPENING = re.compile(r"(What|Which|That which|That of|Who|Whom|Whose)\b")


def is_text(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(tree):
    """Each docstring of a module, with the node that it describes."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body:
            continue
        if isinstance(node, DOCUMENTED) and is_text(body[0]):
            yield node, body[0].value.value
        for target, text in pairwise(body):
            if isinstance(target, ast.Assign | ast.AnnAssign) and is_text(text):
                yield target, text.value.value


def comments(source):
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def strings(tree):
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def is_boolean(node):
    """Whether a node is a function that returns a boolean, or an attribute that holds one."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.returns is not None and ast.unparse(node.returns) == "bool"
    if isinstance(node, ast.AnnAssign):
        return re.match(r"(bool|Switch)\b", ast.unparse(node.annotation)) is not None
    return isinstance(node, ast.Assign) and isinstance(getattr(node.value, "value", None), bool)


def flat(text):
    return " ".join(text.split())


def find_dialect(source):
    """The phrases of a module that idiomatic English has no use for."""
    texts = [*comments(source), *strings(ast.parse(source))]
    return [flat(text) for text in texts if DIALECT.search(flat(text))]


def find_articles(source):
    """The texts of a module with an article before a word that is inserted: "a int"."""
    return [
        before.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.JoinedStr)
        for before, inserted in pairwise(node.values)
        if isinstance(inserted, ast.FormattedValue)
        and isinstance(before, ast.Constant)
        and ARTICLE.search(before.value)
    ]


def find_openings(source):
    """The docstrings of a module that begin as a question does."""
    found = [text for _, text in documented(ast.parse(source))]
    return [flat(text) for text in found if OPENING.match(flat(text))]


def find_whether(source):
    """The docstrings of a module that begin with "Whether" and describe no boolean."""
    return [
        flat(text)
        for node, text in documented(ast.parse(source))
        if flat(text).startswith("Whether") and not is_boolean(node)
    ]


@each_module
def test_no_text_uses_the_dialect(module):
    assert find_dialect(NAMES[module].read_text()) == []


@each_module
def test_no_article_is_put_before_a_word_that_is_inserted(module):
    assert find_articles(NAMES[module].read_text()) == []


@each_module
def test_no_docstring_begins_as_a_question(module):
    assert find_openings(NAMES[module].read_text()) == []


@each_module
def test_whether_describes_booleans_only(module):
    assert find_whether(NAMES[module].read_text()) == []


@pytest.mark.parametrize(
    ("find", "source"),
    [
        (find_dialect, "# It can not be.\n"),
        (find_dialect, 'raise ValueError("it can\\nnot be")\n'),
        (find_articles, 'raise TypeError(f"the key is a {kind}")\n'),
        (find_articles, 'raise TypeError("an "\nf"{kind}")\n'),
        (find_openings, '"""What it is."""\n'),
        (find_openings, 'class A:\n    x = 1\n    """Which it is."""\n'),
        (find_whether, 'def f() -> int:\n    """Whether it is."""\n'),
        (find_whether, '"""Whether it is."""\n'),
        (find_whether, 'x = 1\n"""Whether it is."""\n'),
    ],
)
def test_a_fault_is_found(find, source):
    assert len(find(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        'def f() -> bool:\n    """Whether it is."""\n',
        'class A:\n    x: bool | None = None\n    """Whether it is."""\n',
        'x = False\n"""Whether it is."""\n',
        '"""Whatever it cannot be."""\n',
        'x = f"the key is of type {kind}, a {{field}}"\n',
    ],
)
def test_plain_english_passes(source):
    found = [find_dialect, find_articles, find_openings, find_whether]
    assert not any(find(source) for find in found)
