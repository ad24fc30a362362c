"""List the formats of an app's routes in its OpenAPI document."""

from __future__ import annotations

from asgi_serial.errors import ConfigurationError
from asgi_serial.openapi.fastapi import extend_fastapi
from asgi_serial.openapi.litestar import extend_litestar
from asgi_serial.timing.routes.apps import is_instance, layers_of


def openapi_formats(app: object) -> None:
    """List the formats that each route gives and takes in the OpenAPI document of an app.

    `app` is an app of FastAPI or Litestar, or middleware around one. In FastAPI it may have no
    routes yet; in Litestar its routes are those that it has now. A function that replaces
    `app.openapi` in FastAPI is set before this call. Calling it again changes nothing.

    Raises: ConfigurationError for any other app.
    """
    for layer in layers_of(app):
        if is_instance(layer, "fastapi.applications", "FastAPI"):
            return extend_fastapi(layer)
        if is_instance(layer, "litestar.app", "Litestar"):
            return extend_litestar(layer)
    raise ConfigurationError(
        f"openapi_formats was given {app!r}; expected an app of FastAPI or Litestar, which have "
        "an OpenAPI document."
    )
