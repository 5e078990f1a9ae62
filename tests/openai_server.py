"""A small OpenAI-compatible server around a LangChain chat model, on a port of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, convert_to_messages


class OpenAIServer(ThreadingHTTPServer):
    """Answers ``POST /v1/chat/completions``, streamed or not, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, model: BaseChatModel, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.name = model, name
        self.requests: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: OpenAIServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions" or request["model"] != self.server.name:
            self._send(404, {"error": {"message": f"no {request['model']!r} at {self.path}"}})
            return
        self.server.requests.append(request)
        messages = convert_to_messages(request["messages"])
        if request.get("stream"):
            self._stream(messages)
        else:
            self._answer(messages)

    def _answer(self, messages: list[BaseMessage]) -> None:
        answer = self.server.model.invoke(messages)
        usage = answer.usage_metadata or {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": answer.text},
        }
        self._send(
            200,
            {
                **self._head("chat.completion"),
                "choices": [choice],
                "usage": {
                    "prompt_tokens": usage["input_tokens"],
                    "completion_tokens": usage["output_tokens"],
                    "total_tokens": usage["total_tokens"],
                },
            },
        )

    def _stream(self, messages: list[BaseMessage]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for chunk in self.server.model.stream(messages):
            self._event({"delta": {"role": "assistant", "content": chunk.text}})
        self._event({"delta": {}, "finish_reason": "stop"})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, choice: dict[str, Any]) -> None:
        choices = [{"index": 0, "finish_reason": None, **choice}]
        event = {**self._head("chat.completion.chunk"), "choices": choices}
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "chat-1", "object": kind, "created": 0, "model": self.server.name}

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(model: BaseChatModel, name: str) -> Iterator[OpenAIServer]:
    """Serve a model until the block ends."""
    with OpenAIServer(model, name) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
