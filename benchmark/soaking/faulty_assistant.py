# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402
"""The assistant node with faults on demand: each message on /soak/fault makes one part fail.

The text of a message is `PART KIND [TIMES]`.
PART: encoder, decoder, publisher (of utterances), reset (of the session, as a recovery does it) or load.
KIND: error, memory, nan (the result is not a number) or death (of the thread, by what no handler catches).
The environment variable FAULT_AT_START holds one that is there from the start, so that warm-up and load fail.
"""

from __future__ import annotations

import sys

sys.argv[0] = "assistant_node"  # starts as the executable of this name does

import os
from collections.abc import Callable
from typing import Any

import torch
from std_msgs.msg import String

from videollm_ros.live import StreamSession
from videollm_ros.live.decoder import LlamaDecoder
from videollm_ros.live.model import LiveModel
from videollm_ros.node import assistant_node
from videollm_ros.node.assistant_node import EXECUTOR_THREADS, AssistantNode
from videollm_ros.node.run_node import leave, run_node

PARTS = {
    "encoder": (LiveModel, "encode"),
    "decoder": (LlamaDecoder, "read"),
    "reset": (StreamSession, "reset"),
    "load": (assistant_node, "load_model"),
}

_pending: dict[str, list[str]] = {}  # part -> kinds of its next failures


class ThreadDeath(BaseException):
    """What no `except Exception` catches."""


def _ask_for(text: str) -> None:
    part, kind, *times = text.split()
    _pending[part] = [kind] * int(times[0] if times else 1)


def _failing(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that it fails once for each fault that was asked for."""

    def call(*arguments: Any, **options: Any) -> Any:
        kinds = _pending.get(part)
        kind = kinds.pop() if kinds else None
        if kind == "error":
            raise RuntimeError(f"a fault of the {part} on demand")
        if kind == "memory":
            raise torch.OutOfMemoryError(f"no memory for the {part} on demand")
        if kind == "death":
            raise ThreadDeath(f"death of the thread of the {part} on demand")
        result = function(*arguments, **options)
        return result * float("nan") if kind == "nan" and isinstance(result, torch.Tensor) else result

    return call


class FaultyAssistant(AssistantNode):
    """The assistant, with a subscription to faults."""

    def __init__(self) -> None:
        """Listen for faults."""
        super().__init__()
        utterances = self._outputs._utterances  # the publisher of ~/utterance, which no public name gives
        utterances.publish = _failing("publisher", utterances.publish)
        self.create_subscription(String, "/soak/fault", self._fault, 10)

    def _fault(self, message: String) -> None:
        _ask_for(message.data)


def main() -> int:
    """Run the node. Returns the exit code."""
    for part, (cls, name) in PARTS.items():
        setattr(cls, name, _failing(part, getattr(cls, name)))
    _ask_for(os.environ.get("FAULT_AT_START", "none none"))
    return run_node("assistant", FaultyAssistant, None, EXECUTOR_THREADS)


if __name__ == "__main__":
    leave(main())
