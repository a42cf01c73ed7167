# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run as a YAML file: the model it starts from, what is trained, and the stages it goes through."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videollm_ros.data.sources import DataConfig
from videollm_ros.live import LiveConfig
from videollm_ros.training.yaml_dataclass import ConfigError, check_names, load_yaml

__all__ = ["ConfigError", "EvaluationConfig", "ModelConfig", "ScratchConfig", "StageConfig", "TrainConfig"]
__all__ += ["TrainableConfig", "live_config"]

DTYPES = ("float32", "bfloat16", "float16")
AUXILIARY_LOSSES = ("event", "state")
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head")
"""The published model's targets. Without lm_head where it is the embedding table as well."""
RENAMED = {
    "learn": "trainable",
    "silent_share": "silence_keep_ratio",
    "broken_replies": "reply_corruption",
    "memory": "context_seconds, a setting of data beside simulator",
    "same_colour_events": "same_color_events",
    "event_lesson": "auxiliary_losses: [event]",
    "state_lesson": "auxiliary_losses: [state]",
}
"""Settings of earlier versions, and what they are called now."""
_NOT_FOR_TRAINER = {
    "output_dir": "it follows from the run's output",
    "gradient_checkpointing": "it is a setting of the stage itself",
    "label_smoothing_factor": "the streaming loss has none",
    "load_best_model_at_end": "the last model is the run's; those before it are in its checkpoints",
}
"""Settings of transformers.TrainingArguments that would do nothing here, or harm."""


@dataclass(frozen=True)
class ScratchConfig:
    """A new, small model. `vision` and `llm` are settings of SiglipVisionConfig and LlamaConfig."""

    vision: dict[str, Any]
    llm: dict[str, Any]
    live: dict[str, Any]
    """Settings of LiveConfig."""
    vocabulary_size: int = 512

    def __post_init__(self) -> None:
        """Check the settings."""
        live_config(self.live, "model.scratch.live")


@dataclass(frozen=True)
class ModelConfig:
    """Where training starts: exactly one of a LIVE checkpoint, a pair of pretrained parts, or from scratch."""

    checkpoint: str | None = None
    llm: str | None = None
    vision: str | None = None
    live: dict[str, Any] = field(default_factory=dict)
    """Settings of LiveConfig for a model made of `llm` and `vision`."""
    scratch: ScratchConfig | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Check the settings."""
        starts = [self.checkpoint is not None, self.scratch is not None]
        parts = self.llm is not None and self.vision is not None
        if sum(starts) > 1 or (not any(starts) and not parts):
            raise ConfigError("model needs exactly one of checkpoint, scratch, or both llm and vision")
        if self.scratch is not None and (self.llm is not None or self.vision is not None):
            raise ConfigError("model.scratch is a whole new model; leave llm and vision out")
        if self.live and any(starts):
            raise ConfigError("model.live is of a model made of llm and vision; this one starts from another")
        live_config(self.live, "model.live")
        if self.dtype not in DTYPES:
            raise ConfigError(f"model.dtype is one of {', '.join(DTYPES)}, not {self.dtype!r}")


@dataclass(frozen=True)
class TrainableConfig:
    """What is trained. The connector always is."""

    llm: str = "lora"
    """"lora", "all" or "none"."""
    vision: bool = False
    lora_r: int = 128
    lora_alpha: int = 256
    lora_dropout: float = 0.05
    lora_targets: tuple[str, ...] | None = None
    """None: `LORA_TARGETS`, without lm_head where it is the embedding table as well."""

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.llm not in ("lora", "all", "none"):
            raise ConfigError(f'trainable.llm is "lora", "all" or "none", not {self.llm!r}')
        if self.lora_r < 1 or self.lora_alpha < 1 or not 0 <= self.lora_dropout < 1:
            raise ConfigError("trainable: lora_r and lora_alpha are at least 1, lora_dropout is from 0 to below 1")


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured while training: held-out dialogues with features or videos, or streams of the simulator."""

    dialogues: str | None = None
    features: str | None = None
    videos: str | None = None
    seeds: tuple[int, int] | None = None
    """Streams of the simulator, one per seed of [start, stop)."""
    seconds: float = 60.0
    resolution: int = 96

    def __post_init__(self) -> None:
        """Check the settings."""
        if (self.seeds is None) == (self.dialogues is None):
            raise ConfigError("evaluation needs exactly one of seeds, of the simulator, and dialogues")
        if self.dialogues is not None and (self.features is None) == (self.videos is None):
            raise ConfigError("evaluation.dialogues needs exactly one of features and videos")
        if self.seeds is not None and not 0 <= self.seeds[0] < self.seeds[1]:
            raise ConfigError(f"evaluation.seeds is [start, stop) with start < stop, not {list(self.seeds)}")
        if not self.seconds > 0:
            raise ConfigError(f"evaluation.seconds is a time above 0, not {self.seconds}")


