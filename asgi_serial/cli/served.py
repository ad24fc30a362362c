"""The app that `serve` serves, made in each of uvicorn's processes."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from asgi_serial.cli.apps import find_engines
from asgi_serial.cli.loading import load_app
from asgi_serial.middleware import SerialMiddleware

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "ASGISERIAL_SERVED"
"""The variable that tells uvicorn's processes which app to make; no setting begins like this."""


def describe(app: str, app_dir: str, settings: Mapping[str, str], *, factory: bool) -> str:
    """Return the value of `VARIABLE` for an app."""
    return json.dumps(
        {"app": app, "app_dir": app_dir, "factory": factory, "settings": dict(settings)}
    )


def make_app() -> Any:
    """Return the app, with the middleware around it if it has none yet."""
    described = json.loads(os.environ[VARIABLE])
    settings = described.pop("settings")
    app = load_app(Namespace(**described)).app
    if find_engines(app):
        return app
    return SerialMiddleware(app, **settings)
