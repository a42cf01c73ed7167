# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What listeners and askers are told about one utterance. This module imports neither torch nor ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videollm_ros.assistant.queries import PendingQuery


class HoldReason(IntEnum):
    """Why a proactive utterance is not said aloud. The values are those of AssistantUtterance.held_back."""

    MUTED = 1
    REPEAT = 2
    COOLDOWN = 3
    EMPTY = 4


@dataclass(eq=False)
class UtteranceUpdate:
    """One utterance as far as it has grown, or the whole of it."""

    id: int
    """Number of the utterance, counted from 1. 0 if it is held back."""
    sequence: int
    """Number of this update within the utterance, counted from 0."""
    final: bool
    """Whether the text is complete."""
    text: str
    """Everything said so far. Empty if it was held back before a word was decoded."""
    stamp: float
    """Stream time at which it began, in seconds."""
    tag: Any
    """What was offered with the image that made it speak. None before any image."""
    speak_probability: float
    """1 - p(silence) at that image. 0 before any image."""
    query: PendingQuery | None = None
    """The query that it answers. None if it is proactive."""
    truncated: bool = False
    """Whether it was cut off because it became too long or was stopped."""
    held_back: HoldReason | None = None
    """Why it is not said aloud. None if it is."""
    message: Any = field(default=None, init=False, repr=False)
    """The message that a listener made of it. It is kept here so that everybody gets the same one."""
