# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The LIVE model and its streaming inference: torch and transformers, no ROS."""

from videollm_ros.live.checkpoint import CheckpointError
from videollm_ros.live.config import LiveConfig
from videollm_ros.live.errors import NonFiniteError, SessionBrokenError
from videollm_ros.live.events import Event, FrameDecision, PartialReply, Utterance
from videollm_ros.live.eviction import ContextLimits
from videollm_ros.live.model import LiveModel
from videollm_ros.live.queries import Query
from videollm_ros.live.session import StreamSession
from videollm_ros.live.speak_rule import DEFAULT_THRESHOLD, SpeakRule
from videollm_ros.live.state import StreamState
from videollm_ros.live.steps import Step
from videollm_ros.live.template import DialogueTemplate

__all__ = [
    "DEFAULT_THRESHOLD",
    "CheckpointError",
    "ContextLimits",
    "DialogueTemplate",
    "Event",
    "FrameDecision",
    "LiveConfig",
    "LiveModel",
    "NonFiniteError",
    "PartialReply",
    "Query",
    "SessionBrokenError",
    "SpeakRule",
    "Step",
    "StreamSession",
    "StreamState",
    "Utterance",
]
