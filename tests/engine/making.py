"""Engines, requests and flows, made for the tests as the middleware makes them."""

import inspect
import json

from asgi_serial.asgi.app_scope import scope_for_app
from asgi_serial.asgi.lookup import Lookup
from asgi_serial.engine.engine import Engine
from asgi_serial.http.headers import read_response_fields
from asgi_serial.request.app_call import AppCall
from asgi_serial.request.plan import plan_request
from asgi_serial.response.flow import (
    Busy,
    Done,
    Held,
    Pass,
    Replaced,
    ResponseFlow,
    Start,
    Stream,
    Whole,
)
from asgi_serial.response.start import ResponseStart
from asgi_serial.response.steps import Store, StoreOnReturn, Unstored
from asgi_serial.settings.model import Settings

NOW = 1_700_000_000.0
NOW_DATE = b"Tue, 14 Nov 2023 22:13:20 GMT"
JSON = (b"content-type", b"application/json")
MSGPACK = "application/vnd.msgpack"
FRESH = (b"cache-control", b"max-age=60")
HTML = (b"content-type", b"text/html")
EVENTS = (b"content-type", b"text/event-stream")
PICTURE = (b"content-type", b"image/png")
TAG = (b"etag", b'"1"')
GZIP = (b"accept-encoding", b"gzip")
WANTS_MSGPACK = (b"accept", MSGPACK.encode())


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


class Paths:
    """Routes that are the paths, and known to read JSON or not."""

    def __init__(self, *, read_json=True):
        self._read_json = read_json

    def __call__(self, scope):
        return scope["path"]

    def reads_json(self, scope):
        return self._read_json


def make_engine(clock=None, *, read_json=True, label=None, **options):
    """An engine by these settings and no environment, whose routes are the paths."""
    return Engine(
        Settings.load(options, {}),
        label=label or Paths(read_json=read_json),
        clock=clock or Clock(),
    )


def make_scope(method="GET", path="/", headers=(), **more):
    """The scope of a request as a server gives it."""
    return {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"a.example"), *headers],
        **more,
    }


def make_plan(engine, scope):
    """The plan of a request for which no hit was found."""
    return plan_request(engine, scope)


def find_hit(engine, scope):
    """The messages by which the first level answers a request, or None."""
    plan = make_plan(engine, scope)
    return Lookup(engine, plan).find_hit(plan.key)


def make_flow(engine, *headers, method="GET", policy=None, **scope):
    """The flow of the response to a request with these fields; `policy`: the handler's."""
    plan = make_plan(engine, make_scope(method, headers=headers, **scope))
    call = AppCall()
    app_scope = scope_for_app(engine, plan, call)
    if policy is not None:
        call.add_policy(policy, may_permit=True)
    return Response(engine, plan, app_scope, call)


STATES = (Start, Held, Whole, Busy, Stream, Pass, Done, Replaced)


def states_after(state):
    """The states that may follow one, by the return types of its methods."""
    methods = inspect.getmembers(state, inspect.isfunction)
    types = [
        method.__annotations__["return"] for name, method in methods if not name.startswith("_")
    ]
    names = {name for one in types for name in one.split(" | ")}
    return {one for one in STATES if one.__name__ in names} - {state}


TRANSITIONS = {state: states_after(state) for state in STATES}


class CheckedFlow(ResponseFlow):
    """A flow that changes its state only as the types of its states allow."""

    _state = Start()

    @property
    def state(self):
        return self._state

    @state.setter
    def state(self, state):
        before, after = type(self._state), type(state)
        assert after in {before, *TRANSITIONS[before]}, (before, after)
        self._state = state


class Response:
    """A flow that reads its start itself, and goes on with one that passes, to be asked of it.

    Its methods return the messages of the flow's steps. `entry` is what they store, `job` the job
    that they leave, `effects` all of their effects, and `state` the class of the present one.
    """

    def __init__(self, engine, request, scope, call):
        self.engine, self.request, self.scope, self.call = engine, request, scope, call
        self.passes = self.is_holding = False
        self.effects, self.entry, self.job = [], None, None

    def __getattr__(self, name):
        return getattr(self.__dict__["flow"], name)

    def begin(self, message):
        pairs, fields = read_response_fields(
            message.get("headers", ()), self.engine.fields.response
        )
        first = ResponseStart(self.engine, self.request, self.call, message, pairs, fields)
        self.flow = CheckedFlow(self.engine, first.request, self.scope, first)
        if first.passes:
            self.passes = True
            self.flow.state = Pass(is_not_modified=False)
            return first.message
        del self.is_holding
        return self._take(self.flow.begin())

    @property
    def state(self):
        return type(self.flow.state) if "flow" in self.__dict__ else Start

    def sizes(self):
        """The sizes of the body: as the app made it, in its format, and as it was sent."""
        return self.flow.app_bytes, self.flow.encoded_bytes, self.flow.sent_bytes

    def feed(self, message):
        return self._take(self.flow.feed(message))

    def resume(self, result):
        self.job = None
        return self._take(self.flow.resume(result))

    def release(self, why):
        return self._take(self.flow.release(why))

    def wait_for_client(self, **said):
        return self._take(self.flow.wait_for_client(**said))

    def lose_client(self):
        return self._take(self.flow.lose_client())

    @property
    def is_over(self):
        return any(not isinstance(effect, Unstored) or effect.is_over for effect in self.effects)

    @property
    def call_result(self):
        """The result of a call for which nothing is stored, for those who wait."""
        return [effect.result for effect in self.effects if isinstance(effect, Unstored)][-1]

    def _take(self, step):
        assert not (self.is_over and step.effects), step.effects
        for effect in step.effects:
            self.effects.append(effect)
            if isinstance(effect, Store):
                self.entry = effect.entry
            elif isinstance(effect, StoreOnReturn):
                self.entry = effect.collector.pending
        self.job = step.job or self.job
        return [*step.messages]


def start(*headers, status=200, **more):
    """The message that starts a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(content=b"", more=False):
    """A message with a part of the body, or its end."""
    return {"type": "http.response.body", "body": content, "more_body": more}


def as_list(out):
    """What a flow gives, as a list in either case."""
    return out if isinstance(out, list) else [out]


def finish_jobs(flow, out):
    """What a flow has given, and what comes of the job that it left."""
    messages = as_list(out)
    while flow.job is not None:
        messages = [*messages, *flow.resume(flow.job())]
    return messages


def run(flow, first, *others):
    """All that a flow gives for these messages, with its jobs done in between."""
    messages = finish_jobs(flow, flow.begin(first))
    for message in others:
        messages += finish_jobs(flow, flow.feed(message))
    return messages


def content_of(messages):
    """The body that these messages carry."""
    return b"".join(message.get("body", b"") for message in messages)


def fields_of(messages):
    """The fields of the start that comes first in these messages."""
    assert messages[0]["type"] == "http.response.start"
    return dict(messages[0]["headers"])


def decoded(engine, messages):
    """The body with its content coding undone."""
    content = content_of(messages)
    coding = fields_of(messages).get(b"content-encoding")
    if coding is None:
        return content
    decoder = engine.negotiator.codecs[coding.decode()].decoder()
    content = decoder.feed(content, limit=100_000_000)
    decoder.finish()
    return content


def make_document(size):
    """JSON of about this many bytes that compresses well."""
    return json.dumps(["the same words again"] * (size // 24 + 1)).encode()


def length_of(content):
    """The Content-Length field of a body."""
    return b"content-length", b"%d" % len(content)
