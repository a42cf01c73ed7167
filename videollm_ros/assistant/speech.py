# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the assistant says, on its way from the inference thread to the messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Speech:
    """One message of one utterance: the whole of it, or as far as it has grown."""

    id: int  # of the utterance, from 1
    sequence: int  # of the message within the utterance, from 0
    final: bool
    text: str  # everything said so far
    header: Any  # std_msgs/Header of the image that made it speak; None before any image
    speak_probability: float  # 1 - p(silence) at that image; 0 before any image
    query: str | None = None  # None: unasked
    query_id: str = ""
    truncated: bool = False  # cut off: too long, or stopped
