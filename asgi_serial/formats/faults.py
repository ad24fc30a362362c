"""The place of a fault inside a document: its byte, and its path for people."""

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from asgi_serial.errors import FormatError

# Looking for the place stops here, and the message goes without it: 20,000 tokens take 10 to 30 ms,
# which is as long as one refused document may hold up the event loop.
MAX_TOKENS = 20_000

_Name = TypeVar("_Name", bound=Hashable)
# What a message repeats of the sender's own text, in characters.
_SHOWN_NAME = 60
_SHOWN_PATH = 300
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Container:
    """An array or object that is being read, and where in it the reading stands.

    `name` is None while an object's next name is due; `remaining` counts the members still to be
    read where the format declares them.
    """

    is_object: bool
    remaining: int = 0
    index: int = 0
    name: str | None = None
    names: set[Hashable] = field(default_factory=set)

    def enter(self, name: str, identity: Hashable) -> str | None:
        """Take the next member's name; return what is wrong with it, if anything is."""
        self.name = name
        if identity in self.names:
            return f"name {name[:_SHOWN_NAME]!r} repeated"
        self.names.add(identity)
        return None

    def leave(self) -> None:
        """Be done with the member at hand."""
        self.index += 1
        self.remaining -= 1
        self.name = None

    @property
    def is_name_due(self) -> bool:
        """Whether what comes next is a member's name."""
        return self.is_object and self.name is None

    @property
    def step(self) -> str:
        """The path's step to the member at hand."""
        if not self.is_object:
            return f"[{self.index}]"
        if self.name is None:
            return ""
        name = self.name[:_SHOWN_NAME]
        return f".{name}" if _PLAIN_NAME.fullmatch(name) else f"[{name!r}]"


def fault_at(what: str, position: int, containers: list[Container]) -> FormatError:
    """The error for `what` at a byte and at the member at hand, such as `$.items[3].id`."""
    path = "$" + "".join(container.step for container in containers)
    if len(path) > _SHOWN_PATH:
        path = path[:_SHOWN_PATH] + "..."
    return FormatError(f"{what} at byte {position} ({path})", position=position, path=path)


def unique_object(members: list[tuple[_Name, object]]) -> dict[_Name, object]:
    """The object of some members. Raises: FormatError where two have the same name.

    RFC 8259, 4: the names within an object SHOULD be unique; which of the values a reader keeps
    is not predictable.
    """
    values = dict(members)
    if len(values) != len(members):
        raise FormatError("an object repeats a name")
    return values
