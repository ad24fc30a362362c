"""The app that is checked, with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asgi_serial.cli.apps import Layer
    from asgi_serial.cli.route_list import ListedRoute
    from asgi_serial.engine.engine import Engine
    from asgi_serial.settings.policy import Decoration


@dataclass
class Subject:
    """The app that is checked; the checks read it, and only `requests` calls the app."""

    spec: str
    app: Any
    engines: list[Engine]
    layers: list[Layer]
    routes: list[ListedRoute]
    decorations: list[Decoration]
    stores: list[object] = field(default_factory=list)
    """The second levels that the engines were given: URLs and objects."""
