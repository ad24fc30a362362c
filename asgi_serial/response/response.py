"""A response on its way from the app to the client, with all that is known of it so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgi_serial.cache.in_flight import CallResult
from asgi_serial.http.headers import states_its_end
from asgi_serial.http.validators import is_not_modified
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant import Base, represent
from asgi_serial.response.start import READS, START_TYPE, reasons_of, result_of
from asgi_serial.response.steps import Store, StoreOnReturn, Unstored
from asgi_serial.timing.recorder import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.cache.entry import Entry
    from asgi_serial.caching.collector import Collector
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.response.start import ResponseStart
    from asgi_serial.response.steps import Effect
    from asgi_serial.types import Fields, Message, Scope

# Where no cache takes part, nobody waits for the call.
_OVER = (Unstored(CallResult.UNCACHEABLE, is_over=True),)


class Response:
    """A response whose start does not let it pass at once; the states of its flow work on it.

    They gather `messages`, `effects` and a `job` for the next step.
    """

    __slots__ = (
        "_more",
        "_route",
        "app_bytes",
        "base",
        "coding",
        "collector",
        "effects",
        "encoded_bytes",
        "encoding_outcome",
        "engine",
        "entry",
        "etag",
        "is_end_sure",
        "job",
        "media_type",
        "messages",
        "more_reasons",
        "own_drop",
        "plan",
        "request",
        "scope",
        "sent_bytes",
        "start",
        "status",
        "unstored",
        "wants_tag",
    )

    base: Base  # the app's response, from which representations are made
    etag: bytes | None  # of the representation that is sent
    collector: Collector | None  # collects the response to be stored
    unstored: Reason | None  # why it is not stored
    entry: Entry | None  # to be stored at the end of the body
    is_end_sure: bool  # otherwise the entry is stored only after the app has returned
    own_drop: float | None  # when this write has dropped the stored responses of its URI
    wants_tag: bool  # one can be made from the whole body
    messages: list[Message]
    more_reasons: tuple[Reason, ...]  # beyond those of the plan
    effects: tuple[Effect, ...]
    job: Callable[[], Any] | None
    _more: Message | None  # the app's start, if it has more than usual
    _route: str | None

    def __init__(
        self,
        engine: Engine,
        request: RequestPlan,
        scope: Scope,
        start: ResponseStart,
        own_drop: float | None = None,
    ) -> None:
        self.engine = engine
        self.request = request
        self.scope = scope  # as passed to the app
        self.start = start
        self.status = start.status
        self.plan = start.plan
        self.entry = start.entry
        self.unstored = start.unstored
        self.collector = start.collector
        self.own_drop = own_drop
        # The start may wait for the body, and an app may use one dict, and one list, for all.
        self._more = {**start.message} if len(start.message) > 3 else None
        self.base = Base(
            [*start.pairs],
            start.fields,
            start.plan.vary,
            start.fields.get(b"etag"),
            start.plan.weak,
            engine.negotiator.tag_suffixes,
            request.method in READS or request.key is not None or start.collector is not None,
        )
        # RFC 9110, 8.8.3 and 9.3.4: a tag identifies the representation that GET returns; only the
        # app may send one in response to PUT.
        self.wants_tag = self.base.etag is None and request.method == "GET"
        self.is_end_sure = True
        self.app_bytes = self.encoded_bytes = self.sent_bytes = 0
        self.etag = self.job = self._route = None
        self.media_type = self.coding = self.encoding_outcome = ""
        self.more_reasons = self.effects = ()

    def send_head(self, made: Fields, *, status: int = 0) -> None:
        """Send the start with `made` and the fields that concern this response alone."""
        if status:
            self.status = status
        if self.request.caching and self.engine.settings.cache_status:
            stored = self.entry is not None and self.is_end_sure
            # A HEAD is not stored, but may have renewed the stored GET (RFC 9111, 4.3.5).
            why = None if stored else self.unstored
            line = self.engine.cache_status.forward_line(self.request, stored=stored, detail=why)
            made.append(line)
        message: Message = {"type": START_TYPE, "status": self.status, "headers": made}
        self.messages.append(message if self._more is None else {**self._more, **message})

    def begin_pieces(self, coding: str) -> Fields:
        """Return the fields for a body in pieces, which are collected if they are stored."""
        made, self.etag = represent(self.base, "", coding, None)
        self.coding = coding
        if self.start.encoded_model is not None:
            # A body that is not whole is stored as the app made it, but here that is a negotiated
            # format.
            self.forget(Reason.BODY_NOT_WHOLE)
        if self.collector is not None:
            self.collector.begin(self.base, made, coding, self.etag)
        return made

    def collect(self, content: bytes) -> None:
        """Collect a piece of the body as it is sent, if the response is to be stored."""
        if self.collector is not None:
            why = self.collector.add(content)
            if why is not None:
                self.forget(why)

    def finish_pieces(self, last_bytes: int) -> None:
        """Build the entry of a body that was sent piece by piece, the last with `last_bytes`."""
        if self.collector is not None:
            self.is_end_sure = self.has_sure_end(last_bytes)
            self.keep(
                self.collector.finish(self.app_bytes, self.recorded_route(), self.more_reasons)
            )
        self.end()

    def keep(self, built: Entry | Reason) -> None:
        """Store this entry at the end, if there is one and the cache still takes it."""
        if isinstance(built, Reason):
            self.forget(built)
            return
        why = self.engine.responses.why_not_kept(built, self.request.asked, own_drop=self.own_drop)
        if why is None:
            self.entry = built
        else:
            self.forget(why)

    def end(self) -> None:
        """Note what becomes of the complete response."""
        entry = self.entry
        if entry is None:
            if self.request.caching:
                self.tell(is_over=True)
            else:
                self.effects += _OVER
        elif self.is_end_sure:
            # A HEAD has renewed the entry when it started, and others may have stored meanwhile.
            is_checked = self.start.entry is None or self.start.messages is not None
            self.effects += (Store(entry, is_checked),)
            self.let_go()
        else:
            collector = self.collector
            assert collector is not None  # it has made the entry
            collector.pending, self.entry = entry, None
            self.effects += (StoreOnReturn(collector),)

    def forget(self, why: Reason) -> None:
        """Do not store this response after all."""
        if self.collector is not None:
            self.let_go()
            self.unstored = why
            self.tell(is_over=False)

    def tell(self, *, is_over: bool) -> None:
        """Tell those who wait for this call that nothing is stored."""
        self.effects += (Unstored(result_of(self.status, self.unstored), is_over),)

    def let_go(self) -> None:
        """Release the memory of the collected body."""
        if self.collector is not None:
            self.collector.let_go()
            self.collector = None

    def abandon(self) -> None:
        """Give up a response that the app has left incomplete."""
        self.let_go()
        self.note(Reason.INCOMPLETE)

    def note(self, why: Reason) -> None:
        """Add a reason why something was not done."""
        self.more_reasons = (*self.more_reasons, why)

    def tag(self, digest: bytes) -> None:
        """Give the response a tag that was made from its body."""
        self.wants_tag = False
        if self.status == 200:
            self.base = self.base.tagged(digest)

    def is_held_by_client(self) -> bool:
        """Whether the client has exactly this representation, according to its request's condition.

        RFC 9110, 13.1.2: 304 for GET and HEAD; an app that evaluates conditions has done so.
        """
        request = self.request
        return (
            self.etag is not None
            and self.status == 200
            and b"if-none-match" in request.profile.places
            and request.method in READS
            and is_not_modified(request.fields, self.etag, None, now=0.0)
        )

    def has_sure_end(self, last_bytes: int) -> bool:
        """Whether a body that ends with a piece of this size cannot have been truncated."""
        # Content that arrives whole in the last message cannot have been truncated; no content can.
        is_one_piece = 0 < last_bytes == self.app_bytes
        return is_one_piece or states_its_end(self.status, self.base.fields)

    def reasons(self) -> tuple[Reason, ...]:
        """Return the reasons why something was not done to this response."""
        reasons = reasons_of(self.request, self.plan.reasons + self.more_reasons, self.unstored)
        return self.request.undecoded + reasons

    def recorded_route(self) -> str:
        """Return the label under which this response and its hits are recorded."""
        policy = self.request.policy
        return LEFT_OUT if policy is not None and policy.timing is False else self.route()

    def route(self) -> str:
        """Return the label of the route that the framework has left in the scope."""
        if self._route is None:
            self._route = self.engine.label(self.scope)
        return self._route
