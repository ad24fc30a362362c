"""The whole table, in process and over uvicorn through the reverse proxy."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest

from .running import OPTIONS, PRESET, Wire, run_in_process
from .table import Case

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
SUBJECTS = sorted(path.stem for path in (HERE / "cases").glob("*.py"))
CASES: dict[str, list[Case]] = {
    subject: import_module(f".cases.{subject}", __package__).CASES for subject in SUBJECTS
}
ALL = [
    pytest.param(case, id=f"{subject}: {case.title}")
    for subject, cases in CASES.items()
    for case in cases
]


@pytest.fixture(scope="module")
def play() -> Iterator[Callable[[Case], list[str]]]:
    """Runs a case through the reverse proxy."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        build_app = import_module("reverse_proxy").build_app
    finally:
        sys.path.remove(str(EXAMPLES))
    with ExitStack() as stack:
        plain = stack.enter_context(Wire(build_app, OPTIONS))
        preset = stack.enter_context(Wire(build_app, PRESET))
        yield lambda case: (preset if case.preset else plain).play(case)


@pytest.mark.parametrize("case", [param for param in ALL if not param.values[0].gateway])
def test_the_middleware_in_front_of_an_app(case):
    assert run_in_process(case) == []


@pytest.mark.parametrize("case", ALL)
def test_the_reverse_proxy_over_http(play, case):
    assert play(case) == []


def test_the_table_names_each_case_once_and_its_section():
    for subject, cases in CASES.items():
        titles = Counter(case.title for case in cases)
        assert [title for title, count in titles.items() if count > 1] == [], subject
        assert all(re.fullmatch(r"\d{4} \d+(\.\d+)*", case.section) for case in cases)
    assert len(ALL) >= 250
