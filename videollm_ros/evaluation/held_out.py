# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation while training: held-out dialogues read teacher-forced, and the simulator's streams live as well."""

from __future__ import annotations

import torch

from videollm_ros.evaluation.metrics import average_metrics, stream_metrics
from videollm_ros.evaluation.simulator import evaluate_simulator
from videollm_ros.live import LiveModel
from videollm_ros.training.config import DataConfig, EvaluationConfig
from videollm_ros.training.samples import DialogueSamples, Source, file_sources


class HeldOut:
    """Dialogues that are not learned from."""

    def __init__(self, model: LiveModel, config: EvaluationConfig) -> None:
        """
        Raises:
            DialogueError: a dialogue that cannot be encoded, is too long, or does not fit its features or video.
        """
        self._model, self._config = model, config
        self._sources: list[Source] = []
        self._frames = config.videos is not None
        if config.dialogues is not None:
            data = DataConfig(dialogues=config.dialogues, features=config.features, videos=config.videos)
            self._sources = file_sources(data, model)
            DialogueSamples(self._sources, model, data, seed=0, frames=self._frames).check_lengths()

    def __len__(self) -> int:
        """How many there are."""
        return len(range(*self._config.seeds)) if self._config.seeds is not None else len(self._sources)

    def measure(self) -> dict[str, float]:
        """The model's figures as it is now: of `average_metrics`, and on the simulator of `StreamScore` too."""
        config = self._config
        if config.seeds is None:
            metrics = [self._read(source) for source in self._sources]
            figures = average_metrics(metrics, self._model.config.frame_fps)
        else:
            figures, _ = evaluate_simulator(
                self._model, range(*config.seeds), config.seconds, resolution=config.resolution
            )
        return {name: float(value) for name, value in figures.items() if value is not None}

    @torch.inference_mode()
    def _read(self, source: Source) -> dict[str, float]:
        seen = source.read(source.dialogue).to(self._model.device)
        features = self._model.encode(seen) if self._frames else seen
        return stream_metrics(self._model, source.dialogue.conversation, features)
