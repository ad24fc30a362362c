"""What a case of the conformance table is made of.

Lines of fields are written as on the wire. In those of the origin `{+60}` stands for the date in a
minute (`{-60 rfc850}` and `{-60 asctime}` for one of the obsolete formats), and `{path}` for the
path of the case. Times are the seconds of a clock that only a step moves.
"""

from enum import Enum
from typing import NamedTuple


class Strength(Enum):
    """How much the RFC asks for it."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"  # allowed, and what makes a good cache


class Source(Enum):
    """Where an answer has to come from."""

    ORIGIN = "the origin"
    CACHE = "the cache, with the origin not asked"
    VALIDATED = "the cache, after the origin has been asked"
    REFRESHED = "the cache, with the origin asked behind the answer"
    ANY = "either"


class End(Enum):
    """How the origin ends a response."""

    WHOLE = "after all of its content"
    SHORT = "before the length that it stated"
    BROKEN = "by a failure within its content"
    FAILED = "by a failure before its head"


MUST, SHOULD, MAY = Strength
ORIGIN, CACHE, VALIDATED, REFRESHED, ANY = Source
WHOLE, SHORT, BROKEN, FAILED = End


class Reply(NamedTuple):
    """What the origin answers; without a body of its own each answer has another."""

    lines: tuple[str, ...] = ()
    status: int = 200
    body: bytes | None = None
    dated: bool = True  # it has the Date of now, unless its lines have one
    end: End = WHOLE


class Step(NamedTuple):
    """A request, what the origin would answer, and what has to come of it."""

    lines: tuple[str, ...] = ()
    reply: Reply = Reply()
    again: Reply | None = None  # what it would answer if it were asked again
    source: Source = ORIGIN
    method: str = "GET"
    path: str = ""  # after the path of the case
    body: bytes = b""
    after: float = 0  # seconds since the step before
    of: int | None = None  # the step that first had the stored response; the last one if unset
    status: int | None = None  # unset: that of the response
    content: bytes | None = None  # unset: that of the response
    has: tuple[str, ...] = ()  # lines of the answer
    lacks: tuple[str, ...] = ()  # names that are not in it
    asked: tuple[str, ...] = ()  # lines that have reached the origin
    not_asked: tuple[str, ...] = ()  # names that have not
    says: tuple[str, ...] = ()  # members of Cache-Status


class Case(NamedTuple):
    """What a shared cache does, with the section that asks for it."""

    section: str
    strength: Strength
    name: str
    steps: tuple[Step, ...]
    preset: bool = False  # it needs the preset `conformance`
    gateway: bool = False  # it is about a proxy, in whose place a server does it for an app

    @property
    def title(self) -> str:
        return f"{self.section} {self.strength.value}: {self.name}"


def reply(*lines: str, **rest: object) -> Reply:
    """A response with these lines of fields."""
    return Reply(lines, **rest)  # type: ignore[arg-type]


def ask(*lines: str, **rest: object) -> Step:
    """A step whose request has these lines of fields."""
    return Step(lines, **rest)  # type: ignore[arg-type]


def case(section: str, strength: Strength, name: str, *steps: Step, **rest: bool) -> Case:
    return Case(section, strength, name, steps, **rest)


def pair(
    source: Source,
    section: str,
    strength: Strength,
    name: str,
    *lines: str,
    first: tuple[str, ...] = (),
    then: tuple[str, ...] = (),
    status: int = 200,
    after: float = 0,
    preset: bool = False,
    dated: bool = True,
) -> Case:
    """Two requests with the lines `first` and `then`, of which the second is about the source."""
    answer = Reply(lines, status, dated=dated)
    steps = (Step(first, answer), Step(then, answer, source=source, after=after))
    return Case(section, strength, name, steps, preset)


def reused(section: str, strength: Strength, name: str, *lines: str, **rest: object) -> Case:
    """A response with these lines answers a second request."""
    return pair(CACHE, section, strength, name, *lines, **rest)  # type: ignore[arg-type]


def not_reused(section: str, strength: Strength, name: str, *lines: str, **rest: object) -> Case:
    """A response with these lines does not answer a second request without the origin."""
    return pair(ORIGIN, section, strength, name, *lines, **rest)  # type: ignore[arg-type]
