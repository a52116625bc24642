"""A server that speaks like vLLM or SGLang, with the faults of such servers on demand. `longshot serve` computes behind it,
so that its log-probabilities are those of the weights that it has loaded."""
import http.server
import json
import socket
import struct
import threading

from cluster_support import free_port
from support import Server


class FakeServer:
    """Context manager. `faults` maps the name of a fault to how many requests still get it:
    busy (status 500), cut (the connection breaks within the answer), hang (no token ever), miscount (a token without a
    log-probability), abort (ends as aborted)."""

    def __init__(self, kind, model, chunk=3, raw_logprobs=False):
        self.kind, self.model, self.chunk, self.raw_logprobs = kind, model, chunk, raw_logprobs
        self.port = free_port()
        self.faults, self.frozen, self.updates, self.requests, self.lock = {}, False, [], 0, threading.Lock()
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        """The first start, or one after kill(): with the weights that the model had in the beginning."""
        self.ended, self.hangs = threading.Event(), threading.Event()
        self.engine = Server("--model", self.model, "--threads", 1, "--max-sequence", 96)
        self.http = Http(("127.0.0.1", self.port), Handler)
        self.http.fake = self
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def kill(self):
        """All connections break, nobody listens any more."""
        self.ended.set()
        self.http.shutdown()
        self.http.server_close()
        self.http.break_connections()
        self.engine.process.kill()
        self.engine.process.communicate()

    def takes(self, fault):
        """Whether a request gets this fault."""
        with self.lock:
            left = self.faults.get(fault, 0)
            self.faults[fault] = max(0, left - 1)
            return left > 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.ended.is_set():
            self.kill()


class Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # connections that wait to be accepted

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def process_request(self, request, address):
        self.connections.add(request)
        super().process_request(request, address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def break_connections(self):
        for connection in list(self.connections):
            try:
                reset(connection)
            except OSError:
                pass  # it has ended by itself

    def handle_error(self, *_):
        pass  # clients that leave are part of the tests


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RDWR)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer({}, 200 if self.path == "/health" else 404)

    def do_POST(self):
        fake = self.server.fake
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        routes = {"vllm": {"/v1/completions": self.completions, "/collective_rpc": self.reload,
                           "/reset_prefix_cache": lambda _: self.answer({"success": True})},
                  "sglang": {"/generate": self.generate, "/update_weights_from_disk": self.update}}[fake.kind]
        if self.path not in routes:
            return self.answer({"detail": "Not Found"}, 404)
        return routes[self.path](body)

    # Weights.

    def load(self, path):
        fake = self.server.fake
        fake.updates.append(path)
        if fake.frozen:
            return
        status, answer = fake.engine.call("/update_weights", {"path": path}, {"Content-Type": "application/json"})
        assert status == 200, answer

    def reload(self, body):
        assert body["method"] == "reload_weights"
        self.load(body["kwargs"]["weights_path"])
        self.answer({"results": [None]})

    def update(self, body):
        self.load(body["model_path"])
        self.answer({"success": True, "message": "Succeeded to update model weights.", "num_paused_requests": 0})

    # Generation.

    def completions(self, body):
        self.stream(body["prompt"], body["max_tokens"], body, body["seed"], self.vllm_event)

    def generate(self, body):
        sampling = body["sampling_params"]
        self.stream(body["input_ids"], sampling["max_new_tokens"], sampling, sampling["sampling_seed"], self.sglang_event)

    def vllm_event(self, tokens, logprobs, begin, finish):
        names = [f"token_id:{token}" for token in tokens[begin:]]
        choice = {"index": 0, "text": "", "finish_reason": finish, "stop_reason": None, "token_ids": tokens[begin:],
                  "logprobs": {"text_offset": [0] * len(names), "token_logprobs": logprobs[begin:], "tokens": names,
                               "top_logprobs": [{name: value} for name, value in zip(names, logprobs[begin:])]}}
        return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}

    def sglang_event(self, tokens, logprobs, begin, finish):
        reason = finish and {"type": finish, **({"length": len(tokens)} if finish == "length" else {})}
        meta = {"id": "1", "finish_reason": reason, "prompt_tokens": 1, "completion_tokens": len(tokens),
                "weight_version": "default",
                "output_token_logprobs": [[value, token, None] for value, token in zip(logprobs, tokens)]}
        return {"text": "", "output_ids": tokens, "meta_info": meta}

    def stream(self, prompt, length, sampling, seed, event):
        fake = self.server.fake
        with fake.lock:
            fake.requests += 1
        if fake.takes("busy"):
            return self.answer({"error": {"message": "out of memory", "type": "InternalServerError", "code": 500}}, 500)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if fake.takes("hang"):
            fake.hangs.set()
            fake.ended.wait(60)
            return None
        tokens, logprobs, finish = self.compute(prompt, length, sampling, seed)
        cut, miscount, abort = fake.takes("cut"), fake.takes("miscount"), fake.takes("abort")
        for begin in range(0, len(tokens), fake.chunk):
            end = min(len(tokens), begin + fake.chunk)
            last = end == len(tokens)
            values = logprobs[:end - 1] if miscount and last else logprobs[:end]
            self.send(event(tokens[:end], values, begin, ("abort" if abort else finish) if last else None))
            if cut:
                return reset(self.connection)
        self.send("[DONE]")
        return self.wfile.write(b"0\r\n\r\n")

    def send(self, event):
        data = f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def compute(self, prompt, length, sampling, seed):
        """Returns tokens, log-probabilities and the reason of the end."""
        fake = self.server.fake
        chosen = {name: sampling[name] for name in ("temperature", "top_p", "top_k", "min_p", "stop_token_ids", "ignore_eos")}
        request = {"input_ids": prompt, "return_logprob": True,
                   "sampling_params": {**chosen, "max_new_tokens": length, "seed": seed}}
        status, answer = fake.engine.call("/generate", request, {"Content-Type": "application/json"})
        assert status == 200, answer
        items = answer["meta_info"]["output_token_logprobs"]
        plain = chosen["temperature"] == 1 and chosen["top_p"] == 1 and chosen["top_k"] <= 0 and chosen["min_p"] == 0
        off = 1 if fake.raw_logprobs and not plain else 0  # any other values than those after the filters
        return ([token for _, token, _ in items], [value - off for value, _, _ in items],
                answer["meta_info"]["finish_reason"]["type"])
