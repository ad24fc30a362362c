"""Times one exchange at the edge of the server: everything received and sent passes here."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from asgi_serial.timing.base import PHASES
from asgi_serial.timing.figures import divide

if TYPE_CHECKING:
    from asgi_serial.types import Message, Receive, Send

START = "http.response.start"
# The messages that carry a body, or its end, as bytes or as a file.
BODY = "http.response.body"
FILES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})

CLIENT_CLOSED = 499  # the status of a request whose client has left before anything was sent


class Timer:
    """Measures where the time of one exchange goes, and sees how it ends; see `start_timer`.

    Every moment belongs to one phase. The time in the server's `send` and `receive`, and the time
    between `begin_work` and `end_work`, is measured; the rest is the app's. Nothing is counted
    twice: waiting for the request counts only while nothing is sent or worked on.

    Moments and times are seconds as floats, whose arithmetic costs a third of that of long
    integers.
    """

    __slots__ = (
        "_busy_since",
        "_receive",
        "_send",
        "_stages",
        "before_call",
        "began",
        "client_left",
        "ended",
        "first_byte",
        "sending",
        "sent_bytes",
        "status",
    )

    _receive: Receive
    _send: Send
    began: float  # when the request arrived
    before_call: float  # from then until the app was called, if that took more than planning
    first_byte: float  # when the first message of the body went to the server
    ended: float  # when the server had taken the last one
    sending: float  # the time in the server's `send`
    status: int  # of the response, once it was sent
    sent_bytes: int
    client_left: bool  # before it had the whole response
    _busy_since: float  # the beginning of what is being sent or worked on
    _stages: _Stages | None  # None for most requests

    async def send(self, message: Message) -> None:
        """Send a message to the client.

        The head of a response is timed only if more than the app takes part. It takes no time on
        most servers, which send it together with the body.
        """
        kind, send = message["type"], self._send
        if self.first_byte:
            since = self._busy_since = perf_counter()
        elif not self.status and self._stages is None:
            try:
                await send(message)
            except Exception:
                self._lose_client()
                raise
            if kind == START:
                self.status = message["status"]
            return
        else:
            since = self._busy_since = perf_counter()
            if kind == BODY or kind in FILES:
                self.first_byte = since
                if self._stages is not None:
                    self._note_first_byte(self._stages, since)
        try:
            await send(message)
        except Exception:
            self._lose_client()  # raised by the server, not by the app
            raise
        finally:
            now = perf_counter()
            # Otherwise another call has sent meanwhile, and counted that.
            if self._busy_since is since:
                self.sending += now - since
                self._busy_since = 0.0
        if kind == BODY or kind in FILES:
            try:
                self.sent_bytes += len(message["body"])
            except KeyError:
                pass  # a file, or nothing
            if "more_body" not in message or not message["more_body"]:
                self.ended = now
        elif not self.status and kind == START:
            self.status = message["status"]

    async def receive(self) -> Message:
        """Receive a message; the wait for the body of the request is measured."""
        stages = self._open_stages()
        if stages.has_read or stages.wait_since or self.ended:
            message = await self._receive()
        else:
            stages.wait_since = now = perf_counter()
            stages.busy = self._busy(now)
            try:
                message = await self._receive()
            finally:
                self._settle_wait(stages, perf_counter())
                stages.wait_since = 0.0
        if message["type"] == "http.disconnect":
            self._lose_client()
        elif "more_body" not in message or not message["more_body"]:
            stages.has_read = True
        return message

    def begin_work(self) -> float:
        """Begin to work on the response; return what `end_work` takes."""
        if self._busy_since:
            return 0.0  # beside something that is measured already
        self._busy_since = since = perf_counter()
        return since

    def end_work(self, since: float) -> None:
        """Count the work since `begin_work` returned `since`."""
        if since:
            self._open_stages().encoding += perf_counter() - since
            self._busy_since = 0.0

    def begin_decoding(self) -> tuple[float, float]:
        """Begin to read and decode the request; return what `end_decoding` takes."""
        return perf_counter(), self._open_stages().waiting

    def end_decoding(self, since: float, waited: float) -> None:
        """Count the time since then, but not what was waited for the client."""
        stages = self._open_stages()
        stages.decoding += (perf_counter() - since) - (stages.waiting - waited)

    def call_app(self) -> None:
        """Note that the app is called now, after the look-up of a stored response."""
        self.before_call = perf_counter() - self.began
        if self._stages is not None:
            self._stages.waited_before_call = self._stages.waiting

    def measure(
        self,
        app_bytes: int,
        encoded_bytes: int,
        sent_bytes: int,
        called: bool = True,  # noqa: FBT001, FBT002 - on the way of every request
    ) -> tuple[float, ...]:
        """Return the `Figures` of the exchange, which ends now.

        If the app was not `called`, all that is not measured was the search for the answer.
        """
        now, began, ended = perf_counter(), self.began, self.ended
        if self._stages is None and ended and called:
            return (
                (self.first_byte - began) * 1e9,
                (ended - began) * 1e9,
                app_bytes,
                encoded_bytes,
                sent_bytes,
                self.before_call * 1e9,
                self.sending * 1e9,
                (now - ended) * 1e9,
                now * 1e9,
            )
        stages = self._stages or _Stages()
        first, apart, encoding = self.first_byte, stages.apart, stages.encoding
        if stages.wait_since:
            self._settle_wait(stages, now)
        if self._busy_since:  # as when a response starts, or what an end has interrupted
            encoding += now - self._busy_since
        ended = ended or now
        if not first:
            first, apart = ended, stages.waiting + encoding + self.sending
        waited_before_call, before_call = stages.waited_before_call, self.before_call
        if not called:
            waited_before_call = stages.waiting
            apart = waited_before_call + encoding + self.sending - (ended - first)
            before_call = first - began - apart + waited_before_call
        return (
            (first - began) * 1e9,
            (ended - began) * 1e9,
            app_bytes,
            encoded_bytes,
            sent_bytes,
            before_call * 1e9,
            self.sending * 1e9,
            (now - ended) * 1e9,
            now * 1e9,
            waited_before_call * 1e9,
            stages.decoding * 1e9,
            stages.waiting * 1e9,
            encoding * 1e9,
            apart * 1e9,
        )

    def phases_so_far(self) -> dict[str, int]:
        """Return the phases until now, at which the response starts, except those without time."""
        phases = divide(self.measure(0, 0, 0))
        return {name: ns for name, ns in zip(PHASES, phases, strict=True) if ns}

    def _open_stages(self) -> _Stages:
        stages = self._stages
        if stages is None:
            stages = self._stages = _Stages()
        return stages

    def _note_first_byte(self, stages: _Stages, now: float) -> None:
        if stages.wait_since:
            self._settle_wait(stages, now)
        stages.apart = self.sending + stages.waiting + stages.encoding

    def _busy(self, now: float) -> float:
        """Return the time of sending and working up to now."""
        since, stages = self._busy_since, self._stages
        busy = self.sending + (0.0 if stages is None else stages.encoding)
        return busy + (now - since) if since else busy

    def _settle_wait(self, stages: _Stages, now: float) -> None:
        """Count the present wait up to now."""
        busy = self._busy(now)
        stages.waiting += (now - stages.wait_since) - (busy - stages.busy)
        stages.wait_since, stages.busy = now, busy

    def _lose_client(self) -> None:
        if not self.ended:
            self.client_left = True
            self.status = self.status or CLIENT_CLOSED


def start_timer(receive: Receive, send: Send, began: float) -> Timer:
    """Return a timer of the exchange that began at this moment."""
    timer = Timer()  # an `__init__` would take 400 instructions more
    timer._receive, timer._send, timer.began = receive, send, began
    timer.first_byte = timer.ended = timer.sending = 0.0
    timer.before_call = timer._busy_since = 0.0
    timer.status = timer.sent_bytes = 0
    timer.client_left = False
    timer._stages = None
    return timer


class _Stages:
    """The time of stages that most requests do not have."""

    __slots__ = (
        "apart",
        "busy",
        "decoding",
        "encoding",
        "has_read",
        "wait_since",
        "waited_before_call",
        "waiting",
    )

    def __init__(self) -> None:
        self.waiting = self.waited_before_call = self.decoding = self.encoding = 0.0
        self.wait_since = 0.0  # the beginning of the present wait for the request
        self.busy = 0.0  # the time of sending and working before it
        self.apart = 0.0  # the time that was not the app's before the first byte
        self.has_read = False  # the whole request has arrived
