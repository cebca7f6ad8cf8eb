"""Chromium without a window, spoken to over a pair of pipes (--remote-debugging-pipe): needs Debian's package and nothing else."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

PATIENCE = 90  # seconds: what a machine with much else to do may take for anything that a page is waited for


def executable() -> str | None:
    return shutil.which("chromium")


class Page:
    """One tab. `complaints` are whatever the console would show: errors, warnings, violations of the page's policy."""

    def __init__(self, deadline: float = 300):
        self.deadline = time.monotonic() + deadline
        self.complaints = []
        self.requests = []
        self.profile = tempfile.mkdtemp(prefix="pgairlock-chromium-")
        self.buffer = b""
        self.next_id = 0
        self.session = None
        self.credentials = None
        ours, theirs = os.pipe(), os.pipe()
        self.to, self.answers = ours[1], theirs[0]
        # The protocol is spoken on descriptors 3 and 4.
        command = ["bash", "-c", f'exec "$@" 3<&{ours[0]} 4>&{theirs[1]}', "bash", executable(), "--headless", "--no-sandbox", "--disable-gpu",
                   "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={self.profile}", "--remote-debugging-pipe", "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(ours[0], theirs[1]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env={**os.environ, "HOME": self.profile})
        os.close(ours[0])
        os.close(theirs[1])
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def open(self, where: Path | str) -> "Page":
        """A file, or a URL."""
        self.loaded = False
        self.call("Page.navigate", url=where if isinstance(where, str) else where.as_uri())
        while not self.loaded:
            self._receive()
        return self

    def log_in(self, username: str, password: str) -> None:
        """What to answer where a server asks for a name and a password."""
        self.credentials = {"response": "ProvideCredentials", "username": username, "password": password}
        self.call("Fetch.enable", handleAuthRequests=True)

    def cancel_log_in(self) -> None:
        """The reader who is asked closes the browser's dialogue."""
        self.credentials = {"response": "CancelAuth"}

    def log_out(self) -> None:
        self.credentials = None
        self.call("Fetch.disable")

    def evaluate(self, expression: str):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str, *, timeout: float = PATIENCE) -> None:
        """Waits for an expression to become true."""
        end = time.monotonic() + timeout
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, f"{expression}: not within {timeout} s; the page says:\n{self.evaluate('document.body.innerText')}"
            time.sleep(0.02)

    def viewport(self, width: int, height: int = 900) -> None:
        """Scroll bars take no room, as on a phone."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setScrollbarsHidden", hidden=True)

    def scheme(self, name: str) -> None:
        """"light" or "dark", as the reader's system would have it."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def press(self, key: str, *, shift: bool = False) -> None:
        """A key by its name ("Tab", "Enter", "ArrowDown") or the character that it writes."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowUp": 38, "ArrowDown": 40}
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        event = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key.upper()) if len(key) == 1 else 0), "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **event, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def write(self, text: str) -> None:
        for character in text:
            self.press(character)

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the element."""
        x, y = self.evaluate(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}}); "
                             "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def accessible(self) -> list[dict]:
        """What a screen reader is told, in order: role, name, and the properties that are set."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [{"role": node["role"]["value"], "name": node.get("name", {}).get("value", "")}
                | {p["name"]: p["value"].get("value") for p in node.get("properties", [])} for node in nodes if not node["ignored"]]

    def screenshot(self, path: Path, *, height: int | None = None) -> None:
        """All of the page, or as much as `height` allows."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height or size["height"]), "scale": 1}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]))

    def _send(self, method: str, **params) -> dict:
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        return message

    def call(self, method: str, **params):
        message = self._send(method, **params)
        while True:
            answer = self._receive()
            if answer.get("id") == message["id"]:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _receive(self) -> dict:
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.answers], [], [], max(0, self.deadline - time.monotonic()))
            assert ready, "chromium does not answer"
            data = os.read(self.answers, 1 << 16)
            assert data, "chromium has ended"
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(line)
        match message.get("method"):
            case "Page.loadEventFired":
                self.loaded = True
            case "Runtime.exceptionThrown" | "Log.entryAdded":
                self.complaints.append(message["params"])
            case "Runtime.consoleAPICalled":
                self.complaints.append(message["params"]["args"])
            case "Fetch.authRequired":
                self._send("Fetch.continueWithAuth", requestId=message["params"]["requestId"], authChallengeResponse=self.credentials)
            case "Fetch.requestPaused":
                self._send("Fetch.continueRequest", requestId=message["params"]["requestId"])
            case "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        return message

    def close(self) -> None:
        os.close(self.to)
        os.close(self.answers)
        try:
            self.process.wait(timeout=60)  # it ends with its pipe
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
