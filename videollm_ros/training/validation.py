# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Validation while training: held-out dialogues are read teacher-forced, streams of the simulator live as well."""

from __future__ import annotations

import torch

from videollm_ros.data.samples import DialogueSamples
from videollm_ros.data.sources import FEATURES, DataConfig, Source, open_sources
from videollm_ros.evaluation.metrics import average_metrics, stream_metrics
from videollm_ros.evaluation.simulator import StreamsConfig, evaluate_simulator
from videollm_ros.live import LiveModel
from videollm_ros.sim import MIN_RESOLUTION
from videollm_ros.training.config import EvaluationConfig
from videollm_ros.training.yaml_dataclass import ConfigError


class Validator:
    """Measures a model on dialogues that it is not trained on."""

    def __init__(self, model: LiveModel, config: EvaluationConfig) -> None:
        """Open and check the held-out dialogues.

        Raises:
            ConfigError: frames that are too small to recognize anything.
            DialogueError: a dialogue that cannot be encoded, is too long, or does not fit its features or video.
        """
        if config.resolution < MIN_RESOLUTION:
            raise ConfigError(f"evaluation.resolution is {MIN_RESOLUTION} or more pixels, not {config.resolution}")
        self._model, self._config = model, config
        self._source: Source | None = None
        if config.dialogues is not None:
            data = DataConfig(dialogues=config.dialogues, features=config.features, videos=config.videos)
            (self._source,) = open_sources(data, model, seed=0)
            DialogueSamples([self._source], model, data, seed=0).check()

    def __len__(self) -> int:
        """Return how many dialogues or streams there are."""
        if self._config.seeds is not None:
            return len(range(*self._config.seeds))
        return 0 if self._source is None else len(self._source)

    def measure(self) -> dict[str, float]:
        """Measure the model as it is now.

        Returns:
            the figures of `average_metrics`, and on the simulator those of `StreamScore` as well.
        """
        config = self._config
        figures: dict[str, float | int | None] = {}
        if config.seeds is not None:
            streams = StreamsConfig(config.seconds, resolution=config.resolution)
            figures, _ = evaluate_simulator(self._model, range(*config.seeds), streams)
        elif self._source is not None:
            metrics = [self._read(self._source, index) for index in range(len(self._source))]
            figures = dict(average_metrics(metrics, self._model.config.frame_fps))
        return {name: float(value) for name, value in figures.items() if value is not None}

    @torch.inference_mode()
    def _read(self, source: Source, index: int) -> dict[str, float]:
        dialogue = source.dialogue(index, None)
        shown = source.visual(index, dialogue).to(self._model.device)
        features = shown if FEATURES in source.gives else self._model.encode(shown)
        return stream_metrics(self._model, dialogue.conversation, features, forgotten=dialogue.forgotten)
