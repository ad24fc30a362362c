"""The start of a response that its client wants as the app makes it."""

import pytest

from tests.engine.making import (
    HTML,
    JSON,
    PICTURE,
    make_engine,
    make_flow,
    start,
)

ENGINE = make_engine(cache=False)
CACHING = make_engine()


class TestPassing:
    """The start of a response that its client wants as the app makes it."""

    @pytest.mark.parametrize(
        ("first", "vary"),
        [
            (start(JSON), b"accept, accept-encoding"),
            (start(HTML), b"accept-encoding"),
            (start(PICTURE), None),
            (start(JSON, (b"vary", b"Accept, Origin")), b"Accept, Origin, accept-encoding"),
            (start(JSON, (b"Vary", b"a"), (b"VARY", b"b")), b"a, b, accept, accept-encoding"),
            (start(JSON, (b"vary", b"*")), b"*"),
        ],
    )
    def test_it_is_said_that_others_may_get_another(self, first, vary):
        message, _ = self._begun(first)
        assert dict(message["headers"]).get(b"vary") == vary
        assert [name.lower() for name, _ in message["headers"]].count(b"vary") == (vary is not None)

    def test_a_tag_that_looks_like_one_of_ours_is_protected(self):
        message, _ = self._begun(start(PICTURE, (b"etag", b'"1-gzip"')))
        assert dict(message["headers"])[b"etag"] == b'"1-gzip-identity"'

    def test_a_tag_with_a_hyphen_is_the_apps(self):
        message, _ = self._begun(start(PICTURE, (b"etag", b'"a-b"')))
        assert dict(message["headers"])[b"etag"] == b'"a-b"'

    @pytest.mark.parametrize(
        "first",
        [
            start(JSON, trailers=True),
            {"type": "http.response.start", "status": 200, "trailers": True},
            {"type": "http.response.start", "status": 200},
            start(JSON, reason="fine"),
        ],
    )
    def test_what_else_the_message_says_stays(self, first):
        message, _ = self._begun(first, caching=True)
        assert {**message, "headers": None} == {**first, "headers": None}
        assert dict(message["headers"])[b"cache-status"]

    def _begun(self, first, *, caching=False):
        flow = make_flow(CACHING if caching else ENGINE)
        message = flow.begin(first)
        assert flow.passes
        return message, flow.reasons()
