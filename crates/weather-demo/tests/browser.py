#!/usr/bin/env python3
"""browser.py PROGRAM [FOLDER]: `weather-demo web` and its page, in a real browser.

PROGRAM is weather-demo. The page must load, receive, filter, bear a server that is killed and comes back, and fit
a telephone; a screen reader must find its way. With FOLDER, a picture of it, dark and light, is written there.

The browser is Chromium ($CHROMIUM, or `chromium`), without a window, told what to do over a pipe by the DevTools
protocol: it takes Python's standard library and nothing else.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

DEADLINE = 60
RATE = 20_000


class Browser:
    """Chromium, and a pipe to it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        (theirs, self.ours), (self.input, output) = os.pipe(), os.pipe()
        self.process = subprocess.Popen(
            [
                os.environ.get("CHROMIUM", "chromium"),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                f"--user-data-dir={self.folder}",
                "--remote-debugging-pipe",
                "about:blank",
            ],
            # The protocol's descriptors: commands come on 3, and go on 4.
            preexec_fn=lambda: connect(theirs, output),
            pass_fds=(3, 4),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(output)
        self.number, self.answers, self.events = 0, {}, []
        self.came = threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        rest = b""
        while octets := os.read(self.input, 1 << 20):
            *messages, rest = (rest + octets).split(b"\0")
            with self.came:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self.answers[message["id"]] = message
                    else:
                        self.events.append(message)
                self.came.notify_all()

    def call(self, method, session=None, **parameters):
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.ours, json.dumps(message).encode() + b"\0")
        with self.came:
            assert self.came.wait_for(lambda: number in self.answers, DEADLINE), method
            answer = self.answers.pop(number)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def connect(commands, answers):
    """Puts two descriptors in the places 3 and 4, wherever they are."""
    commands, answers = os.dup(commands), os.dup(answers)
    while min(commands, answers) < 5:
        commands, answers = os.dup(commands), os.dup(answers)
    os.dup2(commands, 3)
    os.dup2(answers, 4)


class Page:
    """One page of it."""

    def __init__(self, browser, url):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")
        self.resize(1280, 800)
        self.call("Page.navigate", url=url)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def resize(self, width, height, scale=1):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=width < 500,
        )

    def look(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def number(self, chart):
        return int(self.look(f"document.querySelector('#{chart} output').textContent").replace(",", ""))

    def state(self):
        return self.look("document.body?.dataset.state")

    def places(self):
        return int(self.look("document.getElementById('places').textContent").replace(",", ""))

    def choose(self, prefix):
        """Types it."""
        self.look("document.getElementById('prefix').focus(), document.getElementById('prefix').select()")
        self.call("Input.insertText", text=prefix)

    def complaints(self):
        """The errors in the console and in the browser's log, without those of a server that was away."""
        said = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                said.append(parameters["exceptionDetails"])
            elif event["method"] == "Log.entryAdded" and "ERR_CONNECTION" not in parameters["entry"]["text"]:
                said.append(parameters["entry"])
        return said

    def picture(self, theme, form="png", **more):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        # So that what is drawn by hand is drawn again.
        self.look("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return base64.b64decode(self.call("Page.captureScreenshot", format=form, **more)["data"])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """weather-demo web."""

    def __init__(self, program, page, feed):
        self.process = subprocess.Popen(
            [
                program, "web", "--page", f"127.0.0.1:{page}", "--feed", f"ws://127.0.0.1:{feed}/weather",
                "--rate", str(RATE),
            ],
            stderr=subprocess.PIPE, text=True,
        )
        while "the page: " not in (line := self.process.stderr.readline()):
            assert line, "the server has ended"

    def kill(self):
        self.process.kill()
        self.process.wait()


def eventually(what, condition, seconds=DEADLINE):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"in {seconds} s it did not come to this: {what}"
        time.sleep(0.1)
    print(f"ok: {what}")


def pixels(png):
    """The width and the colours of a picture, row by row."""
    at, data, width, size = 8, b"", 0, 3
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, _height, depth, colour = struct.unpack_from(">IIBB", body)
            assert depth == 8 and colour in (2, 6)
            size = 3 if colour == 2 else 4
        elif kind == b"IDAT":
            data += body
        at += length + 12
    raw, stride = zlib.decompress(data), width * size
    before, rows = bytearray(stride), []
    for start in range(0, len(raw), stride + 1):
        row = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), before, size)
        rows.append([tuple(row[at : at + 3]) for at in range(0, stride, size)])
        before = row
    return rows


def unfiltered(kind, row, above, size):
    for at in range(len(row)):
        left = row[at - size] if at >= size else 0
        corner = above[at - size] if at >= size else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = above[at]
        elif kind == 3:
            guess = (left + above[at]) // 2
        elif kind == 4:
            guess = min(
                (left, above[at], corner), key=lambda near: abs(left + above[at] - corner - near)
            )
        else:
            guess = 0
        row[at] = (row[at] + guess) & 255
    return row


def luminance(colour):
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def check_contrast(page, theme):
    """WCAG's 4.5 to 1 for text, on either ground."""
    read = "(name => getComputedStyle(document.documentElement).getPropertyValue(name).trim())"
    colour = {
        name: tuple(bytes.fromhex(page.look(f"{read}('--{name}')").lstrip("#")))
        for name in ("ink", "quiet", "accent", "ground", "panel")
    }
    for text in ("ink", "quiet", "accent"):
        for ground in ("ground", "panel"):
            ratio = contrast(colour[text], colour[ground])
            assert ratio >= 4.5, f"{theme}: {text} on {ground} has {ratio:.1f}"
    print(f"ok: contrast, {theme}")


def check_picture(page, theme):
    page.resize(640, 480)
    rows = pixels(page.picture(theme))
    left, top, width, height = page.look(
        "(box => [box.left, box.top, box.width, box.height].map(Math.round))"
        "(document.getElementById('field').getBoundingClientRect())"
    )
    field = {colour for row in rows[top : top + height] for colour in row[left : left + width]}
    assert len(field) > 3000, f"the field has {len(field)} colours"
    corner = luminance(rows[4][4])
    assert corner < 0.05 if theme == "dark" else corner > 0.7, f"{theme}: {rows[4][4]}"
    print(f"ok: the picture, {theme}: {len(field)} colours")
    check_contrast(page, theme)


def check_tree(page):
    """Checks the roles and names that a screen reader finds."""
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    found = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]}
    roles = {role for role, _ in found}
    assert ("textbox", "Subscribe to zipcodes that begin with") in found, found
    assert {"main", "banner", "heading", "button", "status"} <= roles, roles
    assert not [role for role, name in found if role in ("button", "textbox", "image", "link") and not name], found
    print("ok: a screen reader finds names for everything")


