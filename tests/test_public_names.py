"""What the package exports is what its documents say, and no more."""

import inspect
import re

import pytest

import asgi_serial
from tests.pages import ROOT, read_page

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
REFERENCE = read_page("api") + read_page("api-library")

NAMES = [
    "AsgiSerialError",
    "CachedSerializationManager",
    "CodecError",
    "CompressionLevel",
    "ConfigurationError",
    "Engine",
    "FormatError",
    "JSONSerializer",
    "MsgPackSerializer",
    "OpenTelemetryRecorder",
    "OptimizedSerializationManager",
    "OrJSONSerializer",
    "OutputLimitExceeded",
    "PickleSerializer",
    "PydanticModelSerializer",
    "Reason",
    "Recorder",
    "Report",
    "RoutePolicy",
    "Sample",
    "SerialMiddleware",
    "SerialResponse",
    "SerializationConfig",
    "SerializationFormat",
    "SerializationProfiler",
    "SerializationUtils",
    "Settings",
    "Store",
    "build_engine",
    "cached",
    "create_serialization_manager",
    "deserialized",
    "encode_model",
    "get_default_manager",
    "openapi_formats",
    "prometheus_collector",
    "purge",
    "serial",
    "serialized",
    "set_default_manager",
    "set_policy",
    "timing_report",
    "validation_problem",
    "warm",
]


def test_the_exported_names_are_these_in_order():
    assert asgi_serial.__all__ == NAMES == sorted(NAMES)


def test_nothing_else_is_there_to_be_imported():
    """But the modules below, which are not promised, and what Python puts there."""
    names = [name for name, value in vars(asgi_serial).items() if not inspect.ismodule(value)]
    assert sorted(name for name in names if not name.startswith("_")) == NAMES


@pytest.mark.parametrize("written", [r"^\| `(\w+)` \|", r"^::: asgi_serial\.(\w+)$"])
def test_the_reference_lists_and_describes_each_public_name_once(written):
    assert sorted(re.findall(written, REFERENCE, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_says_what_it_is_and_when_it_came(name):
    assert inspect.getdoc(getattr(asgi_serial, name))
    assert re.search(rf"`@?{name}\b", CHANGELOG)


def test_the_version_is_that_of_the_project():
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{asgi_serial.__version__}"' in project
