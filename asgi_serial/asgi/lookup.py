"""The search for a stored answer: in both levels, in other forms, in calls by other requests."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from asgi_serial.cache.entry import Entry
from asgi_serial.cache.in_flight import NOT_STORED, CallResult
from asgi_serial.cache.key import part_key
from asgi_serial.cache.leases import LEASE_SECONDS, Lease
from asgi_serial.caching.completion import can_be_completed, may_complete
from asgi_serial.caching.serving import (
    NOT_FOR_CLIENT,
    Answer,
    answer_on_error,
    find_representation,
    serve,
    variant_of,
)
from asgi_serial.caching.stored_parts import answer_part, is_usable_part, may_use_part
from asgi_serial.caching.storing import may_grant_lifetime
from asgi_serial.concurrency.threads import run_in_thread
from asgi_serial.reasons import Reason
from asgi_serial.representation.derive import DERIVE_OFFLOAD_BYTES, derive, size_to_derive
from asgi_serial.request.forward import FORWARD_MISS, Forward

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Key, Representation, Variant
    from asgi_serial.cache.in_flight import Call
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Message


HIT, MISS, VARY_MISS, STALE = Reason.HIT, Reason.MISS, Reason.VARY_MISS, Reason.STALE
COLLAPSIBLE = (MISS, VARY_MISS, STALE)
STALE_WHILE_REVALIDATE = Reason.STALE_WHILE_REVALIDATE

# After this many calls whose clients were slow, a request waits for no other: deliberately slow
# clients can delay others no longer, and the app gets no more calls than it would without us.
MAX_SLOW_CALLS = 2

MAX_PAUSE = 0.2  # seconds between two checks for a response that another process stores


class Lookup:
    """Tries to answer one request without calling the app, or from another request's call.

    If it finds nothing, it may have started a call that others wait for (`call`): the call must
    then be made, and ended by `finish_call`. Afterwards `forward` says why the app is called, and
    which stored response the call concerns.
    """

    call: Call | None = None
    call_key: Key | None = None
    # How long, in all, sending may yet block on the client of a call that others wait for. A client
    # with 10 Mbit/s empties a server's usual buffer of 64 kB in a fifth of that.
    client_seconds = 0.25
    released: asyncio.Event | None = None  # set when nobody waits for the call any more
    answered: Answer | None = None  # from the cache
    refreshes: Entry | None = None  # has answered, and must be refreshed in the background
    stands_in = False  # a stale response replaces the failed call of another request
    _lease: Lease | None = None  # by which other processes wait for the call
    _renewal: asyncio.TimerHandle | None = None
    _part: Entry | None = None  # is stored, but lacks some of the requested bytes
    _underived: Entry | None = None  # may answer in a form that has yet to be derived
    _is_usual = False  # other requests for the resource will be treated like this one
    _has_finished = False

    def __init__(self, engine: Engine, plan: RequestPlan) -> None:
        self.engine = engine
        self.plan = plan  # the newest, by whose key a result is remembered
        self.forward = plan.forward  # why there is no answer so far

    def own_call(self, key: Key, call: Call) -> None:
        """Make this the call of the app that others wait for."""
        self.call_key, self.call = key, call

    def find_hit(self, key: Key) -> tuple[Message, Message] | None:
        """Return an answer from the first level, without awaiting anything."""
        engine, plan = self.engine, self.plan
        return self.take(
            serve(
                engine,
                plan,
                engine.responses.find(key, plan),
                engine.clock(),
                waited=self._waited,
            )
        )

    @property
    def _waited(self) -> Reason | None:
        """The reason why the request has waited for another's call of the app, if it has."""
        return self.forward.reason if self.forward.waited else None

    def take(self, served: Answer | Forward) -> tuple[Message, Message] | None:
        """Return the messages of an answer; if there is none, record why, and look for a part."""
        plan, key = self.plan, self.plan.key
        if isinstance(served, Forward):
            self._note(served)
            if key is not None and self._may_use_part():
                return self._use_part(self.engine.responses.find(part_key(key), plan))
            return None
        return self._hand_out(served)

    def _use(
        self, found: Entry | Reason, made: Representation | None = None
    ) -> tuple[Message, Message] | None:
        """Return the answer from what was found; if there is none, note why."""
        served = serve(self.engine, self.plan, found, self.engine.clock(), made, self._waited)
        if isinstance(served, Forward):
            self._note(served)
            return None
        return self._hand_out(served)

    def _note(self, forward: Forward) -> None:
        """Record why the app is called, unless another response was selected before."""
        known = self.forward
        self._underived = forward.underived
        if forward.underived is not None:
            return
        if known is FORWARD_MISS:
            self.forward = forward
        elif forward.stored is not None or forward.reason in NOT_FOR_CLIENT:
            stored = forward.stored or known.stored
            self.forward = replace(
                known, reason=forward.reason, validates=forward.validates, stored=stored
            )
        elif known.stored is None:
            self.forward = replace(known, reason=forward.reason)

    def _may_use_part(self) -> bool:
        plan = self.plan
        return (
            plan.profile.has_range and self._underived is None and may_use_part(self.engine, plan)
        )

    def _use_part(self, found: Entry | Reason) -> tuple[Message, Message] | None:
        """Return an answer from a stored part of the response."""
        engine, plan, now = self.engine, self.plan, self.engine.clock()
        if isinstance(found, Reason) or not is_usable_part(engine, plan, found, now):
            return None
        self._part = found
        messages = answer_part(engine, plan, found, now)
        return (
            None
            if messages is None
            else self._hand_out((*messages, found, HIT, found.all_forms[0]))
        )

    def _hand_out(self, answered: Answer) -> tuple[Message, Message]:
        """Return the messages of an answer."""
        self.answered = answered
        start, last, entry, why, _ = answered
        if why is STALE_WHILE_REVALIDATE:
            self.refreshes = entry
        return start, last

    async def seek(self, key: Key) -> tuple[Message, Message] | None:
        """Return an answer from the second level, another form, or another request's call."""
        try:
            engine, plan = self.engine, self.plan
            responses = engine.responses
            if self._underived is None and self.forward.reason in COLLAPSIBLE and responses.store:
                if responses.leases is not None and self._may_lead(key):
                    self._lease = Lease(responses.leases)
                hit = self._use(await responses.load(key, plan, self._lease))
                # Another request's call of the app may have ended meanwhile.
                hit = hit or (None if self._underived is not None else self.find_hit(key))
                if hit is None and self._may_use_part():
                    hit = self._use_part(await responses.load(part_key(key), plan))
                if hit is not None:
                    return hit
            if self._underived is not None:
                return await self._derive()
            if self._part is not None and self.forward.reason in (MISS, VARY_MISS):
                self.forward = replace(self.forward, reason=Reason.PARTIAL)
            if plan.wants_stored_only:
                return None
            self._is_usual = self._is_collapsible()
            if self._is_usual and self._may_be_stored(key):
                messages = await self._join(key)
                if messages is not None:
                    return messages
            await self._prepare_validation()
            if self.engine.settings.cache_parts and may_complete(plan, self.forward):
                await self._prepare_completion(key)
            return None
        finally:
            if self._lease is not None and self.call is None:
                self._leave(self._lease)

    def _leave(self, lease: Lease) -> None:
        """Let other requests take the lease, since this one does not call the app by it."""
        lease.end()
        self._lease = None

    def _is_collapsible(self) -> bool:
        """Whether requests like this one may be answered by one call of the app."""
        plan, forward = self.plan, self.forward
        if plan.user.unknown and forward.stored is None:
            # A response that another call will store may not be for this client; a stored one is.
            return False
        return (
            plan.method != "HEAD"
            and not (
                plan.user.credentials
                or plan.profile.forces_revalidation
                or plan.wants.refused
                or b"range" in plan.profile.places
            )
            and forward.reason in COLLAPSIBLE
        )

    def _may_lead(self, key: Key) -> bool:
        """Whether this request may have to call the app for others, if nothing is stored."""
        calls, plan = self.engine.calls, self.plan
        if plan.wants_stored_only or not self._is_collapsible():
            return False
        if self._is_conditional() and not self.forward.validates:
            return False
        shared = self.engine.responses.call_key(key, plan)
        return (
            self._may_be_stored(key)
            and calls.find(shared) is None
            and not calls.is_hit_for_miss(shared)
        )

    def _is_conditional(self) -> bool:
        """Whether the app may answer the client's own condition by a 304."""
        fields = self.plan.fields
        return b"if-none-match" in fields or b"if-modified-since" in fields

    def _may_be_stored(self, key: Key) -> bool:
        """Whether the app's response is likely to be stored.

        Otherwise requests would wait for one another in vain, and be served one by one.
        """
        engine, plan = self.engine, self.plan
        # A stale response, or one for other requests, shows that the resource is storable.
        return (
            self.forward.reason is not MISS
            or may_grant_lifetime(engine, plan)
            or engine.calls.was_storable(key)
        )

    async def _prepare_completion(self, key: Key) -> None:
        """Plan a request for the rest of a response of which a part is stored."""
        engine, plan = self.engine, self.plan
        found = engine.responses.find(part_key(key), plan)
        if isinstance(found, Reason) and engine.responses.store is not None:
            found = await engine.responses.load(part_key(key), plan)
        if isinstance(found, Reason) or not can_be_completed(engine, plan, found, engine.clock()):
            return
        self.forward = replace(self.forward, reason=Reason.PARTIAL, completes=found)

    async def _prepare_validation(self) -> None:
        """Prepare the form in which a stored response will answer once it is confirmed."""
        plan, places = self.plan, self.plan.profile.places
        entry = self.forward.stored
        if entry is None:
            return
        form = find_representation(plan.wants, entry) or await self._make(entry)
        if form is None:
            self.forward = self.forward.without_stored()
            return
        # RFC 9110, 13.1.1: such a condition is the app's to evaluate, on its own state.
        is_for_app = b"if-match" in places or b"if-unmodified-since" in places
        validates = self.forward.validates and not is_for_app
        self.forward = replace(self.forward, form=form, validates=validates)

    async def _derive(self) -> tuple[Message, Message] | None:
        """Return an answer in a form that is derived from the stored one."""
        entry, self._underived = self._underived, None
        assert entry is not None
        made = await self._make(entry)
        return None if made is None else self._use(entry, made)

    async def _make(self, entry: Entry) -> Representation | None:
        responses, variant = self.engine.responses, variant_of(self.plan.wants, entry)
        made = responses.find_apart(entry, variant)
        if made is not None:
            return made
        if size_to_derive(entry) >= DERIVE_OFFLOAD_BYTES:
            return await self._make_large(entry, variant)
        made = derive(self.engine, entry, variant, must_encode=self.plan.wants.must_encode)
        if made is not None:
            responses.add(entry, variant, made)
        return made

    async def _make_large(self, entry: Entry, variant: Variant) -> Representation | None:
        """Derive a large form in a thread; one of several simultaneous requests does it for all."""
        engine, key = self.engine, (entry.key, *variant)
        while (making := engine.calls.find(key)) is not None:
            # It ends: only the work of a thread is waited for.
            if await making.wait(None) is CallResult.STORED:
                return making.made
        call = engine.calls.start(key)
        result = CallResult.FAILED
        try:
            must_encode = self.plan.wants.must_encode
            work = partial(derive, engine, entry, variant, must_encode=must_encode)
            made = await run_in_thread(work, engine.workers.encoders)
            if made is not None:
                engine.responses.add(entry, variant, made)
            if call is not None:
                call.made = made
            result = CallResult.STORED
        finally:
            if call is not None:
                engine.calls.finish(key, call, result)
        return made

    async def _join(self, key: Key) -> tuple[Message, Message] | None:
        """Wait for another request's call of the app, or lead one that others wait for."""
        calls, settings = self.engine.calls, self.engine.settings
        responses, plan = self.engine.responses, self.plan
        deadline = monotonic() + settings.cache_wait
        is_conditional, slow_calls = self._is_conditional(), 0
        while True:
            is_conditional = is_conditional and not self.forward.validates
            shared = self.call_key = responses.call_key(key, plan)
            call = calls.find(shared)
            if call is None:
                if is_conditional:
                    return None  # a 304 would be of no use to others
                self.call = calls.start(shared)
                if self.call is None or responses.leases is None:
                    return None
                self._lease = self._lease or Lease(responses.leases)
                return await self._lead_processes(self._lease, key, shared, deadline)
            if self._lease is not None:
                self._leave(self._lease)
            self.forward = replace(self.forward, waited=True)
            result = await call.wait(deadline - monotonic())
            if result is None or result in NOT_STORED:
                break
            hit = self.find_hit(key)
            if hit is not None:
                return hit
            if self._underived is not None:
                return await self._derive()
            if result is CallResult.ERROR:
                # The stale response also replaces another request's failed call.
                messages = answer_on_error(self.engine, self.plan, self.forward)
                self.stands_in = messages is not None
                return messages
            if result is CallResult.STORED and self.forward.reason not in (MISS, VARY_MISS):
                return None  # the stored response does not suit this client
            slow_calls += result is CallResult.SLOW
            if slow_calls == MAX_SLOW_CALLS:
                break
            # The call was aborted, or its response varies: one of those who wait calls next.
        if result is None:
            # Do not let the next requests wait in vain: the response may be endless.
            calls.mark_hit_for_miss(shared)
        return None

    async def _lead_processes(
        self, lease: Lease, key: Key, shared: Key, deadline: float
    ) -> tuple[Message, Message] | None:
        """Call the app for other processes, too, or wait for a response that another one stores."""
        responses, pause, has_waited = self.engine.responses, 0.01, False
        while True:
            # A lease that was taken with the look shows that nothing was stored by then.
            is_sure = lease.is_for(shared) and lease.is_held is not None
            if lease.is_held if is_sure else await lease.take(shared):
                self._renew_later(lease)
                if is_sure or not has_waited:
                    return None
            elif monotonic() + pause > deadline:
                return None
            else:
                has_waited = True
                self.forward = replace(self.forward, waited=True)
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
            # Check even with the lease: another process may have stored a response and ended its
            # lease.
            is_ours = bool(lease.is_held)
            hit = self._use(await responses.load(key, self.plan, None if is_ours else lease))
            if hit is not None or self._underived is not None:
                self.finish_call(CallResult.STORED)
                return await self._derive() if hit is None else hit
            if is_ours:
                return None

    def _renew_later(self, lease: Lease) -> None:
        def renew() -> None:
            lease.renew()
            self._renew_later(lease)

        self._renewal = asyncio.get_running_loop().call_later(LEASE_SECONDS / 4, renew)

    def finish_call(self, result: CallResult) -> None:
        """End the call that others wait for, if this request has begun one.

        If nobody could wait for the call, its first result is remembered all the same.
        """
        call, key = self.call, self.call_key
        if call is not None and key is not None:
            self.call = None
            self.engine.calls.finish(key, call, result)
            if self._renewal is not None:
                self._renewal.cancel()
            if self._lease is not None:
                self._lease.end()
            if self.released is not None:
                self.released.set()
        elif result in NOT_STORED and not self._has_finished and self.plan.key is not None:
            calls, is_error = self.engine.calls, result is CallResult.UNSTORED_ERROR
            note = calls.mark_hit_for_miss if self._is_usual else calls.extend_hit_for_miss
            note(self.plan.key, is_error=is_error)
        self._has_finished = True
