# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The LIVE model and its streaming inference: torch and transformers, no ROS."""

from videollm_ros.live.cache import ContextLimits
from videollm_ros.live.checkpoint import CheckpointError
from videollm_ros.live.config import LiveConfig
from videollm_ros.live.events import FrameDecision, PartialReply, Utterance
from videollm_ros.live.model import LiveModel
from videollm_ros.live.session import StreamSession, StreamState
from videollm_ros.live.template import DialogueTemplate

__all__ = [
    "CheckpointError",
    "ContextLimits",
    "DialogueTemplate",
    "FrameDecision",
    "LiveConfig",
    "LiveModel",
    "PartialReply",
    "StreamSession",
    "StreamState",
    "Utterance",
]
