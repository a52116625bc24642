"""A server of OpenAI's API that misbehaves as it is told, for the tests of `longshot sample`."""
import http.server
import json
import threading
import time


def completion(text, finish="stop", tokens=3, **message):
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text, **message},
                         "finish_reason": finish}], "usage": {"completion_tokens": tokens}}


class Completions:
    """`reply(body, number)` gets a request and how many came before it. It returns a dict (a reply), bytes (sent as they
    are), (status, text), or None: the connection is closed in the middle of a reply."""

    def __init__(self, reply):
        self.requests, self.lock = [], threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    number = len(outer.requests)
                    outer.requests.append({**body, "path": self.path})
                self.answer(reply(body, number))

            def answer(self, result):
                status = 200
                if isinstance(result, tuple):
                    status, result = result
                cut = result is None
                if cut:
                    result = completion("a text that is cut")
                data = json.dumps(result) if isinstance(result, dict) else result
                data = data.encode() if isinstance(data, str) else data
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[:len(data) // 2] if cut else data)
                self.close_connection = cut

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def slow(seconds, result):
    time.sleep(seconds)
    return result
