"""The methods of HTTP."""

METHODS = frozenset(
    {
        # RFC 9110, 9.3; RFC 5789 (PATCH); QUERY (draft-ietf-httpbis-safe-method-w-body).
        *("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"),
        # The rest of IANA's registry, https://www.iana.org/assignments/http-methods.
        *("ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK"),
        *("LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE"),
        *("MOVE", "ORDERPATCH", "PROPFIND", "PROPPATCH", "REBIND", "REPORT", "SEARCH", "UNBIND"),
        *("UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL"),
        # Methods of caches and of UPnP, which servers know as well.
        *("BAN", "PURGE", "M-SEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE"),
    }
)
"""The names of methods that servers are known to accept."""
