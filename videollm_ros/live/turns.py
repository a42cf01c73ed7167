# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The turns of a streaming dialogue, and the text between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any


class Turn(Enum):
    """Whose turn the stream is in. Nothing else decides what may come next."""

    SYSTEM = "system"
    STREAM = "stream"
    USER = "user"
    ASSISTANT = "assistant"


BETWEEN = {
    (Turn.SYSTEM, Turn.USER): "\n\nUser: ",
    (Turn.SYSTEM, Turn.STREAM): "\n\n[",
    (Turn.USER, Turn.USER): "\nUser: ",
    (Turn.USER, Turn.STREAM): "\n[",
    (Turn.USER, Turn.ASSISTANT): "\nAssistant: ",
    (Turn.STREAM, Turn.USER): "]\nUser: ",
    (Turn.STREAM, Turn.ASSISTANT): "]\nAssistant: ",
    (Turn.ASSISTANT, Turn.USER): "\nUser: ",
    (Turn.ASSISTANT, Turn.STREAM): "\n[",
}
"""The text between two turns. After a reply, `<eos>` stands before it. The second newline after the system prompt is
the prompt's own."""

CLOSE_STREAM = "]\n"
ASSISTANT_PREFIX = "Assistant: "


def clean_user_text(text: str) -> str:
    """Put a user's text on one line. A turn opens with a line break, so this text cannot open one.

    Raises:
        ValueError: Nothing is left, or the text has half a surrogate pair in it.
    """
    line = " ".join(text.split())
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the query is no valid text: {error}") from error
    if not line:
        raise ValueError("the query is empty")
    return line


def turn_of(number: int, message: Mapping[str, Any]) -> Turn:
    """Return the turn of message `number` of a conversation.

    Raises:
        ValueError: The role is unknown.
    """
    role = message.get("role")
    if role not in (Turn.STREAM.value, Turn.USER.value, Turn.ASSISTANT.value):
        raise ValueError(f"message {number}: unknown role {role!r}; expected stream, user or assistant")
    return Turn(role)


def text_of(number: int, message: Mapping[str, Any]) -> str:
    """Return the text of message `number` of a conversation.

    Raises:
        ValueError: The message has no text.
    """
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"message {number}: the {message['role']} message needs a text, not {content!r}")
    return content


def is_instruction(number: int, message: Mapping[str, Any]) -> bool:
    """Return whether message `number` is a standing instruction: a user's text with `"answer": false`.

    Raises:
        ValueError: `answer` is neither true nor false.
    """
    answer = message.get("answer", True)
    if not isinstance(answer, bool):
        raise ValueError(f"message {number}: answer is true or false, not {answer!r}")
    return message.get("role") == Turn.USER.value and not answer
