"""How long the searches for counter-examples are."""

from hypothesis import settings

settings.register_profile("long", max_examples=3_000)
