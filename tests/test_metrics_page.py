"""docs/reference/metrics.md lists the metrics that there are, and the values of their labels."""

import re

from asgi_serial.reasons import SUBJECTS
from asgi_serial.timing import instruments
from asgi_serial.timing.base import OUTCOMES, PHASES
from asgi_serial.timing.instruments import RESPONSE_BODY_SIZE, STATE, Instrument
from asgi_serial.timing.prometheus_families import PROCESS
from tests.pages import read_page

PAGE = read_page("metrics")
INSTRUMENTS = [one for one in vars(instruments).values() if isinstance(one, Instrument)]

OF_PROCESSES = {one for _, one, _ in STATE}


def row_of(instrument):
    suffix = "_total" if instrument.kind == "counter" else ""
    kind = "summary" if instrument is RESPONSE_BODY_SIZE else instrument.kind
    names = [*instrument.labels, PROCESS] if instrument in OF_PROCESSES else instrument.labels
    labels = ", ".join(f"`{name.replace('.', '_')}`" for name in names)
    return (f"{instrument.prometheus_name}{suffix}", kind, labels, instrument.description)


def test_every_metric_is_listed_as_it_is():
    table = PAGE.partition("| metric | type | labels | meaning |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ?(.*?) ?\| (.+) \|$", table, re.MULTILINE)
    assert rows[:-1] == [row_of(one) for one in INSTRUMENTS]
    assert rows[-1][:2] == ("asgi_serial_build_info", "info")


def listed(label):
    (value,) = re.findall(rf"^\| `{label}` \| (.+) \|$", PAGE, re.MULTILINE)
    return re.findall(r"`([a-z-]+)`", value)


def test_every_label_is_explained():
    explained = set(re.findall(r"^\| `(\w+)` \| [^|]+ \|$", PAGE, re.MULTILINE))
    named = {name.replace(".", "_") for one in INSTRUMENTS for name in one.labels}
    assert named | {PROCESS} <= explained


def test_values_of_labels_are_those_that_there_are():
    assert listed("phase") == list(PHASES)
    assert listed("error_type") == list(OUTCOMES[1:])
    assert listed("about") == list(SUBJECTS)
    for label in ("operation", "kind", "part"):
        values = [values[0] for _, one, values in STATE if one.labels == (label,)]
        assert sorted(listed(label)) == sorted(values)
