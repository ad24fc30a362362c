"""The frameworks whose routes have names; one that is added here is known everywhere."""

from collections.abc import Callable

from asgi_serial.timing.routes.base import FrameworkRoutes, RouteTable
from asgi_serial.timing.routes.blacksheep import open_blacksheep
from asgi_serial.timing.routes.django import open_django
from asgi_serial.timing.routes.falcon import open_falcon
from asgi_serial.timing.routes.litestar import LitestarRoutes
from asgi_serial.timing.routes.quart import open_quart
from asgi_serial.timing.routes.sanic import open_sanic
from asgi_serial.timing.routes.starlette import StarletteRoutes

Framework = Callable[[object], FrameworkRoutes]
TableOpener = Callable[[object], RouteTable | None]

FRAMEWORKS: tuple[Framework, ...] = (StarletteRoutes, LitestarRoutes)
"""Frameworks that leave their choice in the scope, in the order in which they are asked.

An outer one of two that are mounted comes first.
"""

TABLES: tuple[TableOpener, ...] = (
    open_quart,
    open_django,
    open_falcon,
    open_blacksheep,
    open_sanic,
)
"""Frameworks that do not, and whose routers are asked again."""
