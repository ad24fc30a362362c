"""The frameworks whose routes have names; one that is added here is known everywhere."""

from collections.abc import Callable

from asgi_serial.timing.routes.base import FrameworkRoutes
from asgi_serial.timing.routes.litestar import LitestarRoutes
from asgi_serial.timing.routes.starlette import StarletteRoutes

Framework = Callable[[object], FrameworkRoutes]

FRAMEWORKS: tuple[Framework, ...] = (StarletteRoutes, LitestarRoutes)
"""In the order in which they are asked; an outer one of two that are mounted comes first."""