@dataclass(frozen=True)
class StageConfig:
    """One stage: what is trained on what, and the Hugging Face Trainer's settings for it.

    `task` "dialogue" is the streaming objective. "scene" teaches the vision tower the simulator's scenes.
    """

    name: str
    data: DataConfig
    trainer: dict[str, Any]
    """Settings of transformers.TrainingArguments. Its output_dir is the run's."""
    task: str = "dialogue"
    trainable: TrainableConfig = field(default_factory=TrainableConfig)
    stream_loss_weight: float = 1.0
    """w of the paper: weight of the silence-or-speak positions."""
    gradient_checkpointing: bool = False
    auxiliary_losses: tuple[str, ...] = ()
    """With the simulator. "event": the decoder also learns on each frame what it decides. "state": what happened last
    and what is visible. The heads that learn it are thrown away."""
    evaluation: EvaluationConfig | None = None
    """Measured as trainer.eval_strategy says: after every epoch where it says nothing."""

    def __post_init__(self) -> None:
        """Check the settings against each other."""
        try:
            self._check()
        except ConfigError as error:
            raise ConfigError(f"stage {self.name}: {error}") from error

    @property
    def simulators(self) -> list[Any]:
        """The simulators among the sources of the data."""
        return [source.simulator for source in self.data.all_sources if source.simulator is not None]

    def _check(self) -> None:
        if self.task not in ("dialogue", "scene"):
            raise ConfigError(f'task is "dialogue" or "scene", not {self.task!r}')
        if not set(self.auxiliary_losses) <= set(AUXILIARY_LOSSES):
            raise ConfigError(f"auxiliary_losses are of {', '.join(AUXILIARY_LOSSES)}")
        if self.auxiliary_losses and not self.simulators:
            raise ConfigError("auxiliary_losses need data.simulator, which knows what is visible")
        stored = any(source.features for source in self.data.all_sources)
        if self.trainable.vision and (stored or (self.evaluation and self.evaluation.features)):
            raise ConfigError(
                "trainable.vision needs frames, and stored features are of the tower as it was; "
                "give videos, or leave the tower as it is"
            )
        self._check_trainer()
        if self.evaluation is not None and self.evaluation.seeds is not None and self.trainable.llm == "lora":
            raise ConfigError(
                "evaluation.seeds runs the model live, which takes merged weights; with LoRA give "
                "evaluation.dialogues, or evaluate the finished model"
            )
        if self.evaluation is not None and self.data.baseline == "per_frame":
            raise ConfigError("evaluation is of streaming dialogues, not of the per_frame baseline")
        if self.task == "scene":
            self._check_scene()

    def _check_trainer(self) -> None:
        refused = [name for name in self.trainer if name in _NOT_FOR_TRAINER]
        if self.evaluation is None:
            refused += [name for name in self.trainer if name.startswith("eval_")]
        if refused:
            reason = _NOT_FOR_TRAINER.get(refused[0], "the stage has no evaluation, which says on what")
            raise ConfigError(f"trainer.{refused[0]} cannot be set: {reason}")

    def _check_scene(self) -> None:
        if self.data.simulator is None:
            raise ConfigError("the scene task learns from data.simulator")
        of_dialogues = ("trainable", "auxiliary_losses", "stream_loss_weight", "evaluation", "gradient_checkpointing")
        for setting in dataclasses.fields(self):
            default = setting.default
            if setting.default_factory is not dataclasses.MISSING:
                default = setting.default_factory()
            if setting.name in of_dialogues and getattr(self, setting.name) != default:
                raise ConfigError(f"the scene task teaches the vision tower alone; leave {setting.name} out")


@dataclass(frozen=True)
class TrainConfig:
    """A whole run."""

    output: str
    model: ModelConfig
    stages: tuple[StageConfig, ...]
    threads: int | None = None
    """CPU threads of PyTorch. None leaves it to PyTorch."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the settings."""
        if not self.stages:
            raise ConfigError("stages is empty; a run has at least one")

    @classmethod
    def load(cls, path: str | Path) -> TrainConfig:
        """Read a YAML file.

        Raises:
            ConfigError: not there, not YAML, or a setting that is unknown, missing or of the wrong type.
        """
        return load_yaml(path, cls, RENAMED)


def live_config(values: dict[str, Any], name: str, **places: Any) -> LiveConfig:
    """Make a LiveConfig.

    Args:
        values: its settings without `llm` and `vision`.
        name: of the settings, for errors.
        places: where `llm` and `vision` are.

    Raises:
        ConfigError: a setting is unknown or out of its range.
    """
    check_names(values, {f.name for f in dataclasses.fields(LiveConfig)} - {"llm", "vision"}, name)
    try:
        return LiveConfig(**values, **places)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: {error}") from error
