# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure what `context_seconds` does for dialogues from files: event F1 once the context is full, with and without.

    python examples/own_recordings.py --output own_long --count 6 --seed 32000 --seconds 240
    python benchmark/file_memory.py --dialogues dialogues.jsonl --features features --held-out own_long \
        --instruction "Report each change." --seeds 3 --json out.json

Both rows start from the same checkpoint and learn from the same files in the same number of steps.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from videollm_ros.assistant import AssistantSettings, ContextSettings, StreamSettings
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.evaluation.annotations import read_events
from videollm_ros.evaluation.recording import VideoRecording
from videollm_ros.evaluation.scores.intervals import Parts, interval, ratio
from videollm_ros.evaluation.scores.judged import ScoreSettings, judge
from videollm_ros.evaluation.transcribe import transcribe
from videollm_ros.live import LiveModel
from videollm_ros.training.config import TrainConfig
from videollm_ros.training.run import train
from videollm_ros.training.yaml_dataclass import from_values

ROWS: dict[str, list[float] | None] = {"without": None, "with": [20.0, 40.0]}


def main() -> None:
    """Train and measure both rows, and print a line per training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dialogues", required=True)
    parser.add_argument("--features", required=True)
    parser.add_argument("--held-out", type=Path, required=True, help="folder with recordings/ and notes/")
    parser.add_argument("--checkpoint", default=str(demo_checkpoint()), help="where training starts")
    parser.add_argument("--instruction", default="")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1.0e-3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--context-tokens", type=int, default=0, help="size of the context; 0: as trained")
    parser.add_argument("--after", type=float, default=110.0, help="seconds after which the context is full")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = ("checkpoint", "steps", "batch_size", "learning_rate", "context_tokens", "after")
    settings, results = {name: getattr(given, name) for name in names}, []
    for seed in range(given.seeds):
        for row, context_seconds in ROWS.items():
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                config = from_values(TrainConfig, run_settings(given, context_seconds, seed, folder))
                model = LiveModel.from_pretrained(train(config), device="cpu")
            minutes = (time.monotonic() - began) / 60
            results.append({"row": row, "seed": seed, "training_minutes": minutes, **measure(model, given)})
            print(json.dumps(results[-1]), flush=True)
            if given.json:
                given.json.write_text(json.dumps({"settings": settings, "runs": results}, indent=2) + "\n")


def run_settings(given: argparse.Namespace, context_seconds: list[float] | None, seed: int, output: str) -> Any:
    """Return the configuration of a training."""
    trainer = {"bf16": True, "per_device_train_batch_size": given.batch_size, "max_steps": given.steps}
    trainer |= {"learning_rate": given.learning_rate, "adam_beta2": 0.98, "lr_scheduler_type": "cosine"}
    trainer |= {"warmup_steps": 10, "weight_decay": 0.05}
    trainer |= {"save_strategy": "no", "report_to": "none"}
    data = {"dialogues": given.dialogues, "features": given.features}
    if context_seconds is not None:
        data["context_seconds"] = context_seconds
    stage = {"name": "dialogue", "trainable": {"llm": "all"}, "data": data, "trainer": trainer}
    model = {"checkpoint": given.checkpoint}
    return {"output": output, "threads": 1, "seed": seed, "model": model, "stages": [stage]}


def measure(model: LiveModel, given: argparse.Namespace) -> dict[str, Any]:
    """Return the event F1 before and after the context is full, with 95 % intervals over the recordings."""
    stream, context = StreamSettings(instruction=given.instruction), ContextSettings(max_tokens=given.context_tokens)
    settings = AssistantSettings(stream=stream, context=context)
    parts: dict[str, list[Parts]] = {"before": [], "after": []}
    for path in sorted((given.held_out / "recordings").iterdir()):
        events = read_events(given.held_out / "notes" / f"{path.stem}.jsonl")
        said = transcribe(model, VideoRecording(path), settings).utterances
        for name, is_after in (("before", False), ("after", True)):
            spoken = [each for each in said if (each.time >= given.after) is is_after]
            chosen = [event for event in events if (event.time >= given.after) is is_after]
            pairs = judge(spoken, chosen, ScoreSettings()).pairs
            parts[name].append((2.0 * len(pairs), float(len(spoken) + len(chosen))))
    return {f"event_f1_{name}": {"value": ratio(each), "interval": interval(each)} for name, each in parts.items()}


if __name__ == "__main__":
    main()
