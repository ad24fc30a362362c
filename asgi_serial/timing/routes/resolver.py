"""The label of a request's route, for any framework."""

from collections.abc import Callable, Sequence

from asgi_serial.timing.failures import Failures
from asgi_serial.timing.routes.apps import layers_of
from asgi_serial.timing.routes.base import (
    APP,
    LONGEST_LABEL,
    MOUNTED,
    UNMATCHED,
    FrameworkRoutes,
    MountedApp,
    RouteResolver,
    RouteTable,
)
from asgi_serial.timing.routes.registry import FRAMEWORKS, TABLES, Framework, TableOpener
from asgi_serial.types import Scope

# How deep mounts in mounts are followed, and how many mounted apps are remembered.
_MAX_DEPTH = 8
_MAX_MOUNTED = 256


class LabelResolver:
    """The label of the route that served a request; never raises, and is never empty.

    `failures` counts the callbacks and frameworks that failed to name one.
    """

    __slots__ = (
        "_callback",
        "_failures",
        "_frameworks",
        "_mounted",
        "_openers",
        "_table",
        "label",
    )

    def __init__(
        self,
        callback: RouteResolver | None,
        app: object,
        frameworks: Sequence[Framework],
        tables: Sequence[TableOpener],
    ) -> None:
        self._callback = callback
        self._openers = tables
        # By `id`, with the app, which keeps the `id` from being reused.
        self._mounted: dict[int, tuple[object, RouteTable | None]] = {}
        # Fails the same way for each request of a route: one line in the log says all.
        self._failures = Failures(
            "The resolver of routes",
            "requests are counted without a route",
            quiet_seconds=float("inf"),
        )
        try:
            self._table = self._open(app)
            made = [framework(app) for framework in frameworks]
        except Exception as error:  # an app whose attributes raise
            self._failures.note(error)
            self._table = None
            made = [framework(None) for framework in frameworks]
        self._frameworks: list[FrameworkRoutes] = made
        self.label: Callable[[Scope], str] = self._resolve
        """Labels a request. To call it costs a third of calling the resolver itself."""
        if callback is None and self._table is None:
            for framework in reversed(self._frameworks):
                self.label = framework.shortcut(self.label, self._marks_beside(framework))
            if not any(one.has_routes for one in self._frameworks):
                self.label = _unless_untouched(self.label, [APP, *self._marks_beside(None)])

    @property
    def failures(self) -> int:
        """How often a callback or a framework failed to name a route."""
        return self._failures.count

    def __call__(self, scope: Scope) -> str:
        """Return the label of the route; `(unmatched)` if no route took the request."""
        return self.label(scope)

    def is_unrouted(self, scope: Scope) -> bool:
        """Whether it is certain before the app is called that none of its routes takes this."""
        try:
            # A loop takes half the time of any() with a generator.
            for framework in self._frameworks:
                if framework.is_unrouted(scope):
                    return True
        except Exception as error:  # a failing resolver never breaks a request
            self._failures.note(error)
        return False

    def reads_json(self, scope: Scope) -> bool:
        """Whether it is certain before the app is called that it reads this request as JSON."""
        try:
            for framework in self._frameworks:
                if framework.reads_json(scope):
                    return True
        except Exception:
            # A 404 or a 405 of Litestar's, or a framework of another shape.
            pass
        return False

    def _marks_beside(self, one: FrameworkRoutes | None) -> list[str]:
        """Return the marks of all frameworks but one."""
        marks = {mark for other in self._frameworks if other is not one for mark in other.marks}
        return sorted(marks)

    def _resolve(self, scope: Scope) -> str:
        try:
            if self._callback is not None:
                label = self._ask(self._callback, scope)
                if label:
                    return label
            return self._search(scope)
        except Exception as error:  # a failing resolver never breaks a request
            self._failures.note(error)
            return UNMATCHED

    def _ask(self, callback: RouteResolver, scope: Scope) -> str | None:
        try:
            label = callback(scope)
            if label is not None and not isinstance(label, str):
                raise TypeError(f"{label!r} is not the name of a route; expected text or None")
        except Exception as error:
            self._failures.note(error)
            return None
        # It may be the path that the client has sent, and stays with what is stored.
        return label and label[:LONGEST_LABEL]

    def _search(self, scope: Scope) -> str:
        """Ask the frameworks that took part first, and then those that know the app's routes."""
        others = []
        labels = []
        for framework in self._frameworks:
            if not any(mark in scope for mark in framework.marks):
                others.append(framework)
            elif label := self._look_up(framework, scope):
                labels.append(label)
        if self._table is not None:
            label = self._look_up(self._table, scope)
            # An app that is mounted in another is found through that, too, with the whole label.
            if label and not any(one.endswith(label) for one in labels):
                labels.insert(0, label)
        if not labels:
            found = filter(None, (self._look_up(framework, scope) for framework in others))
            labels = [next(found, UNMATCHED)]
        return _join(labels)[:LONGEST_LABEL]

    def _look_up(
        self, routes: FrameworkRoutes | RouteTable, scope: Scope, depth: int = _MAX_DEPTH
    ) -> str | None:
        try:
            found = routes.find(scope)
        except ValueError:
            return None  # the client's fault: text that cannot be decoded, or a number read
        return self._descend(found, scope, depth) if isinstance(found, MountedApp) else found

    def _descend(self, mounted: MountedApp, scope: Scope, depth: int) -> str:
        """Return the label of a request to a mounted app: that of the mount, if it has no other."""
        table = self._table_of(mounted.app) if depth else None
        if table is None:
            return mounted.prefix + MOUNTED
        if mounted.root_path is not None:
            scope = {**scope, "root_path": mounted.root_path}
        inner = self._look_up(table, scope, depth - 1)
        if inner is None:
            return mounted.prefix + MOUNTED
        return inner if table.is_whole else mounted.prefix + inner

    def _table_of(self, app: object) -> RouteTable | None:
        known = self._mounted.get(id(app))
        if known is None:
            if len(self._mounted) >= _MAX_MOUNTED:
                self._mounted.clear()
            known = self._mounted[id(app)] = app, self._open(app)
        return known[1]

    def _open(self, app: object) -> RouteTable | None:
        """Return the table of the first app, from the outside in, that has one."""
        opened = (opener(layer) for layer in layers_of(app) for opener in self._openers)
        return next((table for table in opened if table is not None), None)


