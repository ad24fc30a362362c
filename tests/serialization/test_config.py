"""The config says what is wrong with it, whichever way it is given."""

import pytest

from asgi_serial import (
    CompressionLevel,
    ConfigurationError,
    SerializationConfig,
    SerializationFormat,
    Settings,
    create_serialization_manager,
)
from asgi_serial.serialization.environment import OLDER_NAMES


def test_no_argument_is_needed():
    config = SerializationConfig()
    assert config.default_format is SerializationFormat.JSON
    assert config.compression_level is CompressionLevel.BALANCED


@pytest.mark.parametrize(
    ("name", "value", "lines"),
    [
        ("default_format", "yaml", "default_format is 'yaml'; expected one of JSON, ORJSON"),
        ("compression_level", "best", "compression_level is 'best'; expected one of FAST"),
        ("compression_codec", "br", "compression_codec is 'br'; expected zstd or gzip"),
        ("cache_ttl", "soon", "cache_ttl is 'soon'; expected a duration"),
        ("max_retries", -1, "max_retries is -1; expected an integer from 0 to 10"),
        ("retry_delay", 61, "retry_delay is 61; expected a duration"),
        ("cache_max_size", True, "cache_max_size is True; expected an integer"),
        ("cache_url", "here", "cache_url is not accepted (the value is secret); expected a URL"),
        ("pickle_key", "x", "pickle_key is not accepted (the value is secret); expected a secret"),
        ("pydantic_config", [], "pydantic_config is []; expected a pydantic.ConfigDict"),
        ("cache_tll", 1, "cache_tll is not a setting of the library; did you mean cache_ttl?"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name, value, lines):
    with pytest.raises(ConfigurationError) as caught:
        SerializationConfig(**{name: value})
    assert lines in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        SerializationConfig(cache_ttl=-1, max_retries=99)
    assert len(str(caught.value).splitlines()) == 2


def test_durations_and_sizes_may_be_words():
    config = SerializationConfig(cache_ttl="1h", compression_threshold="2kB", retry_delay="50ms")
    assert (config.cache_ttl, config.compression_threshold, config.retry_delay) == (
        3600,
        2000,
        0.05,
    )


def test_secrets_are_not_shown():
    config = SerializationConfig(
        pickle_key="a secret of some length", cache_url="redis://:hunter2@host:6379/0"
    )
    assert "hunter2" not in repr(config)
    assert "some length" not in repr(config)


OLDER = {
    "SERIALIZATION_FORMAT": ("ORJSON", SerializationFormat.ORJSON),
    "SERIALIZATION_FALLBACK_FORMAT": ("ORJSON", SerializationFormat.ORJSON),
    "ENABLE_COMPRESSION": ("false", False),
    "COMPRESSION_LEVEL": ("MAX", CompressionLevel.MAX),
    "COMPRESSION_THRESHOLD": ("2048", 2048),
    "ENABLE_SERIALIZATION_CACHING": ("no", False),
    "SERIALIZATION_CACHE_TTL": ("60", 60.0),
    "SERIALIZATION_CACHE_MAX_SIZE": ("7", 7),
    "ENABLE_VALIDATION": ("off", False),
    "CACHE_VALIDATION": ("0", False),
    "STRICT_VALIDATION": ("on", True),
    "ENABLE_SERIALIZATION_PROFILING": ("False", False),
    "SERIALIZATION_PROFILE_THRESHOLD": ("1s", 1.0),
    "SERIALIZATION_MAX_RETRIES": ("0", 0),
    "SERIALIZATION_RETRY_DELAY": ("1", 1.0),
    "SERIALIZATION_PICKLE_KEY": ("a secret of some length", "a secret of some length"),
}


def test_every_older_name_has_its_case():
    assert OLDER.keys() == OLDER_NAMES.keys()


@pytest.mark.parametrize("spell", [str.upper, str.lower], ids=["upper", "lower"])
@pytest.mark.parametrize("name", OLDER)
def test_an_older_name_is_read_in_any_case_and_beaten_by_the_newer_one(name, spell):
    text, value = OLDER[name]
    field = OLDER_NAMES[name]
    found = getattr(SerializationConfig.from_env({spell(name): text}), field)
    assert (found.get_secret_value() if field == "pickle_key" else found) == value
    default = SerializationConfig.model_fields[field].default
    if field != "pickle_key":
        newer = {f"ASGI_SERIAL_MODEL_{field.upper()}": str(default)}
        config = SerializationConfig.from_env({name: text, **newer})
        assert getattr(config, field) == default


def test_every_field_but_the_functions_may_be_set_in_the_environment():
    for name in SerializationConfig.model_fields.keys() - {"pydantic_config"}:
        with pytest.raises(ConfigurationError, match=f"ASGI_SERIAL_MODEL_{name.upper()} is"):
            SerializationConfig.from_env({f"ASGI_SERIAL_MODEL_{name.upper()}": "?"})


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"COMPRESSION_LEVEL": "BEST"}, "COMPRESSION_LEVEL is 'BEST'; expected one of FAST"),
        (
            {"ASGI_SERIAL_MODEL_CACHE_TLL": "1"},
            "CACHE_TLL is not a setting; did you mean ASGI_SERIAL_MODEL_CACHE_TTL?",
        ),
        (
            {"ENABLE_COMPRESSION": "1", "enable_compression": "0"},
            "enable_compression is also set as ENABLE_COMPRESSION; set only one of them.",
        ),
    ],
    ids=["a wrong value", "an unknown name", "a name in two spellings"],
)
def test_faults_of_the_environment_are_named_as_the_user_knows_them(environ, line):
    with pytest.raises(ConfigurationError) as caught:
        SerializationConfig.from_env(environ)
    assert line in str(caught.value)


def test_an_empty_value_and_other_software_s_names_are_no_settings():
    assert SerializationConfig.from_env({"CACHE_TTL": "x", "ENABLE_VALIDATION": " "}) == (
        SerializationConfig()
    )


def test_the_middleware_and_the_library_do_not_read_each_other_s_names():
    environ = {"ASGI_SERIAL_MODEL_CACHE_TTL": "7", "ASGI_SERIAL_CACHE_TTL": "9"}
    assert SerializationConfig.from_env(environ).cache_ttl == 7
    assert Settings.load({}, environ).cache_ttl == 9


def test_a_manager_without_a_config_reads_the_environment():
    manager = create_serialization_manager(environ={"SERIALIZATION_FORMAT": "MSGPACK"})
    assert manager.config.default_format is SerializationFormat.MSGPACK


def test_a_key_in_the_environment_is_checked_as_one_in_code():
    with pytest.raises(ConfigurationError, match="pickle_key is not accepted"):
        create_serialization_manager(
            SerializationConfig(), environ={"SERIALIZATION_PICKLE_KEY": "short"}
        )


def test_a_whole_config_can_be_put_in_the_place_of_another():
    manager = create_serialization_manager(SerializationConfig(), environ={})
    mine = SerializationConfig(cache_max_size=5)
    manager.config = mine
    mine.cache_max_size = 9
    stats = manager.get_stats()["cached_manager"]["cache"]["l1_cache"]
    assert (manager.config.cache_max_size, stats["max_size"]) == (5, 5)
