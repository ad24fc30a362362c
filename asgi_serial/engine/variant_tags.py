"""The suffixes that distinguish the entity tags of a response's variants."""

from itertools import product

from asgi_serial.formats import registry
from asgi_serial.formats.registry import JSON, JSON_TYPE


class TagSuffixes(dict[tuple[str, str], bytes]):
    """The suffix of each variant's tag, by media type and coding; empty for the app's own.

    >>> suffixes = TagSuffixes(("zstd", "br"))
    >>> suffixes["application/msgpack", "zstd"], suffixes["", "br"], suffixes["", ""]
    (b'msgpack-zstd', b'br', b'')
    """

    def __init__(self, codings: tuple[str, ...]) -> None:
        names = {"": "", JSON_TYPE: JSON}
        for one in registry.FORMATS:
            names.update(dict.fromkeys(one.media_types, one.name))
        for media_type, coding in product(names, ("", *codings)):
            # The part after a tag's last hyphen identifies its suffix, so names have no hyphens.
            parts = [one.replace("-", "_") for one in (names[media_type], coding) if one]
            self[media_type, coding] = "-".join(parts).encode()
        self.known = frozenset(filter(None, self.values()))
        """Every suffix that a tag can have, except for `identity`."""
