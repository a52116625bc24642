"""`longshot report --serve`: the page follows a run, in a browser too, and keeps what its reader has chosen."""
import contextlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest

from support import LONGSHOT, longshot

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    add(folder, 1, 2)
    return folder


def add(folder, *steps):
    with (folder / "metrics.jsonl").open("a") as file:
        for step in steps:
            file.write(json.dumps({"step": step, "critic/rewards/mean": step / 10}) + "\n")


@contextlib.contextmanager
def served(*arguments):
    process = subprocess.Popen([LONGSHOT, "report", *map(str, arguments), "--serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        yield process, re.search(r"http://\S+\d", process.stdout.readline()).group()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0


def data_of(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', answer.read().decode(), re.S).group(1))


def test_an_event_tells_of_new_rows_and_the_page_has_them(run):
    with served(run) as (_, url):
        shown = data_of(url)
        assert shown["runs"][0]["steps"] == [1, 2]
        with urllib.request.urlopen(f"{url}/events?version={shown['version']}", timeout=30) as events:
            assert events.headers["Content-Type"] == "text/event-stream"
            assert events.readline() == b":\n"
            add(run, 3)
            lines = [line for line in iter(events.readline, b"") if line.startswith(b"data: ")]
        now = data_of(url)
        assert lines == [f"data: {now['version']}\n".encode()] and now["version"] != shown["version"]
        assert now["runs"][0]["steps"] == [1, 2, 3]


class Browser:
    """A page in headless Chromium, driven over the pipe of its DevTools protocol: JSON messages that end with a zero byte."""

    def __init__(self, profile, url):
        there, self.out = os.pipe()
        self.back, back = os.pipe()
        command = shlex.join([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
                              f"--user-data-dir={profile}", "about:blank"])
        self.process = subprocess.Popen(["bash", "-c", f"exec {command} 3<&{there} 4>&{back}"], pass_fds=(there, back),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there)
        os.close(back)
        self.sent, self.received, self.session = 0, b"", {}
        target = self.call("Target.createTarget", url=url)["targetId"]
        self.session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}

    def call(self, method, **params):
        self.sent += 1
        os.write(self.out, json.dumps({"id": self.sent, "method": method, "params": params, **self.session}).encode() + b"\0")
        while True:
            while b"\0" not in self.received:
                assert select.select([self.back], [], [], 60)[0], f"no answer to {method}"
                self.received += os.read(self.back, 1 << 20)
            text, self.received = self.received.split(b"\0", 1)
            message = json.loads(text)
            if message.get("id") == self.sent:
                return message["result"]

    def value(self, script):
        return self.call("Runtime.evaluate", expression=script).get("result", {}).get("value")

    def wait(self, script, seconds=30):
        deadline = time.time() + seconds
        while self.value(script) is not True:
            assert time.time() < deadline, f"{script}: {self.value('document.body.innerText')}"
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(30)
        os.close(self.out)
        os.close(self.back)


def shows(iterations):
    return f"document.getElementById('subtitle')?.textContent.startsWith('1 run, {iterations} iterations') ?? false"


def test_a_browser_shows_new_rows_by_itself_and_keeps_the_readers_choices(run, tmp_path):
    assert BROWSER is not None, "no chromium: tools/setup --tests installs it"
    with served(run) as (_, url), Browser(tmp_path / "profile", url) as page:
        page.wait(shows(2))
        page.wait("document.getElementById('live').textContent === 'live'")
        page.value("""document.getElementById('smoothing').value = 0.9;
                      document.getElementById('smoothing').dispatchEvent(new Event('input'));
                      document.querySelector('.chip').click()""")
        add(run, 3, 4)
        page.wait(shows(4))
        page.wait("document.getElementById('smoothing').value === '0.9' && view.smoothing === 0.9")
        assert page.value("document.querySelector('.chip').getAttribute('aria-pressed')") == "false"
        # A reader who is in the middle of something is asked.
        page.value("""const search = document.createElement('input'); search.type = 'search'; search.value = 'x';
                      document.body.append(search)""")
        page.wait("document.getElementById('live').textContent === 'live'")
        add(run, 5)
        page.wait("document.querySelector('#live button') !== null")
        assert page.value(shows(4)) is True
        page.value("document.querySelector('#live button').click()")
        page.wait(shows(5))


def test_it_ends_with_readers_connected(run):
    with served(run) as (process, url):
        with urllib.request.urlopen(f"{url}/events?version={data_of(url)['version']}", timeout=30) as events:
            events.readline()
            started = time.time()
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 0, time.time() - started


def test_what_cannot_work_is_refused(run, tmp_path):
    assert "--output" in longshot("report", run, "--serve", "--output", "x.html", code=2).stderr
    assert "--serve" in longshot("report", run, "--port", "0", code=2).stderr
    assert "nowhere" in longshot("report", tmp_path / "nowhere", "--serve", code=2).stderr
