"""An origin whose resource changes, with parts of it, and what a client may be sent of it."""

from typing import Any, NamedTuple

from asgi_serial.http.headers import read_fields
from asgi_serial.http.parts import parse_content_range
from asgi_serial.http.ranges import ByteRange, content_range, parse_range

from .client import Answer

READ = frozenset({b"range", b"if-range", b"if-none-match"})


class Version(NamedTuple):
    """What the resource was until `until`, in epoch seconds."""

    etag: bytes
    body: bytes
    until: float


class Changing:
    """An app with one resource, of which each version has a strong tag and bytes of its own.

    It `ignores` ranges, `breaks` off in the middle, heeds no If-Range (`has_not_synced`), or
    gives a byte less than is asked for (`is_mean`); a body comes in so many `pieces`.
    """

    def __init__(self, clock: Any, *lines: tuple[bytes, bytes]) -> None:
        self.clock = clock
        self.lines = lines
        self.versions: list[Version] = []
        self.behave()
        self.pieces = 1
        self.asked: list[dict[bytes, bytes]] = []
        self.change(b"0123456789")

    @property
    def now(self) -> Version:
        return self.versions[-1]

    def behave(self, how: str = "") -> None:
        """Misbehave in one way, or in none."""
        self.ignores, self.breaks = how == "ignores", how == "breaks"
        self.has_not_synced, self.is_mean = how == "has_not_synced", how == "is_mean"

    def change(self, body: bytes) -> None:
        if self.versions:
            self.versions[-1] = self.now._replace(until=self.clock())
        etag = b'"v%d"' % len(self.versions)
        self.versions.append(Version(etag, body, float("inf")))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        fields = read_fields(scope["headers"], READ)
        self.asked.append(fields)
        status, body, lines = self._answer(fields)
        headers = [*self.lines, *lines, (b"etag", self.now.etag)]
        if status != 304:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        size = max(1, -(-len(body) // self.pieces))
        for place in range(0, max(1, len(body)), size):
            piece = body[place : place + size]
            more = place + size < len(body)
            if self.breaks and not more:
                raise RuntimeError("it breaks off")
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    def _answer(self, fields: dict[bytes, bytes]) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        version = self.now
        if fields.get(b"if-none-match") == version.etag:
            return 304, b"", []
        parts = None
        is_same = self.has_not_synced or fields.get(b"if-range", version.etag) == version.etag
        if not self.ignores and is_same:
            parts = parse_range(fields.get(b"range", b""), len(version.body), most=1)
        if parts is None:
            return 200, version.body, []
        if not parts:
            return 416, b"", [(b"content-range", content_range(None, len(version.body)))]
        (span,) = parts
        if self.is_mean and span.first < span.last:
            span = ByteRange(span.first, span.last - 1)
        line = (b"content-range", content_range(span, len(version.body)))
        return 206, version.body[span.first : span.last + 1], [line]

    def faults_of(self, answer: Answer, *, fresh_for: float) -> list[str]:
        """What is not true of one version in an answer that looks whole."""
        if answer.status not in (200, 206):
            return []
        etag = (answer.one("etag") or "").encode()
        version = next((one for one in self.versions if one.etag == etag), None)
        if version is None:
            return [f"there is no version {etag!r}"]
        first, last, length = 0, len(version.body) - 1, len(version.body)
        if answer.status == 206:
            found = parse_content_range((answer.one("content-range") or "").encode())
            if found is None:
                return ["a part does not say which it is"]
            (first, last), length = found
        elif answer.one("content-range") is not None:
            return ["a whole says that it is a part"]
        faults = []
        if length != len(version.body):
            faults.append(f"{etag!r} has another length than {length}")
        if answer.body != version.body[first : last + 1]:
            faults.append(f"{answer.body!r} is not {first}-{last} of {version.body!r}")
        if self.clock() - version.until > fresh_for:
            faults.append(f"{etag!r} was over for {self.clock() - version.until} seconds")
        return faults
