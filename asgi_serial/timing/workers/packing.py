"""Labels and series as bytes, for other processes of the same version.

The form follows from the slots of the classes: a list of their values in order. Bytes that come
from another process are checked: everything malformed is a ValueError.
"""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple, cast

import msgpack  # type: ignore[import-untyped]

from asgi_serial.reasons import Reason
from asgi_serial.timing.base import PHASES
from asgi_serial.timing.figures import MOST, Figures, SlowRequest
from asgi_serial.timing.histogram import Histogram
from asgi_serial.timing.history import History
from asgi_serial.timing.recorder import (
    CodingTotals,
    Kind,
    Labels,
    Series,
    SeriesKey,
    find_kind,
    labels_of,
)

# The class of the values in those slots of a series that are dicts of more than counts.
_VALUES = {"codings": CodingTotals}
_MOST = 1 << 63
_LONGEST_NAME = 200

FORM = sha256(
    repr(
        (
            *(1, Figures._fields, SeriesKey._fields, Kind.__slots__, tuple(Reason.__members__)),
            *(Series.__slots__, CodingTotals.__slots__, Histogram.__slots__),
            *(History.__slots__, SlowRequest._fields, PHASES),
        )
    ).encode()
).digest()[:8]
"""Differs between versions that cannot read each other's bytes."""


class MalformedError(Exception):
    """The bytes are not such as another process of this version writes."""


def pack_labels(kind: Kind) -> bytes:
    """Return the labels of a kind as bytes."""
    *labels, reasons = labels_of(kind)
    return _pack([*labels, [reason.name for reason in reasons]])


def unpack_labels(data: bytes) -> Kind:
    """Return a kind with these labels. Raises: MalformedError."""
    try:
        *labels, names = _unpack(data)
        return _find_kind(*labels, tuple(Reason[name] for name in names))
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedError(f"{error!r} in labels") from None


def pack_series(key: SeriesKey, series: Series) -> bytes:
    """Return a series and its labels as bytes."""
    return _pack([*key, _dump(series)])


def unpack_series(data: bytes) -> tuple[SeriesKey, Series]:
    """Return what `pack_series` has packed. Raises: MalformedError."""
    series = Series()
    try:
        *labels, values = _unpack(data)
        kind = _find_kind(*labels, "", "", "", "", ())
        _load(series, values)
    except TypeError as error:
        raise MalformedError(f"{error!r} in a series") from None
    if not series.reasons.keys() <= Reason.__members__.keys():
        raise MalformedError(f"{series.reasons!r} has unknown reasons")
    assert kind.key is not None
    return kind.key, series


def _find_kind(*labels: Any) -> Kind:
    """Return the kind with these labels. Raises: TypeError, MalformedError."""
    kind = find_kind(cast(Labels, labels))
    if kind.key is None or not all(isinstance(label, str | int) for label in labels[:-1]):
        raise MalformedError(f"{labels!r} are no labels")
    return kind


def pack_history(history: History) -> bytes:
    """Return the requests by the minute as bytes."""
    counters = [getattr(history, name) for name in History.__slots__]
    return _pack([list(counter.items()) for counter in counters])


def unpack_history(data: bytes) -> History:
    """Return what `pack_history` has packed. Raises: MalformedError."""
    history = History()
    try:
        for name, items in zip(History.__slots__, _unpack(data), strict=True):
            counts = {_number(minute): _number(count) for minute, count in items}
            getattr(history, name).update(counts)
    except (TypeError, ValueError) as error:
        raise MalformedError(f"{error!r} in a history") from None
    return history


class State(NamedTuple):
    """The figures of a process at one moment, and its slowest requests."""

    counts: dict[str, Any]
    slowest: list[SlowRequest]

    @classmethod
    def of(cls, states: "Iterable[State]") -> "State":
        """Return the sums of the figures, and the slowest requests of all."""
        counts: Counter[str] = Counter()
        slowest: list[SlowRequest] = []
        for state in states:
            counts.update(state.counts)
            slowest += state.slowest
        slowest.sort(key=lambda one: one.total_ns, reverse=True)
        return cls(dict(counts), slowest[:MOST])


def pack_state(state: State) -> bytes:
    """Return the state of a process as bytes."""
    slowest = [one._replace(phases=list(one.phases)) for one in state.slowest]
    return _pack([state.counts, slowest])


def unpack_state(data: bytes) -> State:
    """Return what `pack_state` has packed. Raises: MalformedError."""
    try:
        counts, slowest = _unpack(data)
        return State(
            {_name(name): _number(number) for name, number in counts.items()},
            [_load_request(SlowRequest(*values)) for values in slowest],
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise MalformedError(f"{error!r} in the state of another process") from None


def _load_request(request: SlowRequest) -> SlowRequest:
    words = (request.method, request.path, request.route, request.outcome)
    figures = (request.total_ns, request.ended_ns, request.status, request.first_byte_ns)
    for word in words:
        _name(word)
    for figure in (*figures, *request.phases):
        _number(figure)
    if len(request.phases) != len(PHASES):
        raise MalformedError(f"{request!r} has other phases")
    return request


def _pack(value: object) -> bytes:
    try:
        packed: bytes = msgpack.packb(value, unicode_errors="surrogatepass")
    except (OverflowError, TypeError, UnicodeEncodeError) as error:
        raise MalformedError(f"{error} in figures") from None
    return packed


def _unpack(data: bytes) -> Any:
    try:
        return msgpack.unpackb(data, unicode_errors="surrogatepass")
    except Exception as error:
        raise MalformedError(f"{error!r} in figures of another process") from None


def _dump(value: Any) -> Any:
    """Return the values of an object's slots as lists, dicts and integers."""
    if isinstance(value, Histogram):
        return [value.sum_ns, *value.counts()]
    if isinstance(value, dict):
        return {name: _dump(one) for name, one in value.items()}
    if isinstance(value, int | list):
        return value
    return [_dump(getattr(value, name)) for name in type(value).__slots__]


def _load(target: Any, values: Any) -> None:
    """Set the slots of a new object to what `_dump` returned for one of its class."""
    names = type(target).__slots__
    if not isinstance(values, list) or len(values) != len(names):
        raise MalformedError(f"{values!r} are no values of {names!r}")
    for name, value in zip(names, values, strict=True):
        setattr(target, name, _loaded(getattr(target, name), value, _VALUES.get(name)))


def _loaded(blank: Any, value: Any, item: type | None) -> Any:
    if isinstance(blank, int):
        return _number(value)
    if isinstance(blank, dict):
        if not isinstance(value, dict):
            raise MalformedError(f"{value!r} is no mapping")
        for name, one in value.items():
            if item is None:
                blank[_name(name)] = _number(one)
            else:
                blank[_name(name)] = item()
                _load(blank[name], one)
        return blank
    if not isinstance(value, list):
        raise MalformedError(f"{value!r} is no list")
    numbers = list(map(_number, value))
    if isinstance(blank, Histogram):
        try:
            return Histogram.from_counts(numbers[0], numbers[1:])
        except (IndexError, ValueError) as error:
            raise MalformedError(f"{error} in a histogram") from None
    if len(numbers) != len(blank):
        raise MalformedError(f"{numbers!r} are not {len(blank)} numbers")
    return numbers


def _number(value: object) -> int:
    if type(value) is not int or not -_MOST <= value < _MOST:
        raise MalformedError(f"{value!r} is no number")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        raise MalformedError(f"{value!r} is no name")
    return value
