"""What holds for all tests."""

import pytest
from hypothesis import HealthCheck, settings

from asgi_serial.policy import TURNED_ON

# A busy machine takes longer for an example now and then, which says nothing of the code; what
# a cost may be is asserted where it matters.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _no_handler_of_another_test_has_spoken() -> None:
    """A process remembers that any handler of it turns on what is off for all."""
    TURNED_ON.clear()
