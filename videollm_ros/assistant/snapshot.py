# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a stream is doing, as values."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from videollm_ros.live import StreamState


@dataclass(frozen=True)
class StreamSnapshot:
    """How a stream is doing at one moment. Counts are since the stream was made, stamps and durations in seconds."""

    context: StreamState
    """What the session holds."""
    device: torch.device
    """Of the model."""
    latency: dict[str, tuple[float, float]]
    """(mean, maximum) by stage since the last snapshot: queue, encode, frame and token."""

    frames_due: int
    """Images that became frames."""
    frames_used: int
    """Frames that the decoder read."""
    frames_dropped: int
    """Frames that were dropped unread."""
    frames_waiting: int
    """Frames that wait now."""
    images_refused: int
    """Images that could not be read."""
    lag: float
    """From the newest frame read to the newest image."""
    since_image: float | None
    """Since the newest image came. None before any."""
    image_interval: float | None
    """The camera's own interval by its stamps. None before the second image."""
    is_stalled: bool
    """Whether images come and their stamps stand still."""
    video_held: float
    """Video that the context holds: from its oldest frame to the newest one read."""

    muted: bool
    """Whether proactive speech is muted."""
    utterances: int
    """Utterances that were said aloud."""
    held_back: dict[str, int]
    """Utterances that were not, by reason: muted, repeat, cooldown and empty."""
    queries_waiting: int
    """Queries that are admitted and not answered yet."""
    queries_answered: int
    """Queries that were answered."""
    queries_failed: int
    """Queries that were admitted and ended with an error."""
    queries_refused: int
    """Queries that were not admitted."""

    faults: int
    """Failures of the encoder and the decoder."""
    recoveries: int
    """How often a new stream began after a failure of the decoder."""
    listener_failures: int
    """Calls of a listener that raised."""
    last_listener_failure: str
    """The newest of them. Empty if there was none."""
    threads: dict[str, bool]
    """Whether each thread is alive: inference and encoder."""
    fatal: str
    """Why the stream cannot go on, as a sentence. Empty if it can."""
