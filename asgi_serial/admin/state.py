"""The report of an engine: what it has recorded, and the state of its parts."""

from __future__ import annotations

import os
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any
from weakref import ref

from pydantic import SecretStr

from asgi_serial.admin.versions import find_versions
from asgi_serial.settings.values import parse_size
from asgi_serial.store.url import shown_store_url
from asgi_serial.timing.advice.figures import SETTINGS
from asgi_serial.timing.figures import describe_slowest
from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.report import build_report
from asgi_serial.timing.units import exact_bytes, exact_duration
from asgi_serial.timing.workers.packing import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.engine.engine import Engine
    from asgi_serial.settings.model import Settings
    from asgi_serial.timing.report import Report

_OWN_PHASES = ("decode", "look-up", "encode")


def engine_report(engine: Engine) -> Report:
    """Return the report of an engine, including the state of its caches.

    It may run in a thread while requests are recorded.
    """
    recorder = engine.series or SeriesRecorder()
    totals = recorder.read()
    counts, slowest = State.of(workers_states(engine).values())
    report = build_report(
        recorder,
        totals=totals,
        engine={name: counts[name] for name in engine_statistics(engine)},
        settings={name: getattr(engine.settings, name) for name in SETTINGS},
    )
    now_ns, now = perf_counter_ns(), engine.clock()
    store = engine.responses.store
    more = {
        "history": totals.history.to_list(now_ns, now),
        "slowest": describe_slowest(slowest, now_ns, now),
        "settings": describe_settings(engine.settings),
        "store": None if store is None else dict(store.state()),
        "versions": find_versions(engine.settings),
        "cost": own_cost(report.totals),
    }
    return report._replace(
        in_flight=counts.get("in_flight", 0),
        websockets={name: counts[f"websockets_{name}"] for name in ("accepted", "open")},
        processes={} if engine.crew is None else engine.crew.processes().to_dict(),
        more=more,
    )


def workers_states(engine: Engine) -> dict[int, State]:
    """Return the state of an engine, and of the same app in other workers, by their processes."""
    own = own_state(engine)
    states = {os.getpid(): own} if engine.crew is None else engine.crew.states(own)
    # That of a worker whose engine is gone has no figures.
    return {pid: state for pid, state in states.items() if "started_ms" in state.counts}


def own_state(engine: Engine) -> State:
    """Return the state of an engine in this process."""
    return State(engine_state(engine), engine.slowest.find(perf_counter_ns()))


def watch_state(engine: Engine) -> None:
    """Have the state of an engine published to other workers."""
    if engine.crew is not None:
        known = ref(engine)  # which the crew does not keep alive

        def state() -> State:
            engine = known()
            return State({}, []) if engine is None else own_state(engine)

        engine.crew.watch(state)


def engine_state(engine: Engine) -> dict[str, Any]:
    """Return the figures of an engine in this process at this moment; see `instruments.STATE`."""
    gauges, series = engine.gauges, engine.series
    state = engine_statistics(engine)
    state["started_ms"] = int(engine.started * 1000)
    state["websockets_open"] = gauges.websockets_open
    state["websockets_accepted"] = gauges.websockets_accepted
    if engine.responses.store is not None:
        state["store_open_breakers"] = engine.responses.store.open_breakers
    if series is not None:
        series.catch_up()
        state["in_flight"] = gauges.in_flight(series.recorded)
        state["sample_failures"] = series.failures
        state["overflowed"] = series.overflowed
    return state


def engine_statistics(engine: Engine) -> dict[str, Any]:
    """Return the state of the caches, and the number of failures to find a request's route."""
    memory, responses, encodings = engine.memory, engine.responses, engine.encodings
    statistics: dict[str, Any] = {
        "memory_entries": len(memory),
        "memory_bytes": memory.size_bytes,
        "memory_max_bytes": memory.max_bytes,
        "memory_evictions": memory.evictions,
        "responses_stored": responses.stored,
        "route_resolver_failures": getattr(engine.resolver, "failures", 0),
    }
    for name, listener in engine.listeners.items():
        statistics[f"{name}_failures"] = listener.failures.count
    if encodings is not None:
        statistics["encodings_hits"] = encodings.hits
        statistics["encodings_misses"] = encodings.misses
    if responses.store is not None:
        statistics["store_writes_dropped"] = responses.writes_dropped
        for name, count in responses.store.statistics().items():
            statistics[f"store_{name}"] = count
    return statistics


def own_cost(totals: Mapping[str, Any]) -> dict[str, Any]:
    """Return the time that requests spent in our own stages; sums are in ms.

    A look-up includes the wait for the second level, and for another request's call of the app.
    """
    phases, count = totals["phases_ms"], totals["count"]
    stages = {name: phases[name] for name in _OWN_PHASES}
    own = sum(stages.values())
    return {
        "requests": count,
        "own_ms": own,
        "own_ms_per_request": own / count if count else 0.0,
        "total_ms": sum(phases.values()),
        "stages_ms": stages,
    }


def describe_settings(settings: Settings) -> list[dict[str, Any]]:
    """Return each setting with its value, as data and as text, and the source of the value.

    The source is `argument`, the name of the variable, `preset` and its name, or `default`. Secrets
    are left out.
    """
    described = []
    for name, field in type(settings).model_fields.items():
        value = _shown_value(name, getattr(settings, name))
        is_size = any(getattr(one, "func", None) is parse_size for one in field.metadata)
        text = _text_of(value, is_size=is_size)
        source = settings.origins.get(name, "default")
        described.append({"name": name, "value": value, "text": text, "source": source})
    return described


def _shown_value(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return shown_store_url(value.get_secret_value()) if name == "cache_url" else "(secret)"
    if name in ("routes", "timing_exclude"):
        # The options of a policy may hold functions and names of a user's fields.
        return [rule.pattern for rule in value]
    if name == "cache_vary_normalize":
        return {field: list(offered) for field, offered in value}
    return list(value) if isinstance(value, tuple) else value


def _text_of(value: Any, *, is_size: bool) -> str:
    """Return a value as a user would write it, with its unit."""
    if value is None or value in ([], {}, ""):
        return "unset"
    if isinstance(value, dict):
        return ", ".join(f"{name}={'|'.join(offered)}" for name, offered in value.items())
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(_text_of(one, is_size=False) for one in value)
    if isinstance(value, float):
        return exact_duration(value)
    return exact_bytes(value) if is_size else str(value)
