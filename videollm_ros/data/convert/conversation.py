# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One dialogue as it grows: frames are watched, sentences are said, questions are asked."""

from __future__ import annotations

from typing import Any


class Conversation:
    """A conversation over the frames [start, stop) of one recording; `stop` moves with what is watched.

    Args:
        start: index of the first frame.
    """

    def __init__(self, start: int) -> None:
        """Begin before the frame `start`."""
        self.start = self.stop = start
        self.messages: list[dict[str, Any]] = []

    def watch(self, stop: int, learn: bool | int = True) -> None:
        """Add the frames up to `stop` (exclusive), of which all, none or the first `learn` are learned."""
        if stop > self.stop:
            learned = {} if learn is False else {"learn": learn}
            self.messages.append({"role": "stream", "num_frames": stop - self.stop, **learned})
            self.stop = stop

    def say(self, text: str) -> None:
        """Add a sentence of the assistant, which is learned."""
        self.messages.append({"role": "assistant", "content": text, "learn": True})

    def extend(self, text: str) -> None:
        """Add a sentence to the reply that was just given, unless it says the same."""
        reply = self.messages[-1]
        if text not in reply["content"]:
            reply["content"] += f" {text}"

    def ask(self, text: str) -> None:
        """Add a query of the user."""
        self.messages.append({"role": "user", "content": text})

    def instruct(self, text: str) -> None:
        """Add a standing instruction: it is read and stays in the context, and nothing answers it."""
        self.messages.append({"role": "user", "content": text, "answer": False})

    @property
    def speaker(self) -> str:
        """Return the role of the last message, or an empty string before the first."""
        return str(self.messages[-1]["role"]) if self.messages else ""

    def line(self, video: str, **more: Any) -> dict[str, Any]:
        """Return the dialogue as one line of a file."""
        return {"video": video, "frames": [self.start, self.stop], "conversation": self.messages, **more}
