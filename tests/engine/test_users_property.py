"""Whoever asks for what, whenever and however: nobody is told what is another's, or out of date.

`pytest tests/engine/test_users_property.py --hypothesis-profile long` takes 350,000 steps.
"""

import asyncio
import re
from typing import Any, NamedTuple

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from .client import Answer, understand
from .driver import Clock, Recording, Request, drive, find_faults, serial_of
from .shared_store import SharedStore
from .users import (
    APART,
    NOTHING,
    TAG,
    USERS,
    Call,
    Failure,
    Manner,
    Site,
    User,
    name_of,
    parts_of,
    user_of,
)
from .wishes import PATHS, Wish, manners, moods, wishes

TURNS = 40  # of the event loop, in which all that waits for nothing is done
IS_LONG = settings.default.max_examples >= 1_000


# All that lets more be stored, or hides something from the app.
ALL_WISHES: dict[str, Any] = {
    "cache_ignore_query": "utm_*, fbclid",
    "cache_strip_fields": "x-request-*",
    "cache_set_cookie": "strip",
    "cache_vary_normalize": {"accept-language": ["en", "de"]},
    "cache_negative_ttl": 5,
}


def is_preview(scope: Any) -> bool:
    """Whether a request is kept from the cache, by its whole query."""
    return b"utm_preview" in scope["query_string"]


class Asked(NamedTuple):
    """A request under way, and what was true when it began."""

    wish: Wish
    request: Request
    since: float
    events: int  # what the site had done
    least: int  # the version of the last write through this process that had ended
    answer: asyncio.Task[Recording]

    @property
    def user(self) -> User:
        """Whom the site takes it for."""
        return user_of(self.wish.path, dict(self.request.fields))


