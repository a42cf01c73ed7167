# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line in this process, with what it wrote and said; indexes of dialogues are in the test's own folder."""

import json
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from videollm_ros.data.__main__ import main


@dataclass
class Converted:
    code: int
    lines: list
    said: str

    def texts(self, line=0):
        """The messages as "3" for three frames, "> query", "sentence"."""
        return [
            str(m["num_frames"]) if m["role"] == "stream" else "> " * (m["role"] == "user") + m["content"]
            for m in self.lines[line]["conversation"]
        ]


@pytest.fixture
def convert(tmp_path, capsys):
    def run(source, *annotations, durations=None, output="out.jsonl", options=()):
        path, output = tmp_path / "durations.json", tmp_path / output
        path.write_text(json.dumps(durations if durations is not None else {"a": 10.0}))
        annotations = ["--annotations", *map(str, annotations)] if annotations else []
        options = [str(option) for option in options]
        arguments = ["convert", source, *annotations, "--durations", str(path), "--output", str(output), *options]
        code = main(arguments)
        lines = [json.loads(line) for line in output.read_text().splitlines()] if output.is_file() else []
        captured = capsys.readouterr()
        return Converted(code, lines, captured.out + captured.err)

    return run


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "videollm_ros" / "dialogues"


class ChatServer:
    """A real HTTP server that answers as an OpenAI-compatible one does: well, or as badly as a test wants.

    `behave(number, request)` returns None to answer well, or ("status" | "text" | "drop", value).
    """

    def __init__(self, behave=lambda number, request: None, seconds=0.0, reply="You go on."):
        self.requests, self.headers, self.starts, self.at_once, self.most_at_once = [], [], [], 0, 0
        lock, outer = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(outer.requests)
                    outer.requests.append(request)
                    outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                    outer.starts.append(time.monotonic())
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                try:
                    time.sleep(seconds)
                    self.answer(request, behave(number, request) or ("text", good(request, reply)))
                finally:
                    with lock:
                        outer.at_once -= 1

            def answer(self, request, what):
                kind, value = what
                if kind == "drop":
                    self.close_connection = True
                    self.connection.close()
                    return
                message = {"role": "assistant", "content": value}
                body = {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 1,
                    "model": request["model"],
                    "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                    "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
                }
                if kind == "status":
                    body = {"error": {"message": f"status {value}; the key was {self.headers['Authorization']}"}}
                data = json.dumps(body).encode()
                self.send_response(value if kind == "status" else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Retry-After", "0.01")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *arguments: None  # a client that was killed
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


def numbers(request):
    """The numbers that the request wants an answer for."""
    text = request["messages"][1]["content"].split("Turns:\n")[-1]
    return [int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]


def good(request, reply):
    """What a good model writes."""
    name = request["response_format"]["json_schema"]["name"]
    if name == "grade":
        return json.dumps({"reason": "It is fine.", "score": 9})
    if name == "sentences":
        written = [{"number": number, "text": f"You do thing {number}."} for number in numbers(request)]
        return json.dumps({"sentences": written})
    return json.dumps({"replies": [{"turn": number, "text": reply} for number in numbers(request)]})


@pytest.fixture
def chat_server():
    return ChatServer
