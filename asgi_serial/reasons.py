"""The reasons that the middleware gives for what it did, or did not do, to a message."""

from collections.abc import Iterable
from enum import Enum

SUBJECTS = ("request", "decoding", "cache", "storage", "format", "coding", "content")
"""The parts of the work on a message; `content` stands for its format and its coding."""


class Reason(Enum):
    """Why something was, or was not, done to a message.

    The value is a sentence for the person who asks: the cause and, if there is one, the remedy.
    """

    about: str
    """The part of the work that the reason is about, one of `SUBJECTS`."""
    cause: str
    """The first part of the sentence: what happened."""
    remedy: str
    """The second part of the sentence: what to do about it; empty if there is nothing to do."""
    token: str
    """The name for users, which stays the same: that of the member in lower case, with hyphens."""

    # Reasons are looked up for every response; Enum's own __hash__ is written in Python.
    __hash__ = object.__hash__

    def __new__(cls, about: str, cause: str, remedy: str = "") -> "Reason":
        """Make a member whose value is its sentence."""
        member = object.__new__(cls)
        member._value_ = f"{cause}; {remedy}" if remedy else cause
        member.about, member.cause, member.remedy = about, cause, remedy
        return member

    def __init__(self, about: str, cause: str, remedy: str = "") -> None:
        """Derive the token from the name, which is known only now."""
        self.token = self._name_.lower().replace("_", "-")

    # A request was refused before the app was called.
    BAD_ENCODED_BODY = (
        "request",
        "the request body is not valid in its Content-Encoding",
        "send it encoded as that field says, or without the field",
    )
    BAD_FORMAT_BODY = (
        "request",
        "the request body is not a valid document of its Content-Type",
        "send a document that a parser of that type accepts",
    )
    BODY_TOO_LARGE = (
        "request",
        "the request body exceeds a limit on its size or compression ratio",
        "send a smaller body, or raise max_encoded, max_decoded or max_ratio",
    )
    BODY_TOO_SLOW = (
        "request",
        "the request body did not arrive in time",
        "send it faster, or raise body_timeout",
    )
    NO_ROOM_FOR_BODY = (
        "request",
        "other request bodies take all the memory that is reserved for them",
        "try again later, or raise max_gathered",
    )
    UNSUPPORTED_CODING = (
        "request",
        "the request's Content-Encoding is not supported",
        "use one of the codings that the response's Accept-Encoding lists",
    )
    NOT_ACCEPTABLE = (
        "request",
        "no format that the client accepts can represent this response",
        "accept one of the media types that the response lists",
    )

    # The body of a request was passed to the app as it was sent.
    DECODING_TURNED_OFF = (
        "decoding",
        "the settings or the route's policy turn the decoding of requests off",
        "set decoding",
    )
    UPLOAD_NOT_TRANSLATED = (
        "decoding",
        "the route is not known to read only JSON, so the document is passed as it was sent",
        "set format_uploads",
    )

    # A response was not compressed.
    CLIENT_TAKES_NONE = (
        "coding",
        "the client accepts none of the codings on offer",
    )
    ALREADY_ENCODED = (
        "content",
        "the app has already encoded the response",
        "remove the app's own compression to have all codings governed by one setting",
    )
    TYPE_NOT_COMPRESSIBLE = (
        "coding",
        "the media type is not known to shrink when compressed",
        "add it to compressible_types if it does",
    )
    TOO_SMALL = (
        "coding",
        "the body is smaller than min_size",
        "lower that setting if small bodies are worth compressing",
    )
    WOULD_NOT_SHRINK = (
        "coding",
        "the compressed body was not smaller",
        "turn compression off for the route to save the attempts",
    )
    NO_TRANSFORM = (
        "content",
        "the response forbids transformation by Cache-Control: no-transform",
        "remove the directive if the response may be compressed",
    )
    STATUS_NOT_TRANSFORMABLE = (
        "content",
        "a response with this status has no body, or only a part of one",
    )
    HAS_TRAILERS = (
        "content",
        "trailer fields follow the body and may describe it",
    )
    NOT_A_BODY = (
        "content",
        "the app sends the body as a file, or by another message without bytes",
    )
    TURNED_OFF = (
        "coding",
        "the settings or the route's policy turn compression off",
        "set compression",
    )
    REQUEST_NO_TRANSFORM = (
        "content",
        "the request forbids transformation by Cache-Control: no-transform",
    )

    # A response was not translated to another format.
    FORMATS_TURNED_OFF = (
        "format",
        "the client prefers another format, and the settings or the route's policy turn them off",
        "set formats",
    )
    TYPE_NOT_TRANSLATABLE = (
        "format",
        "the client prefers another format, and the media type is not one that is translated",
        "send the document as application/json",
    )
    CLIENT_TAKES_OWN_FORMAT = (
        "format",
        "the client takes the app's own format",
    )
    CLIENT_TAKES_NO_FORMAT = (
        "format",
        "the client accepts no format on offer, and is sent the app's own",
        "set format_strict to answer 406",
    )
    VALUE_NOT_CARRIED = (
        "format",
        "the other format cannot carry a value of the document unchanged",
        "send such values as text",
    )
    BODY_NOT_WHOLE = (
        "content",
        "the body is streamed, or exceeds the limit up to which bodies are collected",
        "send a Content-Length, or raise format_max_size or whole_limit",
    )

    # A request was not answered from the cache, or its response was not stored.
    CACHE_TURNED_OFF = (
        "cache",
        "the settings or the route's policy turn the cache off",
        "set cache",
    )
    SKIPPED = (
        "cache",
        "the function in the policy's skip sends this request past the cache",
    )
    SKIP_FAILED = (
        "cache",
        "the function in the policy's skip failed, so that the request goes past the cache",
        "have it return True or False for every scope",
    )
    METHOD_NOT_CACHED = (
        "cache",
        "responses to this method are not cached",
        "set cache_body for a POST that only reads",
    )
    STATUS_NOT_CACHED = (
        "storage",
        "a response with this status is not stored by default",
        "send max-age if it may be stored",
    )
    REQUEST_NO_STORE = (
        "cache",
        "the request forbids storing its response",
        "turn cache_obey_requests off if clients should not decide this",
    )
    REQUEST_NO_CACHE = (
        "cache",
        "the request asks for validation by the app",
        "turn cache_obey_requests off if clients should not decide this",
    )
    REQUEST_HAS_RANGE = (
        "cache",
        "the request asks for a part of the representation",
    )
    REQUEST_HAS_BODY = (
        "cache",
        "the request has a body that is not part of the key",
        "send it without a body",
    )
    REQUEST_HAS_CREDENTIALS = (
        "cache",
        "the request carries credentials, and nothing allows sharing the response",
        "send Cache-Control: public or set cache_shared if all users may see it, "
        "else set cache_partition",
    )
    REQUEST_HAS_UNKEYED_FIELD = (
        "cache",
        "the request carries a field that may route it elsewhere",
        "name the field in cache_key_fields, or have the proxy remove it",
    )
    REQUEST_HAS_UNKNOWN_FIELD = (
        "cache",
        "the request carries a field that may identify the user",
        "if no response depends on it, name it in cache_ignore_fields, or send "
        "Cache-Control: public",
    )
    REQUEST_TOO_LARGE_TO_KEY = (
        "cache",
        "the request body is too large to be part of the key",
        "raise cache_max_key_body",
    )
    REQUEST_NOT_READ = (
        "cache",
        "the app did not read the body that should be part of the key",
        "read it in the handler, or set cache_body in the setting routes",
    )
    NO_STORE = (
        "storage",
        "the response forbids storing it",
        "remove no-store if that was not intended",
    )
    MALFORMED_CACHE_CONTROL = (
        "storage",
        "the response's Cache-Control is malformed and may forbid storing",
        "separate its directives with commas",
    )
    PRIVATE = (
        "storage",
        "the response is for a single user",
        "set cache_partition for the route",
    )
    NO_CACHE = (
        "storage",
        "the response must be validated before each use",
        "give it an ETag, and set cache_confirm",
    )
    SETS_COOKIE = (
        "storage",
        "the response sets a cookie",
        "set the cookie only where it is needed",
    )
    VARIES_ON_EVERYTHING = (
        "storage",
        "Vary: * allows no stored response to be selected",
        "name in Vary the fields on which the response depends",
    )
    VARIES_TOO_WIDELY = (
        "storage",
        "the response names too many fields in Vary",
        "name fewer of them",
    )
    VARY_CHANGED = (
        "storage",
        "the response varies on other fields than the stored one",
    )
    EVENT_STREAM = (
        "storage",
        "an event stream has no end at which it could be stored",
    )
    TOO_MANY_TAGS = (
        "storage",
        "the response has too many tags, or too long ones",
        "use fewer and shorter tags",
    )
    NO_FRESHNESS = (
        "storage",
        "neither the response nor a policy states a freshness lifetime",
        "send max-age, or set cache_ttl",
    )
    POLICY_NOT_HEARD = (
        "storage",
        "a policy that permits caching was ignored, as it may not be the handler's",
        "set the policy in the setting routes",
    )
    ALREADY_STALE = (
        "storage",
        "the response is stale when it arrives",
        "give it a lifetime, or an ETag for validation",
    )
    INCOMPLETE = (
        "content",
        "the response ended before its last byte",
    )
    CLIENT_LEFT = (
        "content",
        "the client left before the response was complete",
    )
    INVALIDATED = (
        "storage",
        "a write or a purge came while the app was answering",
    )
    NEWER_STORED = (
        "storage",
        "a newer response is already stored",
    )
    TOO_MUCH_AT_ONCE = (
        "storage",
        "other responses that are being collected take all the memory for this",
        "raise cache_memory",
    )
    OBJECT_TOO_LARGE = (
        "storage",
        "the response is larger than what may be stored",
        "raise cache_max_object or cache_memory",
    )

    # How a stored response was found or missed (RFC 9211, 2.2: fwd).
    HIT = (
        "cache",
        "a stored response is fresh",
    )
    MISS = (
        "cache",
        "nothing is stored under this key",
    )
    VARY_MISS = (
        "cache",
        "responses are stored, but for other values of the fields in Vary",
    )
    PARTIAL = (
        "cache",
        "only a part of the requested content is stored",
    )
    STALE = (
        "cache",
        "the stored response is stale",
    )
    STALE_WHILE_REVALIDATE = (
        "cache",
        "the stored response is stale, and is being refreshed in the background",
    )
    STALE_ACCEPTED = (
        "cache",
        "the stored response is stale, and the request accepts that",
    )
    STALE_IF_ERROR = (
        "cache",
        "the stored response is stale, and the app failed",
    )
    ONLY_IF_CACHED = (
        "request",
        "the request accepts only a stored response, and none may be used",
    )


REASONS = {reason.token: reason for reason in Reason}
"""All reasons by the names that users see."""

_OF_ONE_CLIENT = frozenset(
    {
        Reason.CLIENT_TAKES_NO_FORMAT,
        Reason.FORMATS_TURNED_OFF,
        Reason.REQUEST_NO_TRANSFORM,
        Reason.TYPE_NOT_TRANSLATABLE,
    }
)


def lasting(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Return those of the reasons that hold for all clients that are sent the same bytes.

    The others are about the preferences of one client.
    """
    return tuple([reason for reason in reasons if reason not in _OF_ONE_CLIENT])
