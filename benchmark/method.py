# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the method matter? The same small budget for LIVE, the paper's two baselines and other weights of its loss.

    python benchmark/method.py --seeds 3 --json out.json

Every run starts from the tower of the demo checkpoint, with a decoder and a connector that are drawn from its seed and
know nothing. All runs read the same features of the same streams and are tested on the same unseen streams. A figure
of a row is the mean over its seeds, with the range over them. The event F1 also has a 95 % bootstrap interval over the
test streams of all seeds: a difference below it means nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from geometries import ROOT
from machine import describe_machine
from transformers import LlamaForCausalLM, set_seed

from videollm_ros.data import FeatureFolder
from videollm_ros.data.baselines import NOTHING_NEW
from videollm_ros.data.dialogues import write_dialogues
from videollm_ros.data.features import encode_frames
from videollm_ros.data.samples import DialogueSamples
from videollm_ros.data.simulated import SimulatorConfig, SimulatorSource
from videollm_ros.data.sources import FEATURES, DataConfig, open_sources
from videollm_ros.evaluation.metrics import average_metrics, stream_metrics
from videollm_ros.evaluation.per_frame import per_frame_metrics
from videollm_ros.evaluation.simulator import StreamsConfig, Transcript, evaluate_simulator, simulator_intervals
from videollm_ros.live import LiveModel
from videollm_ros.live.connector import make_connector
from videollm_ros.sim import Tabletop, to_record
from videollm_ros.training.config import ModelConfig, StageConfig, TrainableConfig, TrainConfig
from videollm_ros.training.stage import train_stage

START = ROOT / "checkpoints" / "demo"
FIGURES = ("lm_ppl", "time_diff", "fluency", "event_f1", "false_per_quiet_minute", "tokens_per_dialogue")


@dataclass(frozen=True)
class Variant:
    """A row of the table: what differs from LIVE as the paper has it."""

    baseline: str | None = None
    weight: float = 1.0
    silence_keep_ratio: float = 1.0
    reply_corruption: float = 0.0


VARIANTS = {
    "interleaved dialogue": Variant(baseline="interleaved"),
    "per-frame dialogue": Variant(baseline="per_frame"),
    "LIVE, w 0.5": Variant(weight=0.5),
    "LIVE, w 1": Variant(),
    "LIVE, w 2": Variant(weight=2.0),
    "LIVE, w 3": Variant(weight=3.0),
    "LIVE, silence_keep_ratio 0.1": Variant(silence_keep_ratio=0.1),
    "LIVE, reply_corruption 0.2": Variant(reply_corruption=0.2),
}


def new_model(seed: int) -> LiveModel:
    """Return the demo checkpoint with a decoder and a connector that have learned nothing."""
    model = LiveModel.from_pretrained(START, device="cpu")
    set_seed(seed)
    model.llm = LlamaForCausalLM(model.llm.config)
    model.connector = make_connector(model.vision.hidden_size, model.llm.config.hidden_size)
    return model


def store(model: LiveModel, seeds: range, seconds: float, folder: Path) -> DataConfig:
    """Write dialogues and features of the streams."""
    streams = SimulatorSource(SimulatorConfig((seeds.start, seeds.stop), seconds), None, model, seed=0)
    encoded, features = streams.encoded(model.vision, "cpu"), FeatureFolder(folder / "features")
    dialogues = [encoded.dialogue(index, None) for index in range(len(encoded))]
    for index, dialogue in enumerate(dialogues):
        features.write(dialogue.video, encoded.visual(index, dialogue))
    write_dialogues(dialogues, folder / "dialogues.jsonl")
    return DataConfig(dialogues=str(folder / "dialogues.jsonl"), features=str(folder / "features"))


@torch.inference_mode()
def teacher_forced(model: LiveModel, seeds: range, seconds: float, per_frame: bool) -> dict[str, float | None]:
    """Return the paper's metrics, averaged over streams."""
    metrics, fps = per_frame_metrics if per_frame else stream_metrics, model.config.frame_fps
    rows = []
    for seed in seeds:
        tabletop = Tabletop(seed, seconds)
        features = encode_frames(model.vision, model.prepare(tabletop.frames(fps)))
        rows.append(metrics(model, to_record(tabletop, fps, questions=False)["conversation"], features))
    return average_metrics(rows, fps)


