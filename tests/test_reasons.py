"""Each reason is a sentence with its remedy, and one that the middleware gives."""

import re
from pathlib import Path

import pytest

from asgi_serial.reasons import SUBJECTS, Reason

PACKAGE = Path(__file__).parents[1] / "asgi_serial"
SOURCE = "\n".join(
    path.read_text() for path in PACKAGE.rglob("*.py") if path != PACKAGE / "reasons.py"
)

each_reason = pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)


@each_reason
def test_a_reason_is_given_somewhere(reason):
    assert re.search(rf"\bReason\.{reason.name}\b", SOURCE)


@each_reason
def test_its_sentence_says_what_happened_and_what_to_do(reason):
    parts = [reason.cause, *([reason.remedy] if reason.remedy else [])]
    assert reason.value == "; ".join(parts)
    for part in parts:
        # The report and the advice put them into sentences of their own.
        assert part[:4] == "Vary" or part[0].islower()
        assert not part.endswith((".", ";"))
        assert ";" not in part


@each_reason
def test_it_has_a_name_for_users_and_a_subject(reason):
    assert reason.token == reason.name.lower().replace("_", "-")
    assert reason.about in SUBJECTS


def test_no_two_reasons_share_a_sentence():
    assert len({reason.value for reason in Reason}) == len(Reason.__members__)