class Users(RuleBasedStateMachine):
    """Two processes with one store before one site, its users, and what they may be told."""

    @initialize(
        manners=st.lists(manners, min_size=len(PATHS), max_size=len(PATHS)),
        ttl=st.sampled_from([None, 30]),
        grace=st.sampled_from([0, 20]),
        on_error=st.sampled_from([0, 40]),
        ahead=st.sampled_from([0, 0, 3]),
        by_handler=st.booleans(),
        has_wishes=st.booleans(),
    )
    def open(
        self,
        manners: list[Manner],
        ttl: int | None,
        grace: int,
        on_error: int,
        ahead: int,
        *,
        by_handler: bool,
        has_wishes: bool,
    ) -> None:
        """Open the site."""
        self.runner = asyncio.Runner()
        self.clock, self.ahead = Clock(), ahead
        self.has_gone_back = False
        self.site = Site(self.clock)
        self.site.manners = dict(zip(PATHS, manners, strict=True))
        self.site.tells_apart = by_handler
        self.site.versions = dict.fromkeys(PATHS, 1)
        self.ttl, self.stale = ttl or 0, (grace, on_error)
        self.has_wishes = has_wishes
        store = SharedStore()
        routes: dict[str, Any] = {} if by_handler else {f"/{APART}": {"cache_partition": name_of}}
        if has_wishes:
            for path in PATHS:
                routes.setdefault(f"/{path}", {})["skip"] = is_preview
        self.processes = [
            serial_of(
                *(self.site,),
                clock=clock,
                store=store,
                cache_ttl=ttl,
                cache_grace=grace,
                cache_stale_if_error=on_error,
                cache_wait=600,
                cache_secret="what-names-users-alike",
                routes=routes,
                **(ALL_WISHES if has_wishes else {}),
            )
            for clock in (self.clock, lambda: self.clock() + ahead)
        ]
        self.written: dict[tuple[int, str], int] = {}
        self.last = [Wish(USERS[0], PATHS[0], "GET", 0, None, {})]
        self.pending: list[Asked] = []
        self.answers: list[Answer] = []
        self.wholes: dict[str, bytes] = {}  # by strong tag

    @rule(asked=st.lists(wishes, min_size=2, max_size=4), mood=moods)
    def ask(self, asked: list[Wish], mood: str) -> None:
        """Some ask at once."""
        self._meet(asked, mood)

    @rule(
        path=st.sampled_from(PATHS),
        process=st.integers(0, 1),
        users=st.lists(st.sampled_from(USERS), min_size=2, max_size=4),
        mood=moods,
    )
    def ask_plainly(self, path: str, process: int, users: list[User], mood: str) -> None:
        """Some ask for the same, at once, and nothing else of it."""
        self._meet([Wish(user, path, "GET", process, None, {}) for user in users], mood)

    @rule(users=st.lists(st.sampled_from(USERS), min_size=1, max_size=3), mood=moods)
    def ask_again(self, users: list[User], mood: str) -> None:
        """What was asked last is asked by others, one after another."""
        for user in users:
            self._meet([wish._replace(user=user) for wish in self.last], mood)

    @rule(
        user=st.sampled_from(USERS),
        path=st.sampled_from(PATHS),
        method=st.sampled_from(["PUT", "POST"]),
        process=st.integers(0, 1),
        mood=moods,
    )
    def write(self, user: User, path: str, method: str, process: int, mood: str) -> None:
        """Somebody writes."""
        self._meet([Wish(user, path, method, process, None, {})], mood)

    def _meet(self, asked: list[Wish], mood: str) -> None:
        """Let them ask a site that is fast, slow, or out of order."""
        if mood == "slow":
            self.site.gate.clear()
        else:
            self.site.gate.set()
        self.site.trouble = mood if mood not in ("fast", "slow") else ""
        if asked[0].method in ("GET", "HEAD"):
            self.last = asked
        self.runner.run(self._ask(asked))

    @rule(seconds=st.sampled_from([1, 5, 11, 30, 61, 100, 1000, -4]))
    def wait(self, seconds: int) -> None:
        """Time passes, or is set back."""
        self.clock.now += seconds
        self.has_gone_back = self.has_gone_back or seconds < 0

    @rule(path=st.sampled_from(PATHS), manner=manners)
    def change(self, path: str, manner: Manner) -> None:
        """The site is changed: a path is answered in another manner."""
        epoch = self.site.manners[path].epoch + 1
        self.site.manners[path] = manner._replace(epoch=epoch)

    @rule()
    def forget(self) -> None:
        """So many handlers speak that what one of them has said is forgotten."""
        for serial in self.processes:
            serial.engine.learned.policies.clear()

    @precondition(lambda self: self.pending)
    @rule(place=st.integers(0, 9))
    def leave(self, place: int) -> None:
        """A server gives up a request."""
        asked = self.pending.pop(place % len(self.pending))
        asked.answer.cancel()
        self.runner.run(self._settle())

    def teardown(self) -> None:
        """Nothing is left behind."""
        if not hasattr(self, "runner"):
            return
        self.site.gate.set()
        self.runner.run(self._settle())
        for serial in self.processes:
            assert not serial.engine.workers.tasks
            assert not serial.engine.calls._calls
        self.runner.close()

    async def _ask(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            request = wish.request(self.answers, adds=self.has_wishes)
            task = asyncio.ensure_future(drive(self.processes[wish.process], request))
            least = self.written.get((wish.process, wish.path), 0)
            now, events = self.clock(), self.site.events
            self.pending.append(Asked(wish, request, now, events, least, task))
        await self._settle()

    async def _settle(self) -> None:
        """Let all go on that waits for nothing, and look at what was answered."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if self.site.gate.is_set():
            await asyncio.gather(*[asked.answer for asked in self.pending])
        for asked in [one for one in self.pending if one.answer.done()]:
            self.pending.remove(asked)
            self._look_at(asked, asked.answer.result())
        for serial in self.processes:
            await serial.engine.responses.flush()

    def _look_at(self, asked: Asked, recording: Recording) -> None:
        if recording.error is not None:
            assert isinstance(recording.error, Failure), recording.error
            return
        assert find_faults(recording, asked.request) == []
        answer, wish = understand(recording), asked.wish
        if wish.method in ("PUT", "POST"):
            other = (answer.one("location") or "/")[1:]
            for path in filter(None, (wish.path, other)):
                self.written[wish.process, path] = self.site.versions[path]
            return
        self._look_at_fields(asked, answer)
        place = answer.one("x-call")
        if place is not None:
            self._look_at_call(asked, answer, self.site.calls[int(place)])
        self.answers = [answer, *self.answers[:5]]

    def _look_at_fields(self, asked: Asked, answer: Answer) -> None:
        fields = dict(asked.request.fields)
        if answer.status == 304:
            assert {"if-none-match", "if-modified-since"} & set(fields), answer
        for value in answer.all("set-cookie"):
            assert value == f"session={asked.user.name}".encode(), answer
        # It is of this request, or was not stored.
        assert answer.one("x-request-id") in (None, fields.get("x-request-id", "")), answer
        if answer.one("x-owner") is not None:  # it is the site that speaks
            assert answer.one("access-control-allow-origin") == fields.get("origin"), answer
        named = TAG.match(answer.one("etag") or "")
        if named is not None and self._is_timely:
            assert int(named[3]) >= asked.least, ("from before a write", asked, answer)

    @property
    def _is_timely(self) -> bool:
        """Whether all know the time; where they do not, another process may bring back the past."""
        return not self.ahead and not self.has_gone_back

    def _look_at_call(self, asked: Asked, answer: Answer, call: Call) -> None:
        wish, manner = asked.wish, call.manner
        known = self.site.confirmed.get((call.path, manner.epoch, call.version), (0, 0.0))
        told = int(answer.one("x-event") or 0)
        is_new = told > asked.events
        event("from the site" if is_new else "from the cache")
        for owner in {call.user.name, answer.one("x-owner") or asked.user.name}:
            if manner.is_personal and owner != asked.user.name:
                self._look_at_owner(asked, owner, manner)
        assert call.path == wish.path
        if manner.varies:
            sent = dict(asked.request.fields).get("accept-language", "")
            chosen = (sent or "en") if self.has_wishes else sent
            assert call.language == chosen or (is_new and call.language == sent)
        # Whoever is nobody in particular has no cache of one's own, on any path.
        is_for_all = wish.path != APART or call.user == USERS[0]
        strips = self.has_wishes and call.user.kind == NOTHING and is_for_all
        if manner.is_unstored(shared=wish.path != APART, strips_cookies=strips):
            assert is_new, ("never to be stored", asked, answer)
        if is_preview({"query_string": asked.request.query}):
            assert is_new, ("kept from the cache", asked, answer)
        if not is_new and self.has_wishes and known[0] <= asked.events:
            assert answer.one("x-request-id") is None, ("sent twice", asked, answer)
            assert answer.all("set-cookie") == [], ("set twice", asked, answer)
        if "no-cache" in manner.said or wish.fields.get("cache-control") == "no-cache":
            assert is_new or known[0] > asked.events, ("not validated", asked, answer)
        if self._is_timely:
            assert call.version >= asked.least, ("from before a write", asked, answer)
        if not is_new:
            self._look_at_age(asked, manner, asked.since - max(call.asked, known[1]))
        self._look_at_body(asked, answer, call)

    def _look_at_owner(self, asked: Asked, owner: str, manner: Manner) -> None:
        """What is another's may be told only where the site says that it is for others, too."""
        (kind,) = (one.kind for one in USERS if one.name == owner)
        assert asked.wish.path != APART or owner == USERS[0].name, (asked, owner, manner)
        strips = self.has_wishes and kind == NOTHING
        assert not manner.is_unstored(shared=True, strips_cookies=strips), (asked, owner, manner)
        assert manner.allows(kind), (asked, owner, manner)
        assert manner.allows(asked.user.kind), (asked, owner, manner)
        event(f"of another, who shares it: {kind or 'anybody'}")

    def _look_at_age(self, asked: Asked, manner: Manner, age: float) -> None:
        said = manner.said
        allowed = manner.lifetime(self.ttl) + self.ahead
        forbids_stale = {"must-revalidate", "no-cache"}
        if asked.wish.path != APART:
            forbids_stale.add("s-maxage")  # which is not said to the cache of one user
        if not forbids_stale & set(said):
            grace, on_error = self.stale
            allowed += max(
                float(said.get("stale-while-revalidate", grace)),
                float(said.get("stale-if-error", on_error)),
                30.0 if asked.wish.fields.get("cache-control") == "max-stale=30" else 0.0,
            )
        assert age <= allowed, ("too old", age, allowed, asked, manner)

    def _look_at_body(self, asked: Asked, answer: Answer, call: Call) -> None:
        tag = answer.one("etag") or ""
        if asked.wish.method == "HEAD" or answer.status in (304, 416):
            assert answer.body == b"" or answer.status == 304
        elif answer.status == 206:
            is_own = not answer.coding and not tag.endswith('msgpack"')
            whole = call.body if is_own else self.wholes.get(tag)
            for first, last, length, part in parts_of(answer):
                assert len(part) == last + 1 - first
                if whole is not None:
                    event("a slice")
                    assert (part, length) == (whole[first : last + 1], len(whole))
        else:
            document = answer.document
            assert document["owner"] == (call.user.name if call.manner.is_personal else "everybody")
            # What another has added shows in nobody's answer.
            names = set(re.findall("|".join(user.name for user in USERS), document["seen"]))
            assert names <= {asked.wish.user.name}, ("seen of another", asked, answer)
            assert (document["version"], document["epoch"]) == (call.version, call.manner.epoch)
            if tag.startswith('"'):
                assert self.wholes.setdefault(tag, answer.body) == answer.body


TestUsers: Any = Users.TestCase
# More steps in one go are more than a search can take back one by one.
TestUsers.settings = settings(
    max_examples=7 * settings.default.max_examples if IS_LONG else 60,
    stateful_step_count=50,
    deadline=None,
)