def run(
    variant: Variant, seed: int, data: DataConfig, test: range, given: argparse.Namespace, folder: Path
) -> tuple[dict[str, Any], list[Transcript]]:
    """Train and test one variant from one seed."""
    model = new_model(seed)
    changes = {"silence_keep_ratio": variant.silence_keep_ratio, "reply_corruption": variant.reply_corruption}
    trainer = {"bf16": True, "per_device_train_batch_size": 8, "num_train_epochs": given.epochs, "learning_rate": 2e-3}
    trainer |= {"adam_beta2": 0.98, "lr_scheduler_type": "cosine", "warmup_steps": 30, "weight_decay": 0.05}
    trainer |= {"logging_steps": 50, "save_strategy": "no", "report_to": "none"}
    stage = StageConfig(
        name="method",
        data=replace(data, baseline=variant.baseline, **changes),
        trainable=TrainableConfig(llm="all"),
        stream_loss_weight=variant.weight,
        trainer=trainer,
    )
    config = TrainConfig(str(folder), ModelConfig(checkpoint=str(START)), (stage,), seed=seed)
    done = train_stage(model, stage, folder, config)
    model.requires_grad_(False).eval()
    samples = DialogueSamples(open_sources(stage.data, model, 0), model, stage.data, 0, FEATURES)
    per_frame = variant.baseline == "per_frame"
    taught = teacher_forced(model, test, given.seconds, per_frame)
    silence = NOTHING_NEW if per_frame else None
    alone, transcripts = evaluate_simulator(
        model, test, StreamsConfig(given.seconds, teacher_forced=False, nothing_new=silence)
    )
    figures = {**taught, "event_f1": alone["event_f1"], "false_per_quiet_minute": alone["false_per_quiet_minute"]}
    seconds = done.state.log_history[-1]["train_runtime"]
    return figures | {"tokens_per_dialogue": samples.mean_tokens(), "train_seconds": seconds}, transcripts


def summarize(runs: Sequence[dict[str, Any]], transcripts: Sequence[Transcript]) -> dict[str, Any]:
    """Return the mean and the range of every figure over the seeds of a row."""
    row: dict[str, Any] = {}
    for name in FIGURES:
        values = [run[name] for run in runs if run[name] is not None]
        row[name] = {"mean": statistics.fmean(values), "range": [min(values), max(values)]} if values else None
    return row | {"event_f1_interval": simulator_intervals(transcripts)["event_f1"], "runs": list(runs)}


def main() -> None:
    """Run all variants from all seeds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="runs per row, each from another decoder")
    parser.add_argument("--train", type=int, default=1600, help="streams to learn from, seeds 0 to this")
    parser.add_argument("--test", type=int, default=150, help="streams to test on, seeds from 9000")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a stream")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rows", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="ROW")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    test, rows = range(9000, 9000 + given.test), {}
    settings = {name: getattr(given, name) for name in ("seeds", "train", "test", "seconds", "epochs")}
    with tempfile.TemporaryDirectory() as temporary:
        data = store(LiveModel.from_pretrained(START, device="cpu"), range(given.train), given.seconds, Path(temporary))
        for name in given.rows:
            runs, transcripts = [], []
            for seed in range(1, given.seeds + 1):
                folder = Path(temporary) / f"{name}-{seed}"
                figures, said = run(VARIANTS[name], seed, data, test, given, folder)
                runs.append(figures)
                transcripts += said
            rows[name] = summarize(runs, transcripts)
            print(json.dumps({"variant": name, **rows[name]}), flush=True)
            if given.json:  # after every row: a killed run keeps what it has
                machine = describe_machine(torch.device("cpu"))
                given.json.write_text(json.dumps(settings | {"machine": machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
