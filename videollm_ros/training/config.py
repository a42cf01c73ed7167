# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run as a YAML file: the model it starts from, what learns, and the stages it goes through."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from videollm_ros.live import LiveConfig
from videollm_ros.sim import MIN_RESOLUTION
from videollm_ros.sim.questions import WEIGHTS

DTYPES = ("float32", "bfloat16", "float16")
_NOT_FOR_TRAINER = {
    "output_dir": "it follows from the run's output",
    "gradient_checkpointing": "it is a setting of the stage itself",
    "label_smoothing_factor": "the streaming loss has none",
    "load_best_model_at_end": "the last model is the run's; those before it are in its checkpoints",
}
"""Settings of transformers.TrainingArguments that would do nothing here, or harm."""


class ConfigError(ValueError):
    """A training configuration that cannot be used; the message names the setting and what was expected."""


@dataclass(frozen=True)
class ScratchConfig:
    """A new, small model. `vision` and `llm` are settings of SiglipVisionConfig and LlamaConfig."""

    vision: dict[str, Any]
    llm: dict[str, Any]
    live: dict[str, Any]
    """Settings of LiveConfig."""
    vocabulary_size: int = 512

    def __post_init__(self) -> None:
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
class LearnConfig:
    """What learns. The connector always does."""

    llm: str = "lora"
    """"lora", "all" or "none"."""
    vision: bool = False
    lora_r: int = 128
    lora_alpha: int = 256
    lora_dropout: float = 0.05
    lora_targets: tuple[str, ...] = (
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"),
    )

    def __post_init__(self) -> None:
        if self.llm not in ("lora", "all", "none"):
            raise ConfigError(f'learn.llm is "lora", "all" or "none", not {self.llm!r}')


@dataclass(frozen=True)
class SimulatorConfig:
    """Streams of the tabletop simulator, one per seed of [start, stop)."""

    seeds: tuple[int, int]
    seconds: float = 60.0
    resolutions: tuple[int, ...] = (96,)
    """Sides of the rendered frames in pixels, taken in turn, before they are fitted to the vision tower."""
    memory: tuple[int, int] | None = None
    """About every second stream lasts up to twice as long, and only its last frames are in the context: this many
    seconds at least and at most. What was said before stays, as in a session's bounded context after a while."""

    windows: int = 0
    """Instead of whole streams, this many short windows of each. Nothing is said before them, and they end where
    nothing happens."""
    window_seconds: tuple[float, float] = (1.0, 4.0)
    """How long a window is, at least and at most."""
    question_rate: float = 0.0
    """Questions that are added on average at every second in which nothing happens."""
    question_kinds: tuple[str, ...] = ()
    """Kinds of the added questions, drawn evenly, see `sim.Question`; none for all, as often as in a test, and in
    windows for those that are about now."""
    same_colour_events: int = 0
    """Only streams with at least this many events of an item whose colour another visible item has: those in which a
    colour alone does not say which item is meant."""

    def __post_init__(self) -> None:
        if not 0 <= self.seeds[0] < self.seeds[1]:
            raise ConfigError(f"data.simulator.seeds is [start, stop) with start < stop, not {list(self.seeds)}")
        if not self.seconds > 0:
            raise ConfigError(f"data.simulator.seconds is a time above 0, not {self.seconds}")
        if not self.resolutions or min(self.resolutions) < MIN_RESOLUTION:
            raise ConfigError(
                f"data.simulator.resolutions are {MIN_RESOLUTION} or more pixels each, not {list(self.resolutions)}"
            )
        if self.memory is not None and not 0 < self.memory[0] <= self.memory[1]:
            raise ConfigError(f"data.simulator.memory is a shortest and a longest time, not {list(self.memory)}")
        if self.windows < 0 or self.question_rate < 0:
            raise ConfigError("data.simulator.windows and question_rate cannot be negative")
        if not 0 < self.window_seconds[0] <= self.window_seconds[1]:
            raise ConfigError(
                f"data.simulator.window_seconds is a shortest and a longest time, not {list(self.window_seconds)}"
            )
        if self.windows and self.memory is not None:
            raise ConfigError("data.simulator: windows have no past, and memory is about one; give one of them")
        unknown = [kind for kind in self.question_kinds if kind not in WEIGHTS]
        if unknown:
            raise ConfigError(f"data.simulator.question_kinds are of {', '.join(WEIGHTS)}, not {unknown[0]!r}")


