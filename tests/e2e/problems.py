"""The problems of tests/problems as rows of `longshot make-tests`, and a service that answers with prepared generators."""
import collections
import http.server
import json
import pathlib
import threading
import time

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "problems"


class Source:
    """A file of tests/problems."""

    def __init__(self, name):
        self.name, self.statement, self.generator = name, "", ""
        self.right, self.wrong = [], []
        parts = (FOLDER / f"{name}.txt").read_text().split("=== ")[1:]
        for head, _, text in (part.partition("\n") for part in parts):
            kind, _, language = head.partition(" ")
            if kind in ("right", "wrong"):
                getattr(self, kind).append({"language": language, "code": text})
            else:
                setattr(self, kind, text.strip() if kind == "statement" else text)

    def row(self, wrong=0, name=None, **more):
        """Ten submissions, of which the last `wrong` are wrong. Another name also changes the statement."""
        statement = self.statement if name is None else f"{self.statement}\n\n({name})"
        submissions = self.right[:10 - wrong] + self.wrong[:wrong]
        return {"id": name or self.name, "statement": statement, "submissions": submissions, **more}


def fenced(generator):
    return f"The first cases are small.\n\n```python\n{generator}```\n\nIt prints, for example:\n\n```\n1 2\n```\n"


class FakeService:
    """OpenAI's chat completions on a free port. `answers` maps statements to lists of answers, which are given one after the
    other; the last one is repeated. A number is returned as a status instead."""

    def __init__(self, answers, delay=0):
        self.answers, self.delay = answers, delay
        self.asked, self.requests, self.keys = collections.Counter(), [], []
        self.lock = threading.Lock()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, text = service.answer(self.path, body, self.headers.get("Authorization"))
                data = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64  # all first requests of a run arrive at once

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def answer(self, path, body, key):
        time.sleep(self.delay)
        content = body["messages"][-1]["content"]
        found = [s for s in self.answers if f"\n\n{s}\n\nAnswer with" in content]
        assert path == "/v1/chat/completions" and len(found) == 1, (path, content[-300:])
        with self.lock:
            list_of = self.answers[found[0]]
            answer = list_of[min(self.asked[found[0]], len(list_of) - 1)]
            self.asked[found[0]] += 1
            self.requests.append(body)
            self.keys.append(key)
        return (answer, "") if isinstance(answer, int) else (200, answer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
