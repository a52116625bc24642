"""`longshot serve` as a context manager."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any

from longshot._commands import Path, _flags
from longshot._program import LongshotError, failure, start, stop


class Server:
    """A server of this process on the loopback. `url` works with any client of OpenAI's API: OpenAI(base_url=server.url + "/v1")."""

    def __init__(self, model: Path, **options: Any):
        self._log = tempfile.TemporaryFile("w+")
        self.process = start(["serve", "--model", model, *_flags({"port": 0, "served_model_name": "model", **options})],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log)
        assert self.process.stdout is not None
        try:
            line = self.process.stdout.readline()  # "serving NAME on URL", or nothing if the program ended
        except BaseException:  # Ctrl-C while the model is read; the program itself does not see it
            self.close()
            raise
        if " on http" not in line:
            code = self.process.wait()
            self._log.seek(0)
            raise failure(code, self._log.read())
        self.url = line.split(" on ")[-1].split()[0].rstrip("/")
        self._key = str(options.get("api_key") or os.environ.get("LONGSHOT_API_KEY") or "")

    def post(self, path: str, body: dict[str, Any], timeout: float = 600) -> dict[str, Any]:
        """Sends JSON to a route and returns the JSON of the answer."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self._key}"} if self._key else {})}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except urllib.error.HTTPError as error:
            raise LongshotError(f"{path}: status {error.code}: {error.read().decode(errors='replace')}", error.code) from None

    def chat(self, messages: str | list[dict[str, Any]], **parameters: Any) -> str:
        """The answer to a text or a list of messages."""
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        body = {"model": "model", "messages": messages, **parameters}
        return str(self.post("/v1/chat/completions", body)["choices"][0]["message"]["content"])

    def complete(self, prompt: str, **parameters: Any) -> str:
        """The continuation of a text, without the chat template."""
        return str(self.post("/v1/completions", {"model": "model", "prompt": prompt, **parameters})["choices"][0]["text"])

    def close(self) -> None:
        """Lets requests in flight end, and stops the server."""
        stop(self.process)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def serve(model: Path, **options: Any) -> Server:
    """Starts `longshot serve` and returns once it answers. `options` are its flags: dtype="bfloat16", max_concurrent=16."""
    return Server(model, **options)
