# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the method matter? The same small budget for LIVE, the paper's two baselines and other weights of its loss.

    python benchmark/method.py --start runs/demo/1-scene/model --json out.json

Every run starts from the same model (a tower that sees, a decoder that knows nothing), reads the same stored features
of the same streams, and is tested on the same unseen streams.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from geometries import ROOT  # noqa: F401  (makes the package importable)

from videollm_ros.data import FeatureFolder
from videollm_ros.data.baselines import NOTHING_NEW
from videollm_ros.data.dialogues import write_dialogues
from videollm_ros.evaluation.metrics import average_metrics, stream_metrics
from videollm_ros.evaluation.per_frame import per_frame_metrics
from videollm_ros.evaluation.simulator import evaluate_simulator
from videollm_ros.live import LiveModel
from videollm_ros.sim import Tabletop, to_record
from videollm_ros.training.config import (
    DataConfig,
    LearnConfig,
    ModelConfig,
    SimulatorConfig,
    StageConfig,
    TrainConfig,
)
from videollm_ros.training.run import train_stage
from videollm_ros.training.samples import DialogueSamples, Source
from videollm_ros.training.simulated import encoded, simulated_sources

VARIANTS = {
    "interleaved dialogue": {"baseline": "interleaved"},
    "per-frame dialogue": {"baseline": "per_frame"},
    "LIVE, w 0.5": {"weight": 0.5},
    "LIVE, w 1": {"weight": 1.0},
    "LIVE, w 2": {"weight": 2.0},
    "LIVE, w 3": {"weight": 3.0},
}


def store(model: LiveModel, seeds: range, seconds: float, folder: Path) -> tuple[DataConfig, list[Source]]:
    """Dialogues and features of the streams, on disk."""
    streams = SimulatorConfig((seeds.start, seeds.stop), seconds)
    sources = encoded(simulated_sources(streams, model, seed=0), model)
    features = FeatureFolder(folder / "features")
    for source in sources:
        features.write(source.dialogue.video, source.read(source.dialogue))
    write_dialogues([source.dialogue for source in sources], folder / "dialogues.jsonl")
    return DataConfig(dialogues=str(folder / "dialogues.jsonl"), features=str(folder / "features")), sources


@torch.inference_mode()
def teacher_forced(model: LiveModel, seeds: range, seconds: float, per_frame: bool) -> dict[str, float | None]:
    """The paper's metrics, averaged over streams."""
    metrics = per_frame_metrics if per_frame else stream_metrics
    rows = []
    for seed in seeds:
        tabletop = Tabletop(seed, seconds)
        features = model.encode(model.prepare(tabletop.frames(model.config.frame_fps)))
        rows.append(
            metrics(model, to_record(tabletop, model.config.frame_fps, questions=False)["conversation"], features)
        )
    return average_metrics(rows, model.config.frame_fps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", required=True, help="the model after the scene stage")
    parser.add_argument("--train", type=int, default=1000, help="streams to learn from, seeds 0 to this")
    parser.add_argument("--test", type=int, default=40, help="streams to test on, seeds from 9000")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    test = range(9000, 9000 + given.test)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        start = LiveModel.from_pretrained(given.start, device="cpu")
        data, sources = store(start, range(given.train), given.seconds, Path(temporary))
        for name, variant in VARIANTS.items():
            model = LiveModel.from_pretrained(given.start, device="cpu")
            stage = StageConfig(
                name="method",
                data=replace(data, baseline=variant.get("baseline")),
                learn=LearnConfig(llm="all"),
                stream_loss_weight=variant.get("weight", 1.0),
                trainer={
                    "bf16": True,
                    "per_device_train_batch_size": 8,
                    "num_train_epochs": given.epochs,
                    "learning_rate": 2e-3,
                    "adam_beta2": 0.98,
                    "lr_scheduler_type": "cosine",
                    "warmup_steps": 30,
                    "weight_decay": 0.05,
                    "logging_steps": 50,
                    "save_strategy": "no",
                    "report_to": "none",
                },
            )
            config = TrainConfig(temporary, ModelConfig(checkpoint=given.start), (stage,))
            trainer = train_stage(model, stage, Path(temporary) / name, config)
            model.requires_grad_(False).eval()
            per_frame = stage.data.baseline == "per_frame"
            samples = DialogueSamples(sources, model, stage.data, 0, frames=False)
            tokens = sum(len(samples[index].input_ids) for index in range(len(samples))) / len(samples)
            taught = teacher_forced(model, test, given.seconds, per_frame)
            silence = NOTHING_NEW if per_frame else None
            alone, _ = evaluate_simulator(model, test, given.seconds, teacher_forced=False, nothing_new=silence)
            row = {
                "variant": name,
                **taught,
                "event_f1": alone["event_f1"],
                "false_per_quiet_minute": alone["false_per_quiet_minute"],
                "tokens_per_dialogue": tokens,
                "train_seconds": trainer.state.log_history[-1]["train_runtime"],
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    if given.json:
        settings = {"train": given.train, "test": given.test, "seconds": given.seconds, "epochs": given.epochs}
        given.json.write_text(json.dumps(settings | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