@dataclass(frozen=True)
class DataConfig:
    """The dialogues: of the simulator, or a JSON-lines file with features or videos beside it."""

    simulator: SimulatorConfig | None = None
    dialogues: str | None = None
    features: str | None = None
    """Folder of stored features, one file per video."""
    videos: str | None = None
    """Folder of video files, read at the model's frame rate, when features are not stored."""
    silent_share: float = 1.0
    """Share of the silent frames that are learned (ProAssist: 0.1)."""
    broken_replies: float = 0.0
    """Share of the dialogues in which an earlier reply is replaced or dropped."""
    baseline: str | None = None
    """"per_frame" or "interleaved": the paper's two baselines instead of the streaming dialogue."""

    def __post_init__(self) -> None:
        if (self.simulator is None) == (self.dialogues is None):
            raise ConfigError("data needs exactly one of simulator and dialogues")
        if self.dialogues is not None and (self.features is None) == (self.videos is None):
            raise ConfigError("data.dialogues needs exactly one of features and videos")
        if not 0 < self.silent_share <= 1:
            raise ConfigError(f"data.silent_share is a share above 0 and at most 1, not {self.silent_share}")
        if not 0 <= self.broken_replies <= 1:
            raise ConfigError(f"data.broken_replies is a share from 0 to 1, not {self.broken_replies}")
        if self.baseline not in (None, "per_frame", "interleaved"):
            raise ConfigError(f'data.baseline is "per_frame" or "interleaved", not {self.baseline!r}')
        if self.baseline is not None and self.silent_share < 1:
            raise ConfigError("data.silent_share is a share of silent frames, and the baselines learn none")


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
        if (self.seeds is None) == (self.dialogues is None):
            raise ConfigError("evaluation needs exactly one of seeds, of the simulator, and dialogues")
        if self.dialogues is not None and (self.features is None) == (self.videos is None):
            raise ConfigError("evaluation.dialogues needs exactly one of features and videos")
        if self.seeds is not None and not 0 <= self.seeds[0] < self.seeds[1]:
            raise ConfigError(f"evaluation.seeds is [start, stop) with start < stop, not {list(self.seeds)}")
        if not self.seconds > 0 or self.resolution < MIN_RESOLUTION:
            raise ConfigError(
                f"evaluation takes seconds above 0 and a resolution of {MIN_RESOLUTION} or more pixels, not "
                f"{self.seconds} and {self.resolution}"
            )


@dataclass(frozen=True)
class StageConfig:
    """One stage: what is learned from what, and the Hugging Face Trainer's settings for it.

    `task` "dialogue" is the streaming objective; "scene" teaches the vision tower the simulator's scenes.
    """

    name: str
    data: DataConfig
    trainer: dict[str, Any]
    """Settings of transformers.TrainingArguments; output_dir is the run's."""
    task: str = "dialogue"
    learn: LearnConfig = field(default_factory=LearnConfig)
    stream_loss_weight: float = 1.0
    gradient_checkpointing: bool = False
    event_lesson: bool = False
    """With the simulator: what a frame decides is learned on the frame as well, by heads that are thrown away."""
    state_lesson: bool = False
    """The same for what happened last and for what is to be seen."""
    evaluation: EvaluationConfig | None = None
    """Measured as trainer.eval_strategy says: after every epoch where it says nothing."""

    def __post_init__(self) -> None:
        if (self.event_lesson or self.state_lesson) and self.data.simulator is None:
            raise ConfigError(f"stage {self.name}: lessons need data.simulator, which knows what is to be seen")
        if self.task not in ("dialogue", "scene"):
            raise ConfigError(f'stage {self.name}: task is "dialogue" or "scene", not {self.task!r}')
        stored = self.data.features or (self.evaluation and self.evaluation.features)
        if self.learn.vision and stored:
            raise ConfigError(
                f"stage {self.name}: learn.vision needs frames, and features are of a tower as it was; "
                "give videos, or leave the tower as it is"
            )
        refused = [name for name in self.trainer if name in _NOT_FOR_TRAINER]
        if self.evaluation is None:
            refused += [name for name in self.trainer if name.startswith("eval_")]
        if refused:
            reason = _NOT_FOR_TRAINER.get(refused[0], "the stage has no evaluation, which says on what")
            raise ConfigError(f"stage {self.name}: trainer.{refused[0]} cannot be set: {reason}")
        if self.evaluation is not None and self.evaluation.seeds is not None and self.learn.llm == "lora":
            raise ConfigError(
                f"stage {self.name}: evaluation.seeds runs the model live, which takes merged weights; with LoRA "
                "give evaluation.dialogues, or evaluate the finished model"
            )
        if self.evaluation is not None and self.data.baseline == "per_frame":
            raise ConfigError(f"stage {self.name}: evaluation is of streaming dialogues, not of the per_frame baseline")
        if self.task == "scene":
            self._check_scene()

    def _check_scene(self) -> None:
        if self.data.simulator is None:
            raise ConfigError(f"stage {self.name}: the scene task learns from data.simulator")
        of_dialogues = ("learn", "event_lesson", "state_lesson", "stream_loss_weight", "evaluation")
        for setting in (*of_dialogues, "gradient_checkpointing"):
            field_of = next(f for f in dataclasses.fields(self) if f.name == setting)
            default = field_of.default_factory() if field_of.default is dataclasses.MISSING else field_of.default
            if getattr(self, setting) != default:
                raise ConfigError(
                    f"stage {self.name}: the scene task teaches the vision tower alone; leave {setting} out"
                )


