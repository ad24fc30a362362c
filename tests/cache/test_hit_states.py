"""What is ready for hits is kept by few representations, the last that have come to it."""

import pytest

from asgi_serial.cache import entry as entry_module
from asgi_serial.cache.entry import HitStates, Representation


def form(tag):
    return Representation([(b"etag", tag)], b"body", "", tag)


def test_a_form_with_something_ready_knows_its_tag():
    kept = form(b'"x"')
    state = HitStates().start(kept)
    assert kept.hit_state is state
    assert state.etag == kept.etag == b'"x"'


@pytest.mark.parametrize("is_there", [True, False], ids=["stored", "forgotten meanwhile"])
def test_the_oldest_has_nothing_ready_any_more_where_there_are_too_many(monkeypatch, is_there):
    monkeypatch.setattr(entry_module, "MAX_HIT_STATES", 3)
    states, forms = HitStates(), [form(b'"%d"' % number) for number in range(5)]
    for number in range(3):
        states.start(forms[number])
    if not is_there:
        forms[:2] = []
    for kept in forms[-2:]:
        states.start(kept)
    has_some = [kept.hit_state is not None for kept in forms]
    assert has_some == ([False, False] * is_there) + [True, True, True]
    assert [kept.etag for kept in forms[-2:]] == [b'"3"', b'"4"']
