"""A headless Chromium that tests drive by the DevTools protocol, cut off from every network."""

import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from websocket import create_connection

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    # A page that asks for anything but files gets an error, which the test sees.
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-port=0", "--remote-allow-origins=*"),
)


class Browser:
    """One page. `errors`: what it logged as an error, threw, or could not load. `requests`: addresses it asked for."""

    def __init__(self, profile: Path, width: int = 1400, height: int = 900):
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._count = 0
        command = [EXECUTABLE, *OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = self._port(profile / "DevToolsActivePort")
            self._socket = create_connection(f"ws://127.0.0.1:{port}/devtools/page/{self._page(port)}", timeout=60)
        except BaseException:
            self._process.kill()
            raise
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._process.terminate()
        self._process.wait(timeout=30)

    def _port(self, file: Path) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            if file.exists() and "\n" in file.read_text():
                return file.read_text().splitlines()[0]
            time.sleep(0.1)
        raise RuntimeError(f"{EXECUTABLE} did not start")

    @staticmethod
    def _page(port: str) -> str:
        with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
            return next(target["id"] for target in json.load(answer) if target["type"] == "page")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the protocol; events that come before it are noted."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._count:
                assert "error" not in message, (method, message)
                return message["result"]
            self._note(message.get("method", ""), message.get("params", {}))

    def _note(self, event: str, found: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(found["exceptionDetails"])[:2000])
        elif event == "Runtime.consoleAPICalled" and found["type"] in ("error", "assert"):
            self.errors.append(json.dumps(found["args"])[:2000])
        elif event == "Log.entryAdded" and found["entry"]["level"] == "error":
            self.errors.append(json.dumps(found["entry"])[:2000])
        elif event == "Network.loadingFailed" and not found.get("canceled"):
            self.errors.append(json.dumps(found)[:2000])
        elif event == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"][:200])

    def open(self, path: Path) -> None:
        """Load a file and wait until it says that it is complete."""
        self.call("Page.navigate", url=path.as_uri())
        self.wait_for("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, (expression, answer)
        return answer["result"].get("value")

    def wait_for(self, condition: str, seconds: float = 60) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"the page never came to {condition}"
            time.sleep(0.1)

    def screenshot(self, path: Path) -> None:
        """Write what the page looks like as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def click(self, text: str, then: str = "") -> None:
        """Click the innermost element with exactly this `text`, or what the selector `then` finds in its table row."""
        target = f"element.closest('tr').querySelector({json.dumps(then)})" if then else "element"
        find = f"""[...document.querySelectorAll('#app *')].reverse()
            .find(each => each.textContent.trim() === {json.dumps(text)})"""
        self.wait_for(find)
        self.evaluate(f"(() => {{ const element = {find}; {target}.click(); }})()")


@pytest.fixture
def browser(tmp_path):
    """A browser with a page that is empty yet."""
    if EXECUTABLE is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with Browser(tmp_path / "profile") as opened:
        yield opened