@dataclass(frozen=True)
class TrainConfig:
    """A whole run."""

    output: str
    model: ModelConfig
    stages: tuple[StageConfig, ...]
    threads: int | None = None
    """CPU threads of PyTorch; None leaves it to PyTorch."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.stages:
            raise ConfigError("stages is empty; a run has at least one")

    @classmethod
    def load(cls, path: str | Path) -> TrainConfig:
        """Read a YAML file.

        Raises:
            ConfigError: not there, not YAML, or a setting that is unknown, missing or of the wrong type.
        """
        path = Path(path)
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not valid YAML: {error}") from error
        try:
            return from_values(cls, values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error


def live_config(values: dict[str, Any], name: str, **places: str) -> LiveConfig:
    """A LiveConfig of the settings `name`, which are not its `llm` and `vision`: those are `places`.

    Raises:
        ConfigError: a setting is unknown or out of its range.
    """
    check_names(values, {f.name for f in dataclasses.fields(LiveConfig)} - {"llm", "vision"}, name)
    try:
        return LiveConfig(**values, **places)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: {error}") from error


def check_names(values: dict[str, Any], known: Collection[str], name: str) -> None:
    """Raise ConfigError when a setting of `name` is not known."""
    unknown = sorted(str(setting) for setting in values if setting not in known)
    if unknown:
        raise ConfigError(f"unknown setting {_join(name, unknown[0])}; known are {', '.join(sorted(known))}")


def from_values(kind: type, values: object, name: str = "") -> Any:
    """A dataclass `kind` out of nested dictionaries and lists, with every name and type checked."""
    if not isinstance(values, dict):
        raise ConfigError(f"{name or 'the file'} holds settings by name, not {values!r}")
    hints = get_type_hints(kind)
    check_names(values, hints.keys(), name)
    needed = [f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING]
    for setting in needed:
        if setting not in values:
            raise ConfigError(f"{_join(name, setting)} is missing")
    return kind(**{setting: _convert(hints[setting], value, _join(name, setting)) for setting, value in values.items()})


def _convert(kind: Any, value: object, name: str) -> object:
    if get_origin(kind) in (UnionType, typing.Union):
        if value is None and type(None) in get_args(kind):
            return None
        kind = next(option for option in get_args(kind) if option is not type(None))
    if dataclasses.is_dataclass(kind):
        return from_values(kind, value, name)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        if not isinstance(value, list) or (inner[-1] is not Ellipsis and len(value) != len(inner)):
            raise ConfigError(f"{name} is a list{'' if inner[-1] is Ellipsis else f' of {len(inner)}'}, not {value!r}")
        return tuple(_convert(inner[0], item, f"{name}[{index}]") for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise ConfigError(f"{name} is of type {getattr(kind, '__name__', kind)}, not {value!r}")


def _join(name: str, setting: str) -> str:
    return f"{name}.{setting}" if name else setting
