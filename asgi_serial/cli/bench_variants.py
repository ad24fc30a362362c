"""The ways of answering that `bench` compares, and their figures."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from asgi_serial.codecs.registry import CODINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Beside the level of the settings: the fastest, and those up to where an API may still wait for it.
_LEVELS: Mapping[str, tuple[int, ...]] = {
    "zstd": (1, 6, 12),
    "br": (1, 4, 6, 9),
    "gzip": (1, 4, 6, 9),
    "deflate": (6,),
}


class Variant(NamedTuple):
    """One way of answering a request."""

    name: str
    coding: str
    """The coding that the client accepts; `identity`, if it accepts none."""
    settings: Mapping[str, Any] | None
    """The settings of the middleware; None, if it is left out."""
    is_hit: bool = False
    """Whether the response is stored before, and taken from the cache."""


def make_variants(settings: Any) -> list[Variant]:
    """Return the variants for the codings that the settings offer, at their levels and others."""
    base = {
        "cache": False,
        "encodings_cache": False,
        "timing": False,
        "min_size": settings.min_size,
        "whole_limit": settings.whole_limit,
        "compressible_types": settings.compressible_types,
    }
    variants = [
        Variant("app alone", "identity", None),
        Variant("not compressed", "identity", base),
    ]
    by_name = {coding.name: coding for coding in CODINGS}
    for name in settings.codings:
        setting, levels = by_name[name].level_setting, by_name[name].levels
        own = getattr(settings, setting)
        tried = {level for level in _LEVELS.get(name, ()) if level != own}
        if own is not None:
            tried.add(own)
        else:
            variants.append(_of_coding(name, setting, None, base, is_default=True))
        variants += [
            _of_coding(name, setting, level, base, is_default=level == own)
            for level in sorted(tried)
            if levels.lowest <= level <= levels.highest
        ]
    first = settings.codings[0]
    cached = {
        **{name: value for name, value in base.items() if name not in ("cache", "encodings_cache")},
        "cache_ttl": "1h",
        "cache_memory": settings.cache_memory,
        "cache_max_object": settings.cache_max_object,
        "codings": settings.codings,
    }
    again = {**base, "encodings_cache": True, "codings": (first,)}
    variants.append(Variant(f"{first}, body seen before", first, again))
    variants.append(Variant(f"{first}, cache hit", first, cached, is_hit=True))
    variants.append(Variant("not compressed, cache hit", "identity", cached, is_hit=True))
    return variants


def _of_coding(
    name: str, setting: str, level: int | None, base: Mapping[str, Any], *, is_default: bool
) -> Variant:
    shown = name if level is None else f"{name} {level}"
    settings = {**base, "codings": (name,), setting: level}
    return Variant(f"{shown} (as set)" if is_default else shown, name, settings)


class Measured(NamedTuple):
    """One request, as it was measured."""

    seconds: float
    cpu_seconds: float | None
    """None, if the server is another process, whose CPU time is not known."""
    size: int
    coding: str
    cache: str
    """The Cache-Status of the answer; empty, if it has none."""
    status: int


class Figures(NamedTuple):
    """The figures of one variant on one path: medians over all rounds."""

    name: str
    coding: str
    """The coding that was used, not the one that was asked for."""
    size: int
    seconds: float
    cpu_seconds: float | None
    added_cpu_seconds: float | None
    """The median of the differences to the app alone in the same round."""
    rounds: int
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for programs; names have their unit."""
        return {
            "name": self.name,
            "coding": self.coding,
            "bytes": self.size,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "added_cpu_seconds": self.added_cpu_seconds,
            "rounds": self.rounds,
            "note": self.note,
        }


def sum_up(variants: Sequence[Variant], rounds: Sequence[Sequence[Measured]]) -> list[Figures]:
    """Return the figures of each variant; each round has one measurement of each, in order."""
    figures = []
    for place, variant in enumerate(variants):
        column = [one[place] for one in rounds]
        cpu = [measured.cpu_seconds for measured in column if measured.cpu_seconds is not None]
        added = [
            mine - bare
            for one in rounds
            if (mine := one[place].cpu_seconds) is not None
            and (bare := one[0].cpu_seconds) is not None
        ]
        last = column[-1]
        figures.append(
            Figures(
                name=variant.name,
                coding=last.coding,
                size=round(median(measured.size for measured in column)),
                seconds=median(measured.seconds for measured in column),
                cpu_seconds=median(cpu) if cpu else None,
                added_cpu_seconds=median(added) if added and place else None,
                rounds=len(rounds),
                note=_note_of(variant, last),
            )
        )
    return figures


def without_repeats(figures: Sequence[Figures]) -> list[Figures]:
    """Return the figures with one row for all levels of codings that were not applied."""
    shown: list[Figures] = []
    for one in figures:
        if one.note != _UNCOMPRESSED:
            shown.append(one)
        elif all(other.note != _UNCOMPRESSED for other in shown):
            shown.append(one._replace(name="with a coding"))
    return shown


_UNCOMPRESSED = "not compressed: too small, or of a type that does not shrink"


def _note_of(variant: Variant, last: Measured) -> str:
    """Return why a variant is not what its name says; empty, if it is."""
    if last.status >= 400:
        return f"answered {last.status}"
    if variant.is_hit and "hit" not in last.cache:
        detail = last.cache.partition("detail=")[2] or last.cache.partition("fwd=")[2]
        return f"not from the cache: {detail}" if detail else "not from the cache"
    if variant.coding != last.coding:
        return _UNCOMPRESSED if last.coding == "identity" else f"in {last.coding} already"
    return ""
