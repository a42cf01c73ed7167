# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a model watch features, or a part of a video, and write down what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from videollm_ros.assistant import AssistantSettings
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.encoder import FRAMES_PER_BATCH, Batch
from videollm_ros.evaluation.recording import RecordedImage, Recording
from videollm_ros.evaluation.transcribe import Watcher
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live import LiveModel
from videollm_ros.media.bags import NANOSECONDS, to_seconds


@torch.inference_mode()
def watch_features(
    model: LiveModel,
    features: Tensor,
    name: str,
    settings: AssistantSettings,
    queries: Sequence[AnnotatedQuery],
    window: int = 0,
    instructions: Mapping[int, str] | None = None,
) -> Transcript:
    """Let the model watch frames that are encoded already. The first one is at 0 s.

    Args:
        model: the model.
        features: vision features [T, n, d_vision] at the model's frame rate.
        name: of the transcript.
        settings: how it watches.
        queries: what is asked when.
        window: the model sees the last so many frames alone. 0: all that its context holds.
        instructions: number of a frame -> standing instruction that is given just before it.

    Raises:
        ValueError: the settings do not fit the model, or a query cannot be asked.
    """
    stamps = [round(index * NANOSECONDS / model.config.frame_fps) for index in range(len(features))]
    transcript = Transcript(name, end=stamps[-1] if stamps else 0)
    watcher = Watcher(model, settings, transcript, queries, window)
    instructions = instructions or {}
    starts = sorted({*range(0, len(features), FRAMES_PER_BATCH), *instructions})
    for start, end in pairwise([*starts, len(features)]):
        if start in instructions:
            watcher.session.instruct(instructions[start])
        chosen = slice(start, end)
        watcher.watch(Batch(stamps[chosen], model.project(features[chosen]), [], new_stream=start == 0))
    watcher.finish()
    return transcript


class Clip:
    """Show a part of a recording. The times of its images are those of the whole recording."""

    def __init__(self, recording: Recording, begin: float, end: float, name: str) -> None:
        """Take the recording, and the first and last second that are shown."""
        self._recording, self._begin, self._end, self.name = recording, begin, end, name

    def images(self) -> Iterator[RecordedImage]:
        """Yield the images of the part.

        Raises:
            BagError, VideoError: the recording cannot be read, or not any further.
        """
        for image in self._recording.images():
            time = to_seconds(image.stamp)
            if time > self._end + 1e-6:
                return
            if time >= self._begin - 1e-6:
                yield image

    def queries(self) -> list[AnnotatedQuery]:
        """Return nothing: the benchmark asks."""
        return []
