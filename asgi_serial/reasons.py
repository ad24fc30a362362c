"""Every "why" that the middleware can give, each with one sentence for the person who asks."""

from enum import Enum


class Reason(Enum):
    """Why something was, or was not, done to a message; the value is its sentence."""

    # The reasons of each answer are looked up; that of Enum is written in Python.
    __hash__ = object.__hash__

    # A request was refused before the app ran.
    BAD_ENCODED_BODY = "the request's body does not decode by its Content-Encoding"
    BAD_FORMAT_BODY = "the request's body is not a document of its Content-Type"
    BODY_TOO_LARGE = "the request's body passes a limit on its size or its compression ratio"
    BODY_TOO_SLOW = "the request's body did not arrive in time"
    NO_ROOM_FOR_BODY = "the bodies of other requests hold all the memory that bodies may"
    UNSUPPORTED_CODING = "the request's Content-Encoding is not one that is decoded here"
    NOT_ACCEPTABLE = "no format that the client accepts can carry this response"

    # A response was not compressed.
    NOT_ACCEPTED = "the client does not accept any coding that is offered"
    ALREADY_ENCODED = "the app has encoded the response itself"
    TYPE_NOT_COMPRESSIBLE = "the media type is not one that compression makes smaller"
    TOO_SMALL = "the body is under the minimum size"
    NOT_SMALLER = "the encoded body was not smaller"
    NO_TRANSFORM = "Cache-Control: no-transform forbids it"
    STATUS_NOT_TRANSFORMABLE = "a response of this status has no body, or only a part of one"
    HAS_TRAILERS = "trailer fields follow the body and may describe it"
    NOT_A_BODY = "the app answers with a message that holds no bytes to transform"
    TURNED_OFF = "the settings or the route's policy turn it off"

    # A response was not transcoded.
    FORMAT_NOT_TRANSCODABLE = "the app's media type has no other format here"
    VALUE_NOT_CARRIED = "the other format can not carry a value of the document unchanged"
    BODY_NOT_WHOLE = "the body is streamed or passes the limit up to which bodies are gathered"

    # A request was not answered from the cache, or its response not stored.
    METHOD_NOT_CACHED = "responses to this method are not cached"
    STATUS_NOT_CACHED = "a response of this status is not stored"
    REQUEST_NO_STORE = "the request forbids storing its response"
    REQUEST_NO_CACHE = "the request asks for a response that comes from the app"
    REQUEST_HAS_RANGE = "the request asks for a part of the representation"
    REQUEST_HAS_BODY = "the request has a body that does not take part in the key"
    REQUEST_HAS_CREDENTIALS = "the request carries credentials, and nothing allows sharing"
    REQUEST_HAS_UNKEYED_FIELD = "the request carries a field that may route it elsewhere"
    REQUEST_HAS_UNKNOWN_FIELD = "the request carries a field that may say who asks"
    REQUEST_TOO_LARGE_TO_KEY = "the request's body is too large to take part in the key"
    REQUEST_NOT_READ = "the app has not read the body that is to take part in the key"
    NO_STORE = "the response forbids storing it"
    MALFORMED_CACHE_CONTROL = "the response's Cache-Control is malformed, and may forbid storing it"
    PRIVATE = "the response is for one user only"
    NO_CACHE = "the response must not be reused without validation"
    SETS_COOKIE = "the response sets a cookie"
    VARIES_ON_EVERYTHING = "Vary: * lets no stored response be selected"
    VARIES_TOO_WIDELY = "the response names more varying fields than are kept"
    VARY_CHANGED = "the response varies on other fields than when it was stored"
    TOO_MANY_TAGS = "the response has more or longer tags than can be kept"
    NO_FRESHNESS = "neither the response nor a policy gives a freshness lifetime"
    POLICY_NOT_HEARD = "a function permits it that is not known to be the one routed to"
    ALREADY_STALE = "the response is stale when it arrives"
    INCOMPLETE = "the response ended before its last byte"
    CLIENT_LEFT = "the client left before the response was complete"
    INVALIDATED = "a write or a purge has come since the app was asked"
    NEWER_STORED = "a newer response is stored already"
    NOT_EXPECTED = "the responses before it were not stored, and it passed before this one was seen"
    TOO_MUCH_AT_ONCE = "too much is being collected of other responses, which have not ended yet"
    OBJECT_TOO_LARGE = "the response passes the size up to which one is stored"

    # How a stored response was found, or missed (RFC 9211, 2.2: fwd).
    HIT = "a stored response was fresh"
    MISS = "nothing is stored under this key"
    VARY_MISS = "responses are stored, but none for these values of the varying fields"
    PARTIAL = "a part is stored, and more than that is asked for"
    STALE = "the stored response is stale"
    STALE_WHILE_REVALIDATE = "the stored response is stale, and is refreshed behind the answer"
    STALE_ACCEPTED = "the stored response is stale, and the request accepts that"
    STALE_IF_ERROR = "the stored response is stale, and the app failed to give another"
    ONLY_IF_CACHED = "the request wants a stored response only, and none may be used"
    COLLAPSED = "the request waited for another's call of the app"
