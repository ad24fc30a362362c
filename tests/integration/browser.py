"""A real browser, without a window, driven by its DevTools protocol."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# For what does not come at all.
_WAIT_SECONDS = 120.0

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0"),
)

_KEYS = {"Tab": 9, "Enter": 13}


class Browser:
    """A running browser; every page is in a profile of its own."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self._pages: dict[str, Page] = {}

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The result of a command; events that come before it are given to their pages."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = self.receive()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])

    def receive(self) -> dict[str, Any]:
        """The next message; an event is noted by the page that it is of."""
        answer = dict(json.loads(self._connection.recv(timeout=_WAIT_SECONDS)))
        page = self._pages.get(answer.get("sessionId", ""))
        if page is not None and "method" in answer:
            page.events.append(answer)
        return answer

    @contextmanager
    def page(
        self, *, width: int = 1280, dark: bool = False, scripts: bool = True
    ) -> "Iterator[Page]":
        """A new page in a new profile."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        for domain in ("Page", "Log", "Runtime", "Network", "Accessibility"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        try:
            yield page
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)
            del self._pages[attached["sessionId"]]


class Page:
    """One page: what it shows, what it is called by screen readers, what went wrong in it."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command to this page."""
        return self._browser.call(method, self._session, **parameters)

    def open(self, url: str) -> None:
        """Go to a URL, and wait until it is loaded."""
        before = self._count("Page.loadEventFired")
        self.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired", before + 1)

    def act(self, script: str) -> None:
        """Run what loads another page, and wait until it is loaded."""
        before = self._count("Page.loadEventFired")
        self.evaluate(script)
        self.wait_for("Page.loadEventFired", before + 1)

    def wait_for(self, method: str, count: int) -> None:
        """Wait until so many of these events have come."""
        while self._count(method) < count:
            self._browser.receive()

    def _count(self, method: str) -> int:
        return sum(event["method"] == method for event in self.events)

    def evaluate(self, script: str) -> Any:
        """The value of an expression, which the browser itself evaluates, scripts or not."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key, and let it go."""
        code = _KEYS[key]
        text = {"text": "\r"} if key == "Enter" else {}
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def complaints(self) -> list[str]:
        """What the browser has complained about: refused content, failures, scripts, dialogs."""
        found = []
        for event in self.events:
            parameters = event["params"]
            if event["method"] == "Log.entryAdded":
                found.append(parameters["entry"]["text"])
            elif event["method"] in ("Runtime.exceptionThrown", "Page.javascriptDialogOpening"):
                found.append(str(parameters))
        return found

    def roles(self) -> list[tuple[str, str]]:
        """The roles and names of all that a screen reader tells."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def picture(self, path: Path) -> None:
        """Write what the page looks like, whole, to a file, for a person to look at."""
        import base64

        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser that ends with the block."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    assert program is not None, "No Chromium is installed; .ci/services installs it."
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port, path = _read_port(process, Path(folder, "DevToolsActivePort"))
            url = f"ws://127.0.0.1:{port}{path}"
            with connect(url, max_size=None, open_timeout=_WAIT_SECONDS, proxy=None) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _read_port(process: "subprocess.Popen[bytes]", file: Path) -> tuple[int, str]:
    """The port and path that the browser listens at, once it has written them."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) >= 2:
            return int(lines[0]), lines[1]
        time.sleep(0.02)
    raise RuntimeError(f"The browser does not listen; it ended with {process.poll()}.")
