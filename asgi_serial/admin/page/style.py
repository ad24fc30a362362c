"""The style of the page, and the policy that allows this style and nothing else."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

_SHEET = """
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #fff; --text: #1a2130; --muted: #586174; --line: #e2e5ea;
  --accent: #2555c4; --fill: #3b6fe0; --soft: #dfe7f9; --track: #eceff3;
  --good: #17703c; --goodsoft: #ddf1e4; --warn: #855200; --warnsoft: #fbedd0;
  --bad: #b3261e; --badsoft: #fbe3e1;
  --c1: #8b93a3; --c2: #0d8a94; --c3: #2f9e5b; --c4: #2f66dd; --c5: #7ba2f2; --c6: #c76a12;
  --c7: #a05cc9; --c8: #c9a227;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101319; --card: #181c24; --text: #e7eaf0; --muted: #a0a9ba; --line: #2a303c;
    --accent: #8db0ff; --fill: #5e8bf0; --soft: #22304f; --track: #262c37;
    --good: #6fd398; --goodsoft: #173524; --warn: #f0bd62; --warnsoft: #3a2c10;
    --bad: #ff948c; --badsoft: #43201e;
    --c1: #8a93a5; --c2: #33b3bd; --c3: #56c282; --c4: #6b97f7; --c5: #a9c2fb; --c6: #e59142;
    --c7: #c08ae3; --c8: #dcbc51;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
