"""Reports as the page gets them, with every part that one may have."""

import random

from asgi_serial.admin.page.parts import CACHE, PHASES

ROUTES = ("/", "/cities", "/cities/{id}", "/search", "/users/{id}/orders", "/export", "/events")
NOW = 1_800_000_000.0


def durations(middle):
    return {
        **{"p50": middle, "p95": middle * 3.1, "p99": middle * 7.4},
        **{"mean": middle * 1.3, "max": middle * 20},
    }


def row(rng, route, method="GET", status=200, outcome="completed"):
    count, middle = rng.randint(1, 40_000), 10 ** rng.uniform(-1.5, 2.3)
    app = count * rng.randint(200, 40_000)
    weights = [rng.random() ** 3 for _ in PHASES]
    time_ms = count * middle * 1.3
    cache = {name: int(count * rng.random() ** 4) for name in CACHE}
    return {
        **{"route": route, "method": method, "status": status, "outcome": outcome},
        "count": count,
        "time_ms": time_ms,
        "first_byte_ms": durations(middle * 0.8),
        "last_byte_ms": durations(middle),
        "phases_ms": {
            name: time_ms * weight / sum(weights)
            for name, weight in zip(PHASES, weights, strict=True)
        },
        "app_bytes": app,
        "encoded_bytes": int(app * 0.9),
        "sent_bytes": int(app * 0.2),
        "saved_percent": 80.0,
        "cache": {**cache, "off": 0},
        "encodings": {"hit": count // 2, "miss": count // 9},
        "reasons": [],
    }


def full_report(routes=12, seed=5):
    """A report of so many routes, the same each time."""
    rng = random.Random(seed)
    rows = [row(rng, each) for each in ROUTES]
    rows += [row(rng, f"/api/v1/resource-{n}/{{id}}", "POST", 201) for n in range(routes - 9)]
    rows += [
        row(rng, "/export", "GET", 200, "disconnected"),
        row(rng, "/pay", "POST", 500, "failed"),
    ]
    rows = sorted(rows[:routes], key=lambda one: -one["time_ms"])
    totals = {name: sum(one[name] for one in rows) for name in ("count", "time_ms")}
    for name in ("app_bytes", "encoded_bytes", "sent_bytes"):
        totals[name] = sum(one[name] for one in rows)
    totals |= {"first_byte_ms": durations(2.2), "last_byte_ms": durations(3.4)}
    totals |= {"saved_percent": 78.2, "encodings": {"hit": 900, "miss": 100}}
    totals["cache"] = {name: sum(one["cache"][name] for one in rows) for name in (*CACHE, "off")}
    totals["phases_ms"] = {name: sum(one["phases_ms"][name] for one in rows) for name in PHASES}
    totals["codings"] = {
        "identity": coding(rng, 1.0),
        **{name: coding(rng, 0.2) for name in ("gzip", "br", "zstd")},
    }
    totals["reasons"] = [
        reason("too-small", 5210, "the body is too small to be compressed; lower min_size"),
        reason("no-freshness", 310, "neither the response nor a policy states a lifetime"),
    ]
    return {
        "schema": 2,
        "routes": rows,
        "totals": totals,
        "recommendations": [
            {
                "text": "GET /search: 120 of 130 responses state no lifetime (p50 43 ms).",
                "route": "/search",
                "counters": {"NO_FRESHNESS": 120, "count": 130},
                "line": '@serial(cache_ttl="60s")',
            },
            "POST /export: set compression=False for the route to save the attempts.",
        ],
        "recorder": {"failures": 0, "overflowed": 0},
        "engine": {
            **{"memory_entries": 412, "memory_bytes": 21_400_000, "memory_max_bytes": 64_000_000},
            **{"memory_evictions": 3, "responses_stored": 5210, "store_gets": 400},
        },
        "in_flight": 3,
        "websockets": {"accepted": 9, "open": 2},
        "processes": {"counted": "all workers", "pids": [4711, 4712, 4713, 4714], "note": None},
        "history": [
            {
                "start": NOW - 60 * (59 - minute),
                "requests": int(300 + 250 * rng.random() + 4 * minute),
                "errors": 9 if minute in (17, 18, 40) else 0,
            }
            for minute in range(60)
        ],
        "slowest": [
            {
                **{"at": NOW - 60 * n, "seconds_ago": 60.0 * n, "method": "GET"},
                **{"path": f"/search/{n}", "route": "/search/{term}", "status": 200},
                **{"outcome": "completed", "total_ms": 2100.0 / (n + 1), "first_byte_ms": 900.0},
                "phases_ms": {"app-first-byte": 700.0, "encode": 100.0, "send": 60.0},
            }
            for n in range(10)
        ],
        "settings": [
            setting("cache_ttl", "60s", "argument"),
            setting("report_token", "(secret)", "ASGI_SERIAL_REPORT_TOKEN"),
            *[setting(f"setting_{n}", "64MB", "default") for n in range(60)],
        ],
        "store": {
            **{"target": "redis://cache:6379/0", "state": "closed"},
            "last_failure": {"kind": "timeouts", "error": "TimeoutError()", "seconds_ago": 340.0},
        },
        "versions": {"asgi_serial": "0.1.0", "Python": "3.11.7", "zstd": "backports.zstd 1.0"},
        "cost": {
            **{"requests": 1000, "own_ms": 420.0, "own_ms_per_request": 0.42, "total_ms": 12_000.0},
            "stages_ms": {"decode": 20.0, "look-up": 100.0, "encode": 300.0},
        },
    }


def coding(rng, factor):
    size = rng.randint(10**6, 10**9)
    return {
        "count": rng.randint(1, 90_000),
        "encoded_bytes": size,
        "sent_bytes": int(size * factor),
        "encode_ms": 0.0 if factor == 1.0 else size / 50_000,
    }


def reason(name, count, sentence):
    return {"name": name, "about": "cache", "count": count, "sentence": sentence}


def setting(name, value, source):
    return {"name": name, "value": value, "text": value, "source": source}
