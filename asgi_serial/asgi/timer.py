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
    """Measures where the time of one exchange goes, and sees how it ends.

    Every moment belongs to one phase. The time in the server's `send` and `receive`, and the time
    between `begin_work` and `end_work`, is measured; the rest is the app's. Nothing is counted
    twice: waiting for the request counts only while nothing is sent or worked on.

    Moments are seconds as floats, whose arithmetic costs a third of that of long integers.
    """

    __slots__ = (
        "_busy_since",
        "_receive",
        "_send",
        "_stages",
        "before_call_ns",
        "began",
        "client_left",
        "ended",
        "first_byte",
        "send_ns",
        "sent_bytes",
        "status",
    )

    # Annotations in the method would be evaluated for each object.
    began: float  # when the request arrived
    before_call_ns: float  # from then until the app was called, if that took more than planning
    first_byte: float  # when the first message of the body went to the server
    ended: float  # when the server had taken the last one
    send_ns: float
    status: int  # of the response, once it was sent
    sent_bytes: int
    client_left: bool  # before it had the whole response
    _busy_since: float  # the beginning of what is being sent or worked on
    _stages: _Stages | None  # None for most requests

    def __init__(self, receive: Receive, send: Send, began: float) -> None:
        self._receive = receive
        self._send = send
        self.began = began
        self.first_byte = self.ended = self.send_ns = 0.0
        self.before_call_ns = self._busy_since = 0.0
        self.status = self.sent_bytes = 0
        self.client_left = False
        self._stages = None

    async def send(self, message: Message) -> None:
        """Send a message to the client.

        The head of a response is timed only if more than the app takes part. It takes no time on
        most servers, which send it together with the body.
        """
        if not (self.status or self._stages):
            try:
                await self._send(message)
            except Exception:
                self._lose_client()
                raise
            if message["type"] == START:
                self.status = message["status"]
            return
        self._busy_since = since = perf_counter()
        kind, send = message["type"], self._send
        carries_body = kind == BODY or kind in FILES
        if carries_body and not self.first_byte:
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
                self.send_ns += (now - since) * 1e9
                self._busy_since = 0.0
        if carries_body:
            if "body" in message:
                self.sent_bytes += len(message["body"])
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
            stages.busy_ns = self._busy_ns(now)
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
            self._open_stages().encode_ns += (perf_counter() - since) * 1e9
            self._busy_since = 0.0

    def begin_decoding(self) -> tuple[float, float]:
        """Begin to read and decode the request; return what `end_decoding` takes."""
        return perf_counter(), self._open_stages().wait_ns

    def end_decoding(self, since: float, waited_ns: float) -> None:
        """Count the time since then, but not what was waited for the client."""
        stages = self._open_stages()
        took_ns = (perf_counter() - since) * 1e9
        stages.decode_ns += took_ns - (stages.wait_ns - waited_ns)

    def call_app(self) -> None:
        """Note that the app is called now, after the look-up of a stored response."""
        self.before_call_ns = (perf_counter() - self.began) * 1e9
        if self._stages is not None:
            self._stages.waited_before_call_ns = self._stages.wait_ns

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
        now, began, ended, stages = perf_counter(), self.began, self.ended, self._stages
        if stages is None and called and ended:
            return (
                (self.first_byte - began) * 1e9,
                (ended - began) * 1e9,
                app_bytes,
                encoded_bytes,
                sent_bytes,
                self.before_call_ns,
                self.send_ns,
                (now - ended) * 1e9,
                now * 1e9,
            )
        stages = stages or _Stages()
        first, apart_ns, encode_ns = self.first_byte, stages.apart_ns, stages.encode_ns
        if stages.wait_since:
            self._settle_wait(stages, now)
        if self._busy_since:  # as when a response starts, or what an end has interrupted
            encode_ns += (now - self._busy_since) * 1e9
        ended = ended or now
        if not first:
            first, apart_ns = ended, stages.wait_ns + encode_ns + self.send_ns
        first_ns, total_ns = (first - began) * 1e9, (ended - began) * 1e9
        waited_ns, before_call_ns = stages.waited_before_call_ns, self.before_call_ns
        if not called:
            waited_ns = stages.wait_ns
            apart_ns = waited_ns + encode_ns + self.send_ns - (total_ns - first_ns)
            before_call_ns = first_ns - apart_ns + waited_ns
        return (
            first_ns,
            total_ns,
            app_bytes,
            encoded_bytes,
            sent_bytes,
            before_call_ns,
            self.send_ns,
            (now - ended) * 1e9,
            now * 1e9,
            waited_ns,
            stages.decode_ns,
            stages.wait_ns,
            encode_ns,
            apart_ns,
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
        stages.apart_ns = self.send_ns + stages.wait_ns + stages.encode_ns

    def _busy_ns(self, now: float) -> float:
        """Return the time of sending and working up to now."""
        since, stages = self._busy_since, self._stages
        busy_ns = self.send_ns + (0.0 if stages is None else stages.encode_ns)
        return busy_ns + (now - since) * 1e9 if since else busy_ns

    def _settle_wait(self, stages: _Stages, now: float) -> None:
        """Count the present wait up to now."""
        busy_ns = self._busy_ns(now)
        stages.wait_ns += (now - stages.wait_since) * 1e9 - (busy_ns - stages.busy_ns)
        stages.wait_since, stages.busy_ns = now, busy_ns

    def _lose_client(self) -> None:
        if not self.ended:
            self.client_left = True
            self.status = self.status or CLIENT_CLOSED


class _Stages:
    """The time of stages that most requests do not have."""

    __slots__ = (
        "apart_ns",
        "busy_ns",
        "decode_ns",
        "encode_ns",
        "has_read",
        "wait_ns",
        "wait_since",
        "waited_before_call_ns",
    )

    def __init__(self) -> None:
        self.wait_ns = self.waited_before_call_ns = self.decode_ns = self.encode_ns = 0.0
        self.wait_since = 0.0  # the beginning of the present wait for the request
        self.busy_ns = 0.0  # the time of sending and working before it
        self.apart_ns = 0.0  # the time that was not the app's before the first byte
        self.has_read = False  # the whole request has arrived
