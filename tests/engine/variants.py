"""The representations that clients can ask for, and the ways in which an app can send its own."""

import itertools
import json
from typing import Any

import pytest

from .client import Answer
from .driver import Request, Whole
from .scripts import DOCUMENT

VALUE = json.loads(DOCUMENT)
MSGPACK = "application/vnd.msgpack"

VOLATILE = (b"age", b"date", b"cache-status", b"server-timing")
"""The fields in which a hit may differ from its miss."""

VARIANTS = list(itertools.product(("application/json", MSGPACK), ("", "gzip", "br", "zstd")))
"""Media type and coding."""

KNOWN_LENGTH = {"content_length": str(len(DOCUMENT))}

SHAPES: dict[str, dict[str, Any]] = {
    "whole": {},
    "in pieces of a known length": {"pieces": 3, **KNOWN_LENGTH},
    "streamed": {"pieces": 3},
}
TAGS: dict[str, dict[str, str]] = {"with the app's ETag": {"etag": '"v1"'}, "without": {}}


def name_variant(variant: tuple[str, str]) -> str:
    """A variant in words."""
    media_type, coding = variant
    return f"{'MessagePack' if media_type == MSGPACK else 'JSON'} {coding or 'identity'}"


def variants_as(*names: str) -> Any:
    """Run a test with every variant, or with every tuple of them where there are several names."""
    several = list(itertools.permutations(VARIANTS, len(names)))
    return pytest.mark.parametrize(
        names, several, ids=[" then ".join(map(name_variant, some)) for some in several]
    )


every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
every_tag = pytest.mark.parametrize("tag", TAGS.values(), ids=TAGS)


def wanting(variant: tuple[str, str], method: str = "GET") -> Request:
    """The request of a client that wants this representation."""
    media_type, coding = variant
    fields = (("accept", media_type), ("accept-encoding", coding or "identity"))
    return Request(method, fields=fields)


def app_of(shape: dict[str, Any], tag: dict[str, str], **fields: str) -> Whole:
    """An app that answers with the document."""
    about = {"content_type": "application/json", "accept_ranges": "bytes"}
    return Whole(DOCUMENT, **about, **shape, **tag, **fields)


def lasting(answer: Answer) -> list[tuple[bytes, bytes]]:
    """The fields that a hit has in common with its miss, in order."""
    return [pair for pair in answer.fields if pair[0] not in VOLATILE]
