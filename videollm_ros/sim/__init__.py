# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tabletop simulator: a camera's view of items and a gripper, with what happens and what may be asked.

For the demo, tests and training of the demo checkpoint: deterministic by seed, quick, without torch or ROS.
"""

from videollm_ros.sim.dialogue import Reply, dialogue, replies, to_record
from videollm_ros.sim.questions import Question, answer_is_right
from videollm_ros.sim.scoring import matches, quiet_intervals, quiet_minutes
from videollm_ros.sim.sentences import STYLES, event_text, parse_event
from videollm_ros.sim.tabletop import MIN_RESOLUTION, Tabletop
from videollm_ros.sim.vocabulary import sentences, vocabulary
from videollm_ros.sim.world import Event, Item, State

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
    "matches",
    "parse_event",
    "quiet_intervals",
    "quiet_minutes",
    "replies",
    "sentences",
    "to_record",
    "vocabulary",
]
