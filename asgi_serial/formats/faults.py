"""Locate a fault within a document, by its byte and by its path."""

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from asgi_serial.errors import FormatError

# The search for a fault stops after this many tokens, and the message then names no place. 20,000
# tokens take 10 to 30 ms, as long as a refused document may block the event loop.
MAX_TOKENS = 20_000

_Name = TypeVar("_Name", bound=Hashable)
# The number of characters of the sender's text that a message repeats.
_SHOWN_NAME = 60
_SHOWN_PATH = 300
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Container:
    """An array or object that is being read, and the current position in it.

    `name` is None before the name of a member. `remaining` is the number of unread members, if the
    format declares it.
    """

    is_object: bool
    remaining: int = 0
    index: int = 0
    name: str | None = None
    names: set[Hashable] = field(default_factory=set)

    def enter(self, name: str, identity: Hashable) -> str | None:
        """Set the name of the next member; return the fault of the name, if any."""
        self.name = name
        if identity in self.names:
            return repeated_name(name)
        self.names.add(identity)
        return None

    def leave(self) -> None:
        """Finish the current member."""
        self.index += 1
        self.remaining -= 1
        self.name = None

    @property
    def is_name_due(self) -> bool:
        """Whether the next token is the name of a member."""
        return self.is_object and self.name is None

    @property
    def step(self) -> str:
        """The step of the path that leads to the current member."""
        if not self.is_object:
            return f"[{self.index}]"
        if self.name is None:
            return ""
        name = self.name[:_SHOWN_NAME]
        return f".{name}" if _PLAIN_NAME.fullmatch(name) else f"[{name!r}]"


def repeated_name(name: str) -> str:
    """Describe the second member of the same name."""
    return f"name {name[:_SHOWN_NAME]!r} repeated"


def fault_at(what: str, position: int, containers: list[Container]) -> FormatError:
    """Return the error for a fault, with its byte and its path, such as `$.items[3].id`."""
    path = "$" + "".join(container.step for container in containers)
    if len(path) > _SHOWN_PATH:
        path = path[:_SHOWN_PATH] + "..."
    return FormatError(f"{what} at byte {position} ({path})", position=position, path=path)


def unique_object(members: list[tuple[_Name, object]]) -> dict[_Name, object]:
    """Return an object with these members. Raises: FormatError if two have the same name.

    Source: RFC 8259, 4: "The names within an object SHOULD be unique." Otherwise it is
    unpredictable which of the values a reader keeps.
    """
    values = dict(members)
    if len(values) != len(members):
        raise FormatError("an object repeats a name")
    return values
