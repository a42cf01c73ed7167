# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The settings of one stream: each is declared, described, bounded and typed once, here.

A field named `threshold` of the group `stream` is the ROS parameter `stream.threshold`. The node adds its own groups in
`videollm_ros.node.parameters`. This module imports neither torch nor ROS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def setting(
    default: bool | float | str,
    description: str,
    *,
    dynamic: bool = False,
    bounds: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Make a dataclass field that is one setting.

    Args:
        default: its value when nobody sets it; its type is the type of the setting.
        description: a sentence for users.
        dynamic: whether it may change while the stream runs.
        bounds: the smallest and the largest value.
        choices: all values that are allowed.
    """
    metadata = {"description": description, "dynamic": dynamic, "bounds": bounds, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class StreamSettings:
    """How the camera becomes the model's stream, and when the model speaks."""

    fps: float = setting(
        0.0,
        "Frames per second of image time that the model reads. 0 takes the rate that it was trained at.",
        bounds=(0.0, 60.0),
    )
    threshold: float = setting(
        0.725,
        "Probability that silence needs. A higher value makes the model speak more often. Tune it on "
        "~/speak_probability.",
        dynamic=True,
        bounds=(0.0, 1.0),
    )
    rule: str = setting(
        "paper",
        "paper: silent if silence is the likeliest token and its probability is at least the threshold. plain: silent "
        "if its probability is above the threshold.",
        dynamic=True,
        choices=("paper", "plain"),
    )
    instruction: str = setting(
        "",
        "Standing instruction, such as: Tell me what I do. It is read once and not answered. Empty: none.",
        dynamic=True,
    )
    max_new_tokens: int = setting(
        100,
        "A reply that reaches this many tokens is cut off and closed.",
        dynamic=True,
        bounds=(1, 2048),
    )
    backlog: int = setting(
        20,
        "Frames that are kept in order while a reply is decoded. Beyond it the oldest is dropped.",
        bounds=(1, 1000),
    )
    frame_gate: float = setting(
        0.0,
        "Skip a frame if its cosine similarity to the last frame read is at least this. 0 reads every frame.",
        bounds=(0.0, 1.0),
    )
    max_gap: float = setting(
        10.0,
        "A gap of more seconds than this between the stamps of two images begins a new stream.",
        bounds=(0.1, 86400.0),
    )


@dataclass(frozen=True)
class ContextSettings:
    """How much of the stream the model remembers."""

    max_tokens: int = setting(
        0,
        "Size of the context in tokens. 0 takes what the model was trained for, at most 8192.",
        bounds=(0, 131072),
    )
    vision_seconds: float = setting(
        120.0,
        "When the context is full, frames older than this many seconds are evicted first.",
        bounds=(0.0, 86400.0),
    )
    text_tokens: int = setting(
        0,
        "Tokens of queries and replies that are kept longer than frames. 0 takes a quarter of the context.",
        bounds=(0, 131072),
    )


@dataclass(frozen=True)
class SpeechSettings:
    """What of the model's proactive speech is said aloud, and how long an answer may take."""

    muted: bool = setting(
        False,
        "Keep watching and answering, and say nothing else. The service ~/mute sets it too.",
        dynamic=True,
    )
    cooldown: float = setting(
        0.0,
        "Seconds after an utterance in which nothing proactive is said.",
        dynamic=True,
        bounds=(0.0, 3600.0),
    )
    repeat_window: float = setting(
        10.0,
        "Seconds within which a stutter is held back: the same proactive utterance again although the model has not "
        "been silent in between. 0 allows stutters.",
        dynamic=True,
        bounds=(0.0, 3600.0),
    )
    ask_timeout: float = setting(
        30.0,
        "Seconds after which ~/ask gives up and the answer is stopped.",
        dynamic=True,
        bounds=(0.1, 3600.0),
    )


@dataclass(frozen=True)
class AssistantSettings:
    """All settings of one stream."""

    stream: StreamSettings = field(default_factory=StreamSettings)
    context: ContextSettings = field(default_factory=ContextSettings)
    speech: SpeechSettings = field(default_factory=SpeechSettings)
