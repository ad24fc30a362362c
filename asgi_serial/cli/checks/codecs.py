"""The codecs and formats: whether each of them gives back what it was given."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from asgi_serial.admin.versions import find_version
from asgi_serial.cli.findings import Code, Finding
from asgi_serial.codecs.registry import build_codecs, level_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asgi_serial.cli.checks.subject import Subject


def check_codecs(subject: Subject) -> Iterator[Finding]:
    """Encode and decode a body with each coding on offer, and look for the faster packages."""
    for engine in subject.engines:
        settings = engine.settings
        levels = {name: getattr(settings, name) for name in level_settings()}
        for coding in settings.codings:
            try:
                build_codecs([coding], levels)
            except Exception as error:
                yield Finding(Code.CODEC_BROKEN, f"{coding} does not work: {error}", coding)
    missing = [name for name in ("msgspec", "isal") if not find_version(name)]
    if missing and platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64"):
        yield Finding(Code.SPEED_NOT_INSTALLED, f"Not installed: {', '.join(missing)}.", "")
