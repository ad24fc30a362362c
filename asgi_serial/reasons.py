"""The reasons that the middleware gives for what it did, or did not do, to a message."""

from enum import Enum


class Reason(Enum):
    """Why something was, or was not, done to a message.

    The value is a sentence for the person who asks: the cause and, if there is one, the remedy.
    `Cache-Status` and problem details give the name in lower case, with hyphens.
    """

    cause: str
    """The first part of the sentence: what happened."""
    remedy: str
    """The second part of the sentence: what to do about it; empty if there is nothing to do."""

    # Reasons are looked up for every response; Enum's own __hash__ is written in Python.
    __hash__ = object.__hash__

    def __new__(cls, cause: str, remedy: str = "") -> "Reason":
        """Make a member whose value is its sentence."""
        member = object.__new__(cls)
        member._value_ = f"{cause}; {remedy}" if remedy else cause
        member.cause, member.remedy = cause, remedy
        return member

    # A request was refused before the app was called.
    BAD_ENCODED_BODY = (
        "the request body is not valid in its Content-Encoding",
        "send it encoded as that field says, or without the field",
    )
    BAD_FORMAT_BODY = (
        "the request body is not a valid document of its Content-Type",
        "send a document that a parser of that type accepts",
    )
    BODY_TOO_LARGE = (
        "the request body exceeds a limit on its size or compression ratio",
        "send a smaller body, or raise max_encoded, max_decoded or max_ratio",
    )
    BODY_TOO_SLOW = (
        "the request body did not arrive in time",
        "send it faster, or raise body_timeout",
    )
    NO_ROOM_FOR_BODY = (
        "other request bodies take all the memory that is reserved for them",
        "try again later, or raise max_gathered",
    )
    UNSUPPORTED_CODING = (
        "the request's Content-Encoding is not supported",
        "use one of the codings that the response's Accept-Encoding lists",
    )
    NOT_ACCEPTABLE = (
        "no format that the client accepts can represent this response",
        "accept one of the media types that the response lists",
    )

    # A response was not compressed.
    NOT_ACCEPTED = "the client accepts none of the codings on offer"
    ALREADY_ENCODED = (
        "the app has already encoded the response",
        "remove the app's own compression to have all codings governed by one setting",
    )
    TYPE_NOT_COMPRESSIBLE = (
        "the media type is not known to shrink when compressed",
        "add it to compressible_types if it does",
    )
    TOO_SMALL = (
        "the body is smaller than min_size",
        "lower that setting if small bodies are worth compressing",
    )
    NOT_SMALLER = (
        "the compressed body was not smaller",
        "turn compression off for the route to save the attempts",
    )
    NO_TRANSFORM = (
        "the response forbids transformation by Cache-Control: no-transform",
        "remove the directive if the response may be compressed",
    )
    STATUS_NOT_TRANSFORMABLE = "a response with this status has no body, or only a part of one"
    HAS_TRAILERS = "trailer fields follow the body and may describe it"
    NOT_A_BODY = "the app sends the body as a file, or by another message without bytes"
    TURNED_OFF = (
        "the settings or the route's policy turn this off",
        "turn it on there if it is wanted",
    )

    # A response was not transcoded.
    VALUE_NOT_CARRIED = (
        "the other format cannot carry a value of the document unchanged",
        "send such values as text",
    )
    BODY_NOT_WHOLE = (
        "the body is streamed, or exceeds the limit up to which bodies are collected",
        "send a Content-Length, or raise format_max_size or whole_limit",
    )

    # A request was not answered from the cache, or its response was not stored.
    METHOD_NOT_CACHED = (
        "responses to this method are not cached",
        "set cache_body for a POST that only reads",
    )
    STATUS_NOT_CACHED = (
        "a response with this status is not stored by default",
        "send max-age if it may be stored",
    )
    REQUEST_NO_STORE = (
        "the request forbids storing its response",
        "turn cache_obey_requests off if clients should not decide this",
    )
    REQUEST_NO_CACHE = (
        "the request asks for validation by the app",
        "turn cache_obey_requests off if clients should not decide this",
    )
    REQUEST_HAS_RANGE = "the request asks for a part of the representation"
    REQUEST_HAS_BODY = (
        "the request has a body that is not part of the key",
        "send it without a body",
    )
    REQUEST_HAS_CREDENTIALS = (
        "the request carries credentials, and nothing allows sharing the response",
        "send Cache-Control: public, or set cache_shared or cache_partition",
    )
    REQUEST_HAS_UNKEYED_FIELD = (
        "the request carries a field that may route it elsewhere",
        "name the field in cache_key_fields, or have the proxy remove it",
    )
    REQUEST_HAS_UNKNOWN_FIELD = (
        "the request carries a field that may identify the user",
        "send Cache-Control: public, or name the field in cache_ignore_fields",
    )
    REQUEST_TOO_LARGE_TO_KEY = (
        "the request body is too large to be part of the key",
        "raise cache_max_key_body",
    )
    REQUEST_NOT_READ = (
        "the app did not read the body that should be part of the key",
        "read it in the handler, or set cache_body in the setting routes",
    )
    NO_STORE = (
        "the response forbids storing it",
        "remove no-store if that was not intended",
    )
    MALFORMED_CACHE_CONTROL = (
        "the response's Cache-Control is malformed and may forbid storing",
        "separate its directives with commas",
    )
    PRIVATE = (
        "the response is for a single user",
        "set cache_partition for the route",
    )
    NO_CACHE = (
        "the response must be validated before each use",
        "give it an ETag, and set cache_confirm",
    )
    SETS_COOKIE = (
        "the response sets a cookie",
        "set the cookie only where it is needed",
    )
    VARIES_ON_EVERYTHING = (
        "Vary: * allows no stored response to be selected",
        "name in Vary the fields on which the response depends",
    )
    VARIES_TOO_WIDELY = (
        "the response names too many fields in Vary",
        "name fewer of them",
    )
    VARY_CHANGED = "the response varies on other fields than the stored one"
    TOO_MANY_TAGS = (
        "the response has too many tags, or too long ones",
        "use fewer and shorter tags",
    )
    NO_FRESHNESS = (
        "neither the response nor a policy states a freshness lifetime",
        "send max-age, or set cache_ttl",
    )
    POLICY_NOT_HEARD = (
        "a policy that permits caching was ignored, as it may not be the handler's",
        "set the policy in the setting routes",
    )
    ALREADY_STALE = (
        "the response is stale when it arrives",
        "give it a lifetime, or an ETag for validation",
    )
    INCOMPLETE = "the response ended before its last byte"
    CLIENT_LEFT = "the client left before the response was complete"
    INVALIDATED = "a write or a purge came while the app was answering"
    NEWER_STORED = "a newer response is already stored"
    TOO_MUCH_AT_ONCE = (
        "other responses that are being collected take all the memory for this",
        "raise cache_memory",
    )
    OBJECT_TOO_LARGE = (
        "the response is larger than what may be stored",
        "raise cache_max_object or cache_memory",
    )

    # How a stored response was found or missed (RFC 9211, 2.2: fwd).
    HIT = "a stored response is fresh"
    MISS = "nothing is stored under this key"
    VARY_MISS = "responses are stored, but for other values of the fields in Vary"
    PARTIAL = "only a part of the requested content is stored"
    STALE = "the stored response is stale"
    STALE_WHILE_REVALIDATE = (
        "the stored response is stale, and is being refreshed in the background"
    )
    STALE_ACCEPTED = "the stored response is stale, and the request accepts that"
    STALE_IF_ERROR = "the stored response is stale, and the app failed"
    ONLY_IF_CACHED = "the request accepts only a stored response, and none may be used"
