"""What the tests of the library share."""

import pytest

from asgi_serial import SerializationConfig, create_serialization_manager, set_default_manager


@pytest.fixture
def make_manager():
    """Makes managers that see no environment."""

    def make(store=None, **options):
        return create_serialization_manager(SerializationConfig(**options), store=store, environ={})

    return make


@pytest.fixture
def make_checking(make_manager):
    """Makes managers that refuse a value which would be read as another one."""

    def make(**options):
        return make_manager(**{"check_round_trip": True, **options})

    return make


@pytest.fixture(autouse=True)
def no_default_manager():
    """Each test finds and leaves the process without a default manager."""
    set_default_manager(None)
    yield
    set_default_manager(None)
