"""Choose formats and codings for clients and responses, and remember each choice."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from asgi_serial.bounds.memo import Memo
from asgi_serial.codecs.decoding import parse_content_encoding
from asgi_serial.codecs.registry import (
    build_codecs,
    coding_aliases,
    coding_names,
    level_settings,
)
from asgi_serial.engine.preferences import Accepted, TypeFacts, Wants
from asgi_serial.engine.variant_tags import TagSuffixes
from asgi_serial.formats import registry
from asgi_serial.formats.registry import JSON, JSON_TYPE, build_translations, format_name
from asgi_serial.http.fields import merge_vary, split_list
from asgi_serial.http.headers import parse_length
from asgi_serial.http.mediatypes import essence, has_utf8_charset, is_compressible
from asgi_serial.http.negotiation import choose_coding, choose_format, prefers, refuses_identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.settings.model import Settings


class Negotiator:
    """The formats and codings on offer, and the choices among them (RFC 9110, 12).

    All memories of values that clients or apps send are bounded in bytes.
    """

    def __init__(self, settings: Settings) -> None:
        codecs = build_codecs(
            dict.fromkeys((*settings.codings, *coding_names())),
            {name: getattr(settings, name) for name in level_settings()},
        )
        self.codecs = {codec.name: codec for codec in codecs}
        self.decodable = coding_names()
        self.tag_suffixes = TagSuffixes(settings.codings)
        offers = {one.name: one.media_types for one in registry.FORMATS}
        names = [name for media_types in offers.values() for name in media_types]
        self.media_types = (JSON_TYPE, *names)
        self.translations = build_translations(settings.format_max_depth)
        self._strict = settings.format_strict
        self._codings = Memo(
            partial(_choose_coding, available=settings.codings, aliases=coding_aliases())
        )
        self._choices = Memo(partial(_choose_formats, offers=offers))
        self.wants = Memo(
            partial(self.read_wants, settings.compression, settings.formats), shares_values=True
        )
        self._known_wants: dict[
            tuple[bool, bool, str, bool, str, frozenset[str], bool, bool], Wants
        ] = {}
        self.untransformed_wants = self.read_wants(
            settings.compression, settings.formats, (None, None), forbids=True
        )
        """The preferences of a client that asks for no transformation of the content."""
        self.content_codings = Memo(parse_content_encoding)
        extra = frozenset(name.encode() for name in (*settings.compressible_types, *names))
        self.types = Memo(partial(read_content_type, extra=extra))
        # The size class of a Content-Length, as far as a plan depends on it.
        self.reaches = Memo(partial(_reach, limits=(settings.min_size, settings.whole_limit + 1)))
        self.varies = {
            (by_format, by_coding): Memo(partial(_vary, by_format=by_format, by_coding=by_coding))
            for by_format in (False, True)
            for by_coding in (False, True)
        }

    def read_wants(
        self,
        compression: bool,  # noqa: FBT001
        formats: bool,  # noqa: FBT001
        accepted: Accepted,
        *,
        forbids: bool = False,
    ) -> Wants:
        """Return the preferences of a client with these fields, for these switches.

        `forbids` says that it asks for no transformation of the content, so that they do not count.
        """
        accept, accept_encoding = (None, None) if forbids else accepted
        coding = media_type = ""
        as_json: frozenset[str] = frozenset()
        coded_only, acceptable = False, True
        if accept_encoding is not None:
            coding, coded_only = self._codings[accept_encoding]
        if accept is not None:
            media_type, as_json, acceptable = self._choices[accept]
        known = (compression, formats, coding, coded_only, media_type, as_json, acceptable, forbids)
        wants = self._known_wants.get(known)
        if wants is None:
            wants = self._known_wants[known] = Wants(
                compression=compression,
                formats=formats,
                coding=coding,
                coded_only=coded_only,
                media_type=media_type,
                as_json=as_json,
                acceptable=acceptable,
                strict=self._strict,
                forbids=forbids,
            )
        return wants


def read_content_type(value: bytes, *, extra: frozenset[bytes]) -> TypeFacts:
    """Return the facts about a Content-Type value; `extra` holds further compressible types."""
    name = essence(value)
    format = format_name(name.decode("latin-1"))
    if format == JSON and not has_utf8_charset(value):
        format = ""
    return TypeFacts(
        name,
        format,
        is_compressible=is_compressible(name, extra),
        is_event_stream=name == b"text/event-stream",
    )


def _choose_coding(
    accepted: bytes, *, available: tuple[str, ...], aliases: Mapping[str, str]
) -> tuple[str, bool]:
    """Return the coding for a client, and whether it refuses a response without one.

    A client that refuses identity and all codings on offer still gets identity.

    Source: RFC 9110, 15.5.7: a 406 is for a server that is unwilling to supply a default
    representation.
    """
    coding = choose_coding(accepted, available, aliases)
    return coding, bool(coding) and refuses_identity(accepted)


def _choose_formats(
    accept: bytes, *, offers: Mapping[str, tuple[str, ...]]
) -> tuple[str, frozenset[str], bool]:
    """Return the media type that replaces JSON, the formats that JSON replaces, and acceptability.

    The media type is "" for the app's own. The last value is true if the client accepts any format.
    """
    media_type, acceptable = choose_format(accept, JSON_TYPE, tuple(offers.values()))
    as_json = frozenset(
        name for name, names in offers.items() if prefers(accept, (JSON_TYPE,), names)
    )
    return "" if media_type == JSON_TYPE else media_type, as_json, acceptable


def _vary(current: bytes, *, by_format: bool, by_coding: bool) -> bytes:
    names = [b"accept"] * by_format + [b"accept-encoding"] * by_coding
    return merge_vary(split_list(current), *names)


def _reach(length: bytes, *, limits: tuple[int, ...]) -> int | None:
    """Return the number of limits that a length reaches; None if it is not a number."""
    size = parse_length(length)
    return None if size is None else sum(size >= limit for limit in limits)