def _unless_untouched(
    resolve: Callable[[Scope], str], keys: Sequence[str]
) -> Callable[[Scope], str]:
    """Return `resolve` for an app without routes: a framework inside it would leave a key."""
    # Three by name: a loop over them takes twice as many instructions, `isdisjoint` even more.
    first, second, third, *more = (*keys, *("",) * max(0, 3 - len(keys)))

    def label(scope: Scope) -> str:
        if first in scope or second in scope or third in scope:
            return resolve(scope)
        return resolve(scope) if more and any(key in scope for key in more) else UNMATCHED

    return label


def _join(labels: list[str]) -> str:
    """Return the label of a route that is found through several frameworks, one in another.

    The outer one names only the place where the inner one is mounted.
    """
    labels.sort(key=lambda label: not label.endswith(MOUNTED))
    *outer, inner = labels
    return "".join(label.removesuffix(MOUNTED) for label in outer) + inner


def build_resolver(
    callback: RouteResolver | None = None,
    *,
    app: object = None,
    frameworks: Sequence[Framework] = FRAMEWORKS,
    tables: Sequence[TableOpener] = TABLES,
) -> LabelResolver:
    """Return the labels of the requests of `app`: the callback's first, then the frameworks'.

    A callback may return None, or fail, for requests it does not know. `app` is the one that the
    middleware wraps; its routes are matched if the scope holds no choice, as for an answer that
    came from the cache.
    """
    return LabelResolver(callback, app, frameworks, tables)