a { color: var(--accent); text-underline-offset: 2px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
.skip { position: absolute; left: -999rem; }
.skip:focus {
  left: 1rem; top: .5rem; padding: .5rem 1rem; background: var(--card); z-index: 1;
}
header, main, footer { max-width: 78rem; margin: 0 auto; padding: 0 1.5rem; }
header {
  display: flex; flex-wrap: wrap; align-items: end; gap: .5rem 2rem;
  padding-top: 1.75rem; padding-bottom: .75rem;
}
header > div { flex: 1 1 20rem; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em; }
h2 { margin: 0 0 .75rem; font-size: 1.0625rem; line-height: 1.3; }
h3 { margin: 1.25rem 0 .5rem; font-size: .875rem; }
p { margin: 0 0 .75rem; }
header p, .note, footer { color: var(--muted); font-size: .8125rem; }
header p { margin: .125rem 0 0; }
.choice { display: flex; flex-wrap: wrap; gap: .25rem .75rem; font-size: .8125rem; }
.choice [aria-current] { color: var(--text); font-weight: 600; text-decoration: none; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0; padding: 0; }
nav li { list-style: none; font-size: .875rem; }
nav.sections { flex: 1 0 100%; border-bottom: 1px solid var(--line); padding: .25rem 0 .625rem; }
nav.sections a { color: var(--text); text-decoration: none; }
nav.sections a:hover { color: var(--accent); text-decoration: underline; }
section, .tile {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
}
section { margin: 0 0 1rem; padding: 1.125rem 1.25rem 1.25rem; }
.tiles { display: grid; grid-template-columns: repeat(6, 1fr); gap: 1rem; margin: 0 0 1rem; }
.tile { padding: .875rem 1.125rem 1rem; min-width: 0; }
.tile.wide { grid-column: span 3; }
.tile dt, .tile .label { color: var(--muted); font-size: .8125rem; }
.tile dd { margin: 0; }
.value { font-size: 1.5rem; line-height: 1.25; font-weight: 600; letter-spacing: -.02em; }
.tile .note { line-height: 1.4; font-size: .75rem; }
svg { display: block; width: 100%; }
.columns { height: 48px; margin-top: .5rem; fill: var(--fill); }
.columns.bad { fill: var(--bad); }
.axis { stroke: var(--line); fill: none; vector-effect: non-scaling-stroke; }
.ends { display: flex; justify-content: space-between; color: var(--muted); font-size: .75rem; }
.bar, .share { height: 10px; border-radius: 3px; background: var(--track); fill: var(--fill); }
td .share { height: 3px; margin-top: 3px; min-width: 3rem; }
.strip { height: 16px; min-width: 9rem; }
.band { fill: var(--c5); } .p50 { fill: var(--fill); } .p95 { fill: var(--c6); }
.p99 { fill: var(--bad); }
td .bar { min-width: 7rem; margin-top: 4px; }
.c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); } .c4 { fill: var(--c4); }
.c5 { fill: var(--c5); } .c6 { fill: var(--c6); } .c7 { fill: var(--c7); } .c8 { fill: var(--c8); }
.key { display: flex; flex-wrap: wrap; gap: .125rem 1rem; margin: 0 0 .75rem; padding: 0; }
.key li { list-style: none; font-size: .8125rem; color: var(--muted); white-space: nowrap; }
.key svg {
  display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: .375rem;
}
.key b { color: var(--text); font-weight: 600; }
table { width: 100%; border-collapse: collapse; font-size: .84375rem; line-height: 1.4; }
caption, .unseen {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
th, td {
  text-align: left; vertical-align: top; padding: .4375rem .75rem .4375rem 0; font-weight: 400;
}
th:last-child, td:last-child { padding-right: 0; }
tbody tr { border-top: 1px solid var(--line); }
thead th { color: var(--muted); font-size: .78125rem; vertical-align: bottom; white-space: nowrap; }
thead a { color: inherit; }
thead [aria-sort] a { color: var(--text); font-weight: 600; text-decoration: none; }
.n { text-align: right; white-space: nowrap; }
th.n, td.n { padding-left: .25rem; }
.text { overflow-wrap: anywhere; }
td .note, th .note { display: block; }
code, .mono {
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .92em;
}
.route { font-weight: 500; }
.badge {
  display: inline-block; padding: 0 .4375rem; border-radius: 4px; font-size: .75rem;
  line-height: 1.5; background: var(--track); color: var(--text); white-space: nowrap;
}
.badge.good { background: var(--goodsoft); color: var(--good); }
.badge.warn { background: var(--warnsoft); color: var(--warn); }
.badge.bad { background: var(--badsoft); color: var(--bad); }
.advice { margin: 0; padding: 0; }
.advice > li { list-style: none; padding: .625rem 0; border-top: 1px solid var(--line); }
.advice > li:first-child { border-top: 0; padding-top: 0; }
.advice > li:last-child { padding-bottom: 0; }
.advice code {
  display: block; margin-top: .375rem; padding: .375rem .625rem; border-radius: 6px;
  background: var(--track); overflow-wrap: anywhere; white-space: pre-wrap;
}
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.pair > section { min-width: 0; }
.facts { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1.25rem; margin: 0; }
.facts dt { color: var(--muted); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.facts { font-size: .84375rem; }
.stages { display: grid; grid-template-columns: auto 1fr auto; gap: .5rem 1rem; margin: 0 0 1rem; }
.stages { align-items: center; font-size: .84375rem; }
.stages dt { color: var(--muted); } .stages dd { margin: 0; }
details > summary { cursor: pointer; color: var(--accent); font-size: .84375rem; }
summary { padding: .25rem 0; }
form { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; }
form a { padding: .375rem 0; }
label { display: block; font-size: .8125rem; color: var(--muted); }
input, select, button {
  font: inherit; font-size: .875rem; padding: .375rem .625rem; border-radius: 6px;
  border: 1px solid var(--muted); background: var(--card); color: var(--text); max-width: 100%;
}
button {
  background: var(--accent); border-color: var(--accent); color: var(--card); cursor: pointer;
}
button.bad { background: var(--bad); border-color: var(--bad); }
.message { border-left: 4px solid var(--good); }
.message.bad { border-left-color: var(--bad); }
.sign { max-width: 32rem; margin: 12vh auto 0; }
footer { padding-top: .5rem; padding-bottom: 2.5rem; }
@media (max-width: 68rem) {
  .pair { grid-template-columns: 1fr; gap: 0; }
  .tiles { grid-template-columns: repeat(3, 1fr); }
  .tile.wide { grid-column: 1 / -1; }
}
@media (max-width: 46rem) {
  header, main, footer { padding-left: .875rem; padding-right: .875rem; }
  section { padding: 1rem .875rem; }
  .tiles { grid-template-columns: 1fr 1fr; gap: .625rem; }
  .tile { padding: .75rem .875rem; }
  .value { font-size: 1.375rem; }
}
@media (max-width: 24rem) {
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: .5rem; }
}
@media print { body { background: #fff; } .choice, nav, form { display: none; } }
"""


_CARDS = """
@media (max-width: WIDTH) {
  TABLE, TABLE tbody { display: block; }
  TABLE thead { display: block; }
  TABLE thead tr { display: flex; flex-wrap: wrap; gap: 0 .875rem; padding-bottom: .375rem; }
  TABLE thead th { padding: .1875rem 0; display: none; }
  TABLE thead th.sortable { display: block; }
  TABLE tbody tr {
    display: grid; grid-template-columns: repeat(auto-fill, minmax(5.5rem, 1fr));
    gap: .375rem .75rem; padding: .75rem 0;
  }
  TABLE tbody th { grid-column: 1 / -1; padding: 0; }
  TABLE tbody td, TABLE tbody td.n {
    padding: 0; text-align: left; min-width: 0; white-space: normal;
  }
  TABLE tbody td.whole, TABLE tbody td.text { grid-column: 1 / -1; }
  TABLE tbody td.none { display: none; }
  TABLE td[data-label]::before {
    content: attr(data-label); display: block; color: var(--muted); font-size: .75rem;
  }
}
"""
"""Rows as cards, where the screen is too narrow for the table."""


def _shorten(sheet: str) -> str:
    """Return the sheet without the white space that nobody reads in a browser."""
    return re.sub(r"\s*([{}:;,>])\s+|\s+(?=[{}])|\n\s*", r"\1", sheet).strip()


STYLE = _shorten(
    _SHEET
    + _CARDS.replace("TABLE", "table").replace("WIDTH", "46rem")
    + _CARDS.replace("TABLE", ".wide").replace("WIDTH", "64rem")
)

_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: no script, nothing from elsewhere, this style and no other."""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%232555c4'/%3E"
    "%3Cpath d='M4 12V8M8 12V4M12 12V6' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E"
)
