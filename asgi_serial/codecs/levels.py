"""The levels of a coding."""

from typing import NamedTuple

from asgi_serial.errors import ConfigurationError


class Levels(NamedTuple):
    """The levels of a coding; if `default` is None, its codec chooses by the size of the body."""

    lowest: int
    highest: int
    default: int | None

    def choose(self, coding: str, level: int | None) -> int:
        """Return `level`, or the default level for None.

        >>> levels = Levels(0, 9, default=6)
        >>> levels.choose("gzip", 4), levels.choose("gzip", None)
        (4, 6)

        Raises: ConfigurationError if the coding does not have the level.
        """
        chosen = self.default if level is None else level
        if chosen is not None and self.lowest <= chosen <= self.highest:
            return chosen
        raise ConfigurationError(
            f"The level of {coding} is {level!r}; "
            f"expected an integer from {self.lowest} to {self.highest}."
        )
