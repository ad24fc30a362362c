"""The check of a coding's level."""

from asgi_serial.errors import ConfigurationError


def check_level(coding: str, level: int, lowest: int, highest: int) -> int:
    """Give `level` back. Raises: ConfigurationError where the coding does not have it.

    >>> check_level("gzip", 6, 0, 9)
    6
    """
    if lowest <= level <= highest:
        return level
    raise ConfigurationError(
        f"The level of {coding} is {level!r}; expected an integer from {lowest} to {highest}."
    )