def check(program, folder):
    page_port, feed_port = free_port(), free_port()
    server = Server(program, page_port, feed_port)
    url = f"http://127.0.0.1:{page_port}/"
    browser = Browser()
    try:
        page = Page(browser, url)
        eventually("the page is live", lambda: page.state() == "live")
        eventually("all places fill", lambda: page.places() > 99_000)
        eventually("everything arrives", lambda: RATE / 2 < page.number("arriving") < RATE * 2)
        assert RATE / 2 < page.number("published") < RATE * 2
        if folder:
            time.sleep(20)  # For charts with something in them.
            take_pictures(page, folder)
        for theme in ("dark", "light"):
            check_picture(page, theme)
        check_tree(page)

        page.choose("33")
        eventually("a hundredth arrives", lambda: 0 < page.number("arriving") < RATE / 20)
        assert page.number("published") > RATE / 2, "the publisher goes on"
        heard = page.look(
            "import('/zmq.js').then(({ Subscriber }) => new Promise(done => {"
            "  const heard = [];"
            "  const feed = `ws://${location.hostname}` + document.querySelector('meta[name=feed]').content;"
            "  const text = body => new TextDecoder().decode(body);"
            "  const here = new Subscriber(feed, ([body]) => heard.push(text(body)), () => {});"
            "  here.subscribe('902'); setTimeout(() => done(heard), 3000);"
            "}))"
        )
        assert len(heard) > 20 and all(text.startswith("902") for text in heard), heard[:5]
        print("ok: what was subscribed to, and nothing else")

        other = Page(browser, url)
        eventually("another page is live", lambda: other.state() == "live")
        eventually("the publisher counts both", lambda: page.number("subscribers") >= 2)
        eventually("each has its own", lambda: other.number("arriving") > RATE / 2)
        assert page.number("arriving") < RATE / 20

        server.kill()
        eventually("the page says so", lambda: page.state() == "away")
        eventually("nothing arrives", lambda: page.number("arriving") == 0)
        server = Server(program, page_port, feed_port)
        eventually("the page comes back", lambda: page.state() == "live")
        eventually("with its subscription", lambda: 0 < page.number("arriving") < RATE / 20)

        page.resize(360, 740, 2)
        wide = page.look("document.documentElement.scrollWidth")
        assert wide <= 360, f"a telephone of 360 has to scroll {wide}"
        print("ok: it fits a telephone")
        assert not page.complaints(), page.complaints()
    finally:
        browser.close()
        server.kill()


def take_pictures(page, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page.resize(1280, 950, 1.5)
    for theme in ("dark", "light"):
        picture = page.picture(theme, "webp", quality=82)
        (folder / f"weather-{theme}.webp").write_bytes(picture)
        print(f"written: weather-{theme}.webp, {len(picture) // 1024} KiB")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        check(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
