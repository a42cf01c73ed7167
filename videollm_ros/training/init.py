# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`videollm-train --init run.yaml`: four questions, and a commented configuration that trains on a team's own files."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import yaml

from videollm_ros.data.dialogues import DialogueError, read_dialogues
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.training.config import RENAMED, TrainConfig
from videollm_ros.training.yaml_dataclass import ConfigError, from_values

DEMO = "demo"
_TEMPLATE = """\
# Fine-tuning on your own dialogues: python -m videollm_ros.training --config {file}
# A killed run goes on where it was when the same command is given again. docs/training.md describes every setting.
output: {output}
model:
  checkpoint: {checkpoint}  # where training starts
{dtype}stages:
  - name: dialogue
    trainable: {trainable}
    stream_loss_weight: 1.0  # weight of the decision to speak or stay silent against that of a word
    data:
      sources:
        - dialogues: {dialogues}  # one JSON line per dialogue
          {kind}: {visual}
{context}{simulator}      reply_corruption: {corruption}  # share of dialogues with a false earlier reply
    # evaluation: {{dialogues: held_out.jsonl, {kind}: {visual}}}  # measured after every epoch
    trainer:  # settings of transformers.TrainingArguments
{trainer}"""
_CONTEXT = "          {}context_seconds: {}  # about every second dialogue remembers only this much video\n"
_LORA = """\
      bf16: true
      per_device_train_batch_size: 1
      gradient_accumulation_steps: 8
      num_train_epochs: 2
      learning_rate: 2.0e-4
      lr_scheduler_type: cosine
      warmup_steps: 0.05  # below 1: a share of all steps
      save_steps: 200
"""
_SMALL = """\
      bf16: true
      per_device_train_batch_size: 8
      max_steps: 220
      learning_rate: 1.0e-3
      adam_beta2: 0.98
      lr_scheduler_type: cosine
      warmup_steps: 20
      weight_decay: 0.05
      save_steps: 100
"""
_OLD_STREAMS, _PART_FRAMES = 300, 120
_SIMULATOR = f"""\
        # What the demo model has learned so far, half of every batch. Without it the model forgets the tabletop.
        - simulator:
            {{{{seeds: [4000, {4000 + _OLD_STREAMS}], seconds: 45.0, resolutions: [72, 96, 144], question_rate: 0.2}}}}
          weight: {{weight}}  # as many of these streams per epoch as parts of your dialogues, others in the next one
      max_frames: {_PART_FRAMES}  # longer dialogues are cut into parts
"""
_SUPPOSED_PARTS = 40
"""Of a file of dialogues that is not there yet."""


def ask_and_write(path: Path, ask: Callable[[str], str] = input) -> None:
    """Ask what a run needs and write its configuration.

    Args:
        path: of the new YAML file.
        ask: shows a question and returns the answer.

    Raises:
        ConfigError: the file exists already, cannot be written, or the answers make no configuration.
    """
    if path.exists():
        raise ConfigError(f"{path} exists already; give the name of a new file")
    try:
        checkpoint = _answer(ask, "Checkpoint to start from (hub id, folder, or demo)", DEMO)
        dialogues = _answer(ask, "Dialogues (JSON lines)", "dialogues.jsonl")
        visual = _answer(ask, "Folder of features or videos", "features")
        output = _answer(ask, "Folder for the result", f"runs/{path.stem}")
    except EOFError as error:
        raise ConfigError("the answers ended before the last question; nothing was written") from error
    text = compose(path, checkpoint, dialogues, visual, output)
    # Says now whether the answers can be used.
    from_values(TrainConfig, yaml.safe_load(text), renamed=RENAMED)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}") from error
    print(f"videollm-train: wrote {path}; train with --config {path}")


def compose(path: Path, checkpoint: str, dialogues: str, visual: str, output: str) -> str:
    """Return the text of a configuration for these answers."""
    is_demo = checkpoint == DEMO
    has_features = any(Path(visual).rglob("*.safetensors")) or not Path(visual).is_dir()
    return _TEMPLATE.format(
        file=path,
        output=_quoted(output),
        checkpoint=_quoted(str(_demo_from_here()) if is_demo else checkpoint),
        dtype="" if is_demo else "  dtype: bfloat16\n",
        trainable="{llm: all}  # the demo model is small"
        if is_demo
        else "{llm: lora}  # or all, which takes far more memory",
        dialogues=_quoted(dialogues),
        kind="features" if has_features else "videos",
        visual=_quoted(visual),
        context=_CONTEXT.format("", [5.0, 30.0]) if is_demo else _CONTEXT.format("# ", [60.0, 120.0]),
        corruption=0.5 if is_demo else 0.1,
        simulator=_SIMULATOR.format(weight=round(_count_parts(dialogues) / _OLD_STREAMS, 4)) if is_demo else "",
        trainer=_SMALL if is_demo else _LORA,
    )


def _demo_from_here() -> Path:
    """Return the demo checkpoint, relative to the current folder where it lies in it, as the file's other paths."""
    demo, here = demo_checkpoint(), Path.cwd()
    return demo.relative_to(here) if demo.is_relative_to(here) else demo


def _count_parts(dialogues: str) -> int:
    """Return how many samples the dialogues will be, cut into parts."""
    try:
        counts = [dialogue.num_frames for dialogue in read_dialogues(dialogues)]
    except (OSError, DialogueError):  # training says what is wrong with it
        return _SUPPOSED_PARTS
    return sum(max(1, math.ceil(count / _PART_FRAMES)) for count in counts)


def _answer(ask: Callable[[str], str], question: str, default: str) -> str:
    return ask(f"{question} [{default}]: ").strip() or default


def _quoted(text: str) -> str:
    """Return a text as YAML reads it back, whatever is in it."""
    return yaml.safe_dump(text, width=1000).removesuffix("\n").removesuffix("\n...")
