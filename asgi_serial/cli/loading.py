"""Import the app that a command is about, as ASGI servers do: `module:app`."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from asgi_serial.cli.command import UsageError
from asgi_serial.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from types import ModuleType


class Loaded(NamedTuple):
    """An app, and the name by which the user gave it."""

    spec: str
    app: Any


def add_app_arguments(parser: ArgumentParser) -> None:
    """Add the arguments by which an app is found."""
    parser.add_argument("app", metavar="module:app", help="the app to import, such as main:app")
    add_loading_options(parser)


def add_loading_options(parser: ArgumentParser) -> None:
    """Add the options of how an app is imported."""
    parser.add_argument(
        "--app-dir",
        default=".",
        metavar="DIR",
        help="where to look for the module (the current directory)",
    )
    parser.add_argument(
        "--factory", action="store_true", help="the name is that of a function that makes the app"
    )


def load_app(arguments: Namespace) -> Loaded:
    """Import the app that the arguments name.

    Raises: UsageError, if there is no such app, or if its module fails; ConfigurationError, if the
    module builds the middleware with wrong settings.
    """
    spec: str = arguments.app
    module_name, attribute = _split(spec)
    folder = os.path.abspath(arguments.app_dir)
    if not os.path.isdir(folder):
        raise UsageError(f"--app-dir {arguments.app_dir!r} is not a directory.")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _import(module_name, folder)
    app: Any = module
    for name in attribute.split("."):
        try:
            app = getattr(app, name)
        except AttributeError:
            raise UsageError(_explain_missing(module, module_name, attribute)) from None
    return Loaded(spec, _make(app, spec) if arguments.factory else _check(app, spec))


def _split(spec: str) -> tuple[str, str]:
    module, colon, attribute = spec.partition(":")
    if module.endswith(".py") or "/" in module or "\\" in module:
        path = module.removesuffix(".py").replace("\\", "/")
        folder, _, name = path.rpartition("/")
        directory = f" --app-dir {folder}" if folder else ""
        raise UsageError(
            f"{spec!r} names a file; expected module:app, such as {name}:{attribute or 'app'}"
            f"{directory}."
        )
    if not colon or not module or not attribute:
        raise UsageError(
            f"{spec!r} is not the name of an app; expected module:app, such as "
            f"{module or 'main'}:app."
        )
    return module, attribute


def _import(name: str, folder: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ConfigurationError:
        raise
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise UsageError(
                f"{name} imports {missing!r}, which is not installed here "
                f"({sys.executable}).\n{_frames_of(error)}"
            ) from None
        modules = _modules_in(folder)
        near = difflib.get_close_matches(missing, modules, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"There is no module {missing!r} in {folder}, nor on the path.{hint} --app-dir names "
            "another directory."
        ) from None
    except Exception as error:
        raise UsageError(
            f"{name} cannot be imported: {_line_of(error)}\n{_frames_of(error)}"
        ) from None
    except SystemExit as error:
        raise UsageError(
            f"{name} exits when it is imported ({error.code}); does it start a server outside of "
            "`if __name__ == '__main__'`?"
        ) from None


def _modules_in(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [name.removesuffix(".py") for name in names if not name.startswith((".", "_"))]


def _line_of(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _frames_of(error: BaseException) -> str:
    """Return the part of a traceback below the import machinery, the last few frames of it."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return "".join(traceback.format_list(frames[-3:])).rstrip()


def _explain_missing(module: ModuleType, name: str, attribute: str) -> str:
    apps = [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and not inspect.isclass(value) and _looks_like_app(value)
    ]
    known = [key for key in vars(module) if not key.startswith("_")]
    near = apps or difflib.get_close_matches(attribute, known, n=3)
    hint = f" It has {', '.join(near)}." if near else ""
    return f"{name} has no {attribute!r}.{hint}"


def _looks_like_app(value: object) -> bool:
    """Whether a value can be called as an ASGI app, with three arguments."""
    if not callable(value):
        return False
    call = value if inspect.isroutine(value) else type(value).__call__
    if not inspect.iscoroutinefunction(inspect.unwrap(call)):
        return False
    try:
        inspect.signature(value).bind({}, None, None)
    except (TypeError, ValueError):
        return False
    return True


def _make(factory: Any, spec: str) -> Any:
    if not callable(factory):
        raise UsageError(
            f"{spec} is {_kind(factory)}; expected a function, or leave --factory out."
        )
    try:
        inspect.signature(factory).bind()
    except TypeError:
        raise UsageError(
            f"{spec} takes arguments; expected a function without any that makes the app."
        ) from None
    except ValueError:
        pass
    try:
        app = factory()
    except ConfigurationError:
        raise
    except Exception as error:
        raise UsageError(f"{spec}() has failed: {_line_of(error)}\n{_frames_of(error)}") from None
    if inspect.iscoroutine(app):
        app.close()
        raise UsageError(f"{spec} is a coroutine function; expected a plain one.")
    return _check(app, f"{spec}()")


def _check(app: Any, spec: str) -> Any:
    if not callable(app):
        raise UsageError(f"{spec} is {_kind(app)}; expected an ASGI app.")
    if inspect.isroutine(app) and not inspect.ismethod(app):
        try:
            inspect.signature(app).bind({}, None, None)
        except TypeError:
            raise UsageError(
                f"{spec} is a function that is no ASGI app; is it one that makes the app? Then use "
                "--factory."
            ) from None
        except ValueError:
            pass
    return app


def _kind(value: object) -> str:
    return f"of the type {type(value).__qualname__}"
