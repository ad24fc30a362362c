"""Models in CBOR: the values of their JSON, told from other formats by a tag."""

import math
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import cbor2
import msgpack
import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from asgi_serial import (
    OptimizedSerializationManager,
    SerializationConfig,
    SerializationFormat,
    encode_model,
)
from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.serialization.model_serializer import detect_format

TAG = b"\xd9\xd9\xf7"


class Order(BaseModel):
    id: UUID
    at: datetime
    price: Decimal
    lines: list[dict[str, int | None]] = []
    note: bytes = b""


ORDER = Order(
    id=UUID(int=7),
    at=datetime(2024, 2, 29, 12, tzinfo=UTC),
    price=Decimal("9.50"),
    lines=[{"a": 1, "b": None}],
    note=b"text",
)


@pytest.fixture
def manager() -> OptimizedSerializationManager:
    return OptimizedSerializationManager(SerializationConfig(enable_compression=False))


def test_it_holds_the_values_of_json(manager):
    payload = manager.serialize_sync(ORDER, format="cbor")
    assert payload.startswith(TAG)
    assert cbor2.loads(payload.removeprefix(TAG)) == ORDER.model_dump(mode="json")
    assert encode_model(ORDER, "application/cbor") == payload.removeprefix(TAG)


@pytest.mark.parametrize("format", [None, "cbor", SerializationFormat.CBOR])
def test_it_is_read_back_also_if_no_format_is_named(manager, format):
    payload = manager.serialize_sync(ORDER, format="CBOR")
    assert detect_format(payload) is SerializationFormat.CBOR
    assert manager.deserialize_sync(payload, Order, format=format) == ORDER


def test_the_tag_begins_no_document_of_messagepack():
    for rest in (b"\xa0", b"x" * 300):
        with pytest.raises((UnicodeDecodeError, ValueError)):
            msgpack.unpackb(TAG + rest)


def test_documents_of_other_software_are_read_if_cbor_is_named(manager):
    document = cbor2.dumps(ORDER.model_dump(mode="json"), canonical=True)
    assert manager.deserialize_sync(document, Order, format="cbor") == ORDER


def test_it_is_compressed_like_any_other():
    manager = OptimizedSerializationManager(SerializationConfig(default_format="cbor"))
    order = ORDER.model_copy(update={"lines": [{"a": 1}] * 1_000})
    payload = manager.serialize_sync(order)
    assert len(payload) < 500
    assert manager.deserialize_sync(payload, Order) == order


@pytest.mark.parametrize("mode", ["null", "constants", "strings"])
def test_numbers_that_are_not_finite_are_what_they_are_in_json(manager, mode):
    class Reading(BaseModel):
        model_config = ConfigDict(ser_json_inf_nan=mode)
        values: list[Any]

    payload = manager.serialize_sync(Reading(values=[1.5, math.inf, math.nan]), format="cbor")
    expected = {"null": [None, None], "constants": [math.inf, math.nan]}
    found = cbor2.loads(payload.removeprefix(TAG))["values"]
    assert repr(found) == repr([1.5, *expected.get(mode, ["Infinity", "NaN"])])
    read = manager.deserialize_sync(payload, Reading)
    assert repr(read.values) == repr(found)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xa1", id="cut off"),
        pytest.param(b"\x81" * 100_000, id="a nesting bomb"),
        pytest.param(b"\xd8\x1c\x81\xd8\x1d\x00", id="a cycle"),
        pytest.param(b"\xc2\x5a\x00\x01\x00\x00" + b"\xff" * 65536, id="a big integer"),
        pytest.param(b"\xa1\x01\x02", id="a key that is an integer"),
    ],
)
def test_hostile_bytes_are_a_validation_error(manager, data):
    for payload in (data, TAG + data):
        with pytest.raises(ValidationError, match="Invalid CBOR") as caught:
            manager.deserialize_sync(payload, Order, format="cbor")
        assert caught.value.errors()[0]["type"] == "cbor_invalid"


def test_an_integer_beyond_64_bits_is_refused(manager):
    class Big(BaseModel):
        number: int

    with pytest.raises(FormatError, match="CBOR"):
        manager.serialize_sync(Big(number=2**64), format="cbor")


WITHOUT_CBOR2 = """
import sys
sys.modules["cbor2"] = None
from asgi_serial import OptimizedSerializationManager, SerializationConfig

manager = OptimizedSerializationManager(SerializationConfig())
print(manager.serialize_sync({"a": 1}))
for make in (
    lambda: OptimizedSerializationManager(SerializationConfig(default_format="cbor")),
    lambda: manager.serialize_sync({"a": 1}, format="cbor"),
):
    try:
        make()
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_without_the_extra_the_error_says_what_is_missing():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_CBOR2], capture_output=True, text=True, timeout=300
    )
    missing = "CBOR needs cbor2, which is not installed; install asgi-serial[cbor]."
    assert run.stdout.splitlines() == [
        "b'{\"a\":1}'",
        f"{ConfigurationError.__name__} {missing}",
        f"{ConfigurationError.__name__} {missing}",
    ], run.stderr


def test_a_fallback_never_changes_the_media_type():
    with pytest.raises(ConfigurationError, match="fallback_format"):
        SerializationConfig(fallback_format="cbor")
