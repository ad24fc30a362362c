"""What the users of a site may ask for, and in which manners it may answer."""

from typing import NamedTuple

from hypothesis import strategies as st

from .client import Answer
from .driver import Request
from .users import APART, USERS, Manner, User

PATHS = ("a", "b", APART)
DIRECTIVES = (
    *("", "max-age=60", "public, max-age=60", "private, max-age=60", "no-store", "s-maxage=60"),
    *("no-cache", "public, no-cache", "max-age=60, must-revalidate", "no-cache, must-revalidate"),
    *("max-age=0, must-revalidate", 'max-age=60, private="x-owner"', "max-age=10"),
    *("max-age=10, stale-while-revalidate=100", "public, max-age=10, stale-if-error=100"),
    "public, max-age=10, stale-while-revalidate=50, stale-if-error=200",
)

manners = st.builds(
    Manner,
    st.just(0),
    st.sampled_from(DIRECTIVES),
    st.booleans(),
    st.sampled_from(["", "row", "own", "own"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([200, 200, 200, 404]),
)


def rarely(*values: str) -> st.SearchStrategy[str | None]:
    """One of the values, and none most of the time."""
    return st.sampled_from([None] * (2 * len(values)) + list(values))


moods = st.sampled_from(["fast"] * 8 + ["slow", "slow", "raises", "503"])


class Wish(NamedTuple):
    """What somebody asks for; `holds` is the place of an answer whose validators he sends."""

    user: User
    path: str
    method: str
    process: int
    holds: int | None
    fields: dict[str, str | None]
    adds: str = ""  # what it adds without being asked, such as a parameter of a campaign

    def request(self, answers: list[Answer], *, adds: bool = False) -> Request:
        """The request, with the validators of an earlier answer (of whomever)."""
        fields = {name: value for name, value in self.fields.items() if value is not None}
        query = b""
        if adds:
            name = self.user.name
            fields["x-request-id"] = name
            if "cookie" in self.adds and self.user.field != "cookie":
                fields["cookie"] = f"_ga={name}"
            if "query" in self.adds:
                query = f"utm_user={name}&f%62clid={name}".encode()
            if "preview" in self.adds:
                query += f"&utm_preview={name}".encode()
        if self.holds is not None and answers:
            held = answers[self.holds % len(answers)]
            tag, date = held.one("etag"), held.one("last-modified")
            if tag is not None:
                fields["if-range" if "range" in fields else "if-none-match"] = tag
            if date is not None:
                fields["if-modified-since"] = date
        pairs = (*self.user.fields, *fields.items())
        return Request(self.method, f"/{self.path}", pairs, query=query)


wishes = st.builds(
    Wish,
    st.sampled_from(USERS),
    st.sampled_from(PATHS),
    st.sampled_from(["GET"] * 8 + ["HEAD"]),
    st.integers(0, 1),
    st.none() | st.integers(0, 5),
    st.fixed_dictionaries(
        {
            "accept": rarely("application/vnd.msgpack"),
            "accept-encoding": rarely("gzip", "br"),
            "accept-language": rarely("de", "en"),
            "cache-control": rarely("no-cache", "max-age=0", "max-stale=30", "only-if-cached"),
            "origin": rarely("http://one", "http://other"),
            "range": rarely("bytes=0-9", "bytes=-20", "bytes=5-6,90-99", "bytes=9999-"),
        }
    ),
    st.sampled_from(["", "query", "query", "cookie", "query cookie", "query cookie preview"]),
)
