"""The content of a file that a message names in place of the body."""

from __future__ import annotations

import os
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asgi_serial.types import Message

PATHSEND, ZEROCOPYSEND = "http.response.pathsend", "http.response.zerocopysend"

FILE_TYPES = (PATHSEND, ZEROCOPYSEND)
"""Messages of extensions that carry a whole body, or its end, as a file."""

PART_BYTES = 1 << 20


class FileParts:
    """Reads the file of a message part by part, as it may be larger than the memory.

    `pathsend` names a whole file. `zerocopysend` passes an open one, from its `offset` (by default
    from its position) to its end, or for `count` bytes, and may have more of the body to come.
    Source: the ASGI specification, extensions "Path Send" and "Zero Copy Send".
    """

    def __init__(self, message: Message) -> None:
        self._path: str | None = message.get("path")
        self._file: Any = message.get("file")  # an object with a descriptor, or that itself
        self._offset: int | None = message.get("offset") if self._path is None else 0
        count = message.get("count") if self._path is None else None
        self._left = inf if count is None else count
        self.is_at_end = False
        self.has_more: bool = self._path is None and message.get("more_body", False)
        """Whether the body goes on after the file."""

    def read(self) -> bytes:
        """Return the next part, of up to `PART_BYTES`; then `is_at_end` says if it is the last."""
        size = int(min(PART_BYTES, self._left))
        if self._path is not None:
            with open(self._path, "rb") as file:
                part = os.pread(file.fileno(), size, self._offset or 0)
        else:
            number = self._file if isinstance(self._file, int) else self._file.fileno()
            if self._offset is None:
                part = os.read(number, size)
            else:
                part = os.pread(number, size, self._offset)
        if self._offset is not None:
            self._offset += len(part)
        self._left -= len(part)
        self.is_at_end = len(part) < PART_BYTES or not self._left
        return part
