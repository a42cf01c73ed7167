# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The assistant node with faults on demand: each message on /soak/fault is one failure of one part.

The text of a message is `PART KIND`. PART is encoder, decoder or publisher. KIND is error, memory or nan.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from std_msgs.msg import String

from videollm_ros.live.decoder import LlamaDecoder
from videollm_ros.live.model import LiveModel
from videollm_ros.node.assistant_node import EXECUTOR_THREADS, AssistantNode
from videollm_ros.node.run_node import run_node

PARTS = {
    "encoder": (LiveModel, "encode"),
    "decoder": (LlamaDecoder, "read"),
}

_pending: dict[str, str] = {}  # part -> kind of its next failure


def _failing(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that it fails once for each fault that was asked for."""

    def call(*arguments: Any, **options: Any) -> Any:
        kind = _pending.pop(part, None)
        if kind == "error":
            raise RuntimeError(f"a fault of the {part} on demand")
        if kind == "memory":
            raise torch.OutOfMemoryError(f"no memory for the {part} on demand")
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
        part, kind = message.data.split()
        _pending[part] = kind


def main() -> int:
    """Run the node. Returns the exit code."""
    for part, (cls, name) in PARTS.items():
        setattr(cls, name, _failing(part, getattr(cls, name)))
    return run_node("assistant", FaultyAssistant, None, EXECUTOR_THREADS)


if __name__ == "__main__":
    sys.exit(main())
