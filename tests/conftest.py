"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A busy machine takes longer for an example now and then, which says nothing of the code; what
# a cost may be is asserted where it matters.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
