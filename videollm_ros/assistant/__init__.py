# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One stream at work, without ROS: frame scheduler, encoder thread, worker, speech policy, queries and utterances.

The names below are loaded when they are first used: most need torch, and the nodes without a model do not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videollm_ros.assistant.frames import Frame
    from videollm_ros.assistant.listeners import StreamListener
    from videollm_ros.assistant.queries import PendingQuery, QueryError
    from videollm_ros.assistant.settings import AssistantSettings, ContextSettings, SpeechSettings, StreamSettings
    from videollm_ros.assistant.snapshot import StreamSnapshot
    from videollm_ros.assistant.stream import AssistantStream
    from videollm_ros.assistant.updates import HoldReason, UtteranceUpdate

__all__ = [
    "AssistantSettings",
    "AssistantStream",
    "ContextSettings",
    "Frame",
    "HoldReason",
    "PendingQuery",
    "QueryError",
    "SpeechSettings",
    "StreamListener",
    "StreamSettings",
    "StreamSnapshot",
    "UtteranceUpdate",
]

_MODULES = {
    "Frame": "frames",
    "StreamListener": "listeners",
    "PendingQuery": "queries",
    "QueryError": "queries",
    "AssistantSettings": "settings",
    "ContextSettings": "settings",
    "SpeechSettings": "settings",
    "StreamSettings": "settings",
    "StreamSnapshot": "snapshot",
    "AssistantStream": "stream",
    "HoldReason": "updates",
    "UtteranceUpdate": "updates",
}


def __getattr__(name: str) -> Any:
    """Load one of the names above (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
