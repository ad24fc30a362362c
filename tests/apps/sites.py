"""The app of each framework's site, as one that a command can name."""

from importlib import import_module

FRAMEWORKS = (
    *("starlette", "fastapi", "litestar", "quart", "django"),
    *("falcon", "blacksheep", "sanic", "plain"),
)


def __getattr__(name):
    if name not in FRAMEWORKS:
        raise AttributeError(name)
    made = import_module(f"tests.sites.{name}_site").make(report_path="/-/report")
    return made[-1]
