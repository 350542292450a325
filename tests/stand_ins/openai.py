"""A server that speaks OpenAI's Chat Completions as its script says, over real HTTP, and keeps a journal.

In a test's own process:

    with OpenAIServer() as server:
        server.script({"text": "Hello!"}, {"status": 429, "headers": {"Retry-After": "7"}})
        ...  # OPENAI_BASE_URL=server.base_url
        assert server.journal[0]["body"]["messages"][-1]["content"] == "Hi"

As a process: `python -m tests.stand_ins.openai --port 0` prints its base URL, and is steered and read over HTTP:
`POST /script` takes a list of steps, `GET /journal` gives `{"requests": [...], "in_flight": 0, "max_in_flight": 3}`,
`DELETE /journal` empties both the journal and the script.

Each chat completion takes the next step of the script; after the last one the answer is `You wrote: <last message>`,
or, in a test's own process, the step that `server.answer` makes of the request's body.
A step is a dict with any of these keys:

    text           the answer
    tool           the name of a tool that the model calls, with `arguments` (a dict, or a string that is sent as it is)
    finish_reason  another one than `stop` or `tool_calls`, for example `content_filter`
    status         an HTTP error, with `headers` and `error` (the body's error object)
    raw            a body that is sent as it is
    delay          seconds to wait before anything is sent
    hang           true: nothing is ever sent
    drop           "before": the connection is reset instead of an answer; "during": in the middle of it
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType, TracebackType
from typing import Any, Self

Step = dict[str, Any]

CHAT = "/chat/completions"


class OpenAIServer:
    """Listens on 127.0.0.1 from its creation on; answers once it is entered."""

    def __init__(self, port: int = 0) -> None:
        self.http = _HTTPServer(("127.0.0.1", port), _Handler)
        self.http.stand_in = self
        self.base_url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.stopping = threading.Event()
        self.answer: Callable[[dict[str, Any]], Step] = _echo
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Empty the script and the journal."""
        with self.lock:
            self.steps: deque[Step] = deque()
            self.journal: list[dict[str, Any]] = []
            self.in_flight = self.max_in_flight = 0

    def script(self, *steps: Step) -> None:
        """Append steps, one for each chat completion to come."""
        with self.lock:
            self.steps.extend(steps)

    def begin(self, entry: dict[str, Any]) -> Step:
        """Note one chat completion and take its step."""
        with self.lock:
            self.journal.append(entry)
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            return self.steps.popleft() if self.steps else self.answer(entry["body"])

    def end(self) -> None:
        with self.lock:
            self.in_flight -= 1

    def __enter__(self) -> Self:
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everyone and refuse new connections; may be called again."""
        self.stopping.set()
        self.http.shutdown()
        self.http.server_close()


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    stand_in: OpenAIServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HTTPServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.path == "/script":
            self.server.stand_in.script(*body)
            return self.send(200, {})
        if not self.path.endswith(CHAT):  # the Responses API as well: many compatible servers do not have it
            return self.send(404, {"error": {"message": f"no {self.path} here", "type": "invalid_request_error"}})
        entry = {
            "at": time.time(),
            "client": self.client_address,
            "authorization": self.headers.get("Authorization"),
            "body": body,
            "outcome": "open",
        }
        step = self.server.stand_in.begin(entry)
        try:
            entry["outcome"] = self.play(step, body)
        except OSError:
            entry["outcome"] = "client gone"
        finally:
            self.server.stand_in.end()
        return None

    def do_GET(self) -> None:
        stand_in = self.server.stand_in
        counts = {"in_flight": stand_in.in_flight, "max_in_flight": stand_in.max_in_flight}
        self.send(200, {"requests": stand_in.journal, **counts})

    def do_DELETE(self) -> None:
        self.server.stand_in.reset()
        self.send(200, {})

    def play(self, step: Step, body: dict[str, Any]) -> str:
        """Answer as `step` says. Returns what the journal shall say of it."""
        if not self.wait(float("inf") if step.get("hang") else step.get("delay", 0)):
            return "client gone"
        if step.get("drop") == "before":
            return self.reset_connection()
        if "raw" in step:
            self.send(step.get("status", 200), step["raw"])
        elif step.get("status", 200) >= 400:
            error = {"message": "scripted", "type": "scripted", "code": None, "param": None} | step.get("error", {})
            self.send(step["status"], {"error": error}, step.get("headers", {}))
        else:
            self.send(200, _completion(step, body), cut=step.get("drop") == "during")
        return self.reset_connection() if "drop" in step else "answered"

    def wait(self, seconds: float) -> bool:
        """Whether the client was still there after so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.server.stand_in.stopping.wait(0.02):
                return False
            if select.select([self.connection], [], [], 0)[0] and not self.connection.recv(1, socket.MSG_PEEK):
                self.close_connection = True
                return False
        return True

    def reset_connection(self) -> str:
        """Hang up with a TCP reset, as a proxy does that restarts."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        return "dropped"

    def send(
        self, status: int, body: dict[str, Any] | str, headers: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """The journal is the log."""


def _echo(body: dict[str, Any]) -> Step:
    return {"text": f"You wrote: {body['messages'][-1].get('content')}"}


def _completion(step: Step, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": step.get("text")}
    if "tool" in step:
        arguments = step.get("arguments", {})
        function = {
            "name": step["tool"],
            "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
        }
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    reason = step.get("finish_reason", "tool_calls" if "tool" in step else "stop")
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server for tests.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    with OpenAIServer(parser.parse_args().port) as server, suppress(KeyboardInterrupt):
        print(server.base_url, flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
