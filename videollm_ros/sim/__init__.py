# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tabletop simulator: a camera's view of items and a gripper, with what happens and what may be asked.

For the demo, tests and training of the demo checkpoint: deterministic by seed, quick, without torch or ROS.
"""

from .dialogue import Reply, dialogue, record, replies
from .events import quiet_intervals, quiet_minutes, says
from .questions import Question, answer_is_right
from .sentences import STYLES, event_text, parse_event
from .tabletop import MIN_RESOLUTION, Tabletop
from .vocabulary import sentences, vocabulary
from .world import Event, Item, State

__all__ = [
    "MIN_RESOLUTION",
    "STYLES",
    "Event",
    "Item",
    "Question",
    "Reply",
    "State",
    "Tabletop",
    "answer_is_right",
    "dialogue",
    "event_text",
    "parse_event",
    "quiet_intervals",
    "quiet_minutes",
    "record",
    "replies",
    "says",
    "sentences",
    "vocabulary",
]
