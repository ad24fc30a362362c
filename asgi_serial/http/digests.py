"""Fields with a digest of the content."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping

from asgi_serial.types import Fields

DIGEST_FIELDS = frozenset({b"content-digest", b"repr-digest"})

_ALGORITHMS = {b"sha-256": hashlib.sha256, b"sha-512": hashlib.sha512}


def digest_fields(fields: Mapping[bytes, bytes], content: bytes) -> Fields:
    """Return the digest fields that the app sent, computed over the new bytes.

    Source: RFC 9530, 2 and 3: both fields cover the bytes with their content coding applied. The
    two algorithms are the active ones in its registry.
    """
    made = []
    for name in (b"content-digest", b"repr-digest"):
        given = fields.get(name, b"")
        members = [
            algorithm + b"=:" + b64encode(compute(content).digest()) + b":"
            for algorithm, compute in _ALGORITHMS.items()
            if algorithm + b"=" in given
        ]
        if members:
            made.append((name, b", ".join(members)))
    return made
