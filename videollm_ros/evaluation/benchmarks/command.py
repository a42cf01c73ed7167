# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the benchmark that the command line names."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.evaluation.arguments import check_options, score_settings, watch_settings
from videollm_ros.evaluation.benchmarks.benchmark import Benchmark
from videollm_ros.evaluation.benchmarks.coin import CoinBenchmark
from videollm_ros.evaluation.benchmarks.footage import EncodedVideos, Footage, StoredFeatures
from videollm_ros.evaluation.benchmarks.live_dialogues import DialoguesBenchmark
from videollm_ros.evaluation.benchmarks.lta import LtaBenchmark
from videollm_ros.evaluation.benchmarks.output import print_figures
from videollm_ros.evaluation.benchmarks.ovo_bench import OvoBench
from videollm_ros.evaluation.benchmarks.proactivevideoqa import ProactiveVideoQaBenchmark
from videollm_ros.evaluation.benchmarks.processes import Processes
from videollm_ros.evaluation.benchmarks.run import run_benchmark
from videollm_ros.evaluation.benchmarks.streamingbench import StreamingBenchProactive
from videollm_ros.evaluation.benchmarks.teacher_forced import StreamBenchmark
from videollm_ros.evaluation.benchmarks.video_questions import VideoQuestions
from videollm_ros.evaluation.provenance import describe_checkpoint, versions
from videollm_ros.live import LiveModel

_NO_SETTINGS = ("command", "checkpoint", "llm", "vision", "device", "dtype", "limit", "videos", "features")
"""What does not change the figures of an item, or stands elsewhere in metrics.json."""


def _stream(given: argparse.Namespace, model: LiveModel) -> Benchmark:
    return StreamBenchmark(given.annotations, _footage(given, model), given.threshold)


def _dialogues(given: argparse.Namespace, model: LiveModel) -> Benchmark:
    footage, fps = _footage(given, model), model.config.frame_fps
    if given.fps not in (0.0, fps):
        raise ValueError(f"--fps {given.fps:g}: the frames of dialogues are those of the model's {fps:g} per second.")
    return DialoguesBenchmark(
        given.annotations, footage, watch_settings(given), score_settings(given), fps, given.window
    )


def _coin(given: argparse.Namespace, model: LiveModel) -> Benchmark:
    return CoinBenchmark(given.annotations, _footage(given, model), given.tasks, model.config.frame_fps, given.window)


def _lta(given: argparse.Namespace, model: LiveModel) -> Benchmark:
    return LtaBenchmark(given.annotations, _footage(given, model), given.split, model.config.frame_fps, given.window)


def _proactivevideoqa(given: argparse.Namespace, model: LiveModel) -> Benchmark:
    return ProactiveVideoQaBenchmark(given.annotations, _questions(given), score_settings(given))


def _streamingbench(given: argparse.Namespace, model: LiveModel) -> Benchmark:
    return StreamingBenchProactive(given.annotations, _questions(given), given.seconds_before)


def _ovo_bench(given: argparse.Namespace, model: LiveModel) -> Benchmark:
    return OvoBench(given.annotations, _questions(given))


def _questions(given: argparse.Namespace) -> VideoQuestions:
    return VideoQuestions(given.videos, watch_settings(given), given.window)


_BENCHMARKS: dict[str, Callable[[argparse.Namespace, LiveModel], Benchmark]] = {
    "stream": _stream,
    "dialogues": _dialogues,
    "coin": _coin,
    "lta": _lta,
    "proactivevideoqa": _proactivevideoqa,
    "streamingbench-proactive": _streamingbench,
    "ovo-bench": _ovo_bench,
}
"""Name of a command -> how its benchmark is made."""


def run_command(given: argparse.Namespace) -> int:
    """Run the benchmark that the command line names, in this process and those that were started with it.

    Returns:
        the exit code: 0, or 1 where items failed that could be run.

    Raises:
        ValueError, OSError: the annotations, the videos, the checkpoint or the settings are of no use.
    """
    if given.limit is not None and given.limit < 1:
        raise ValueError(f"--limit is a number of items, at least 1: {given.limit}")
    # What is of no use is said before a model is loaded.
    check_options(given)
    for folder in (given.videos, getattr(given, "features", None)):
        if folder is not None and not folder.is_dir():
            raise ValueError(f"{folder} is not a folder.")
    annotations = _digest(given.annotations)
    processes = Processes(given.device)
    try:
        checkpoint = given.checkpoint or demo_checkpoint()
        model = LiveModel.from_pretrained(
            checkpoint, llm=given.llm, vision=given.vision, device=processes.device, dtype=given.dtype
        )
        described = describe_checkpoint(checkpoint, model)
        provenance = {
            "settings": _settings(given),
            "checkpoint": described,
            "annotations": annotations,
            "versions": versions(),
        }
        benchmark = _BENCHMARKS[given.command](given, model)
        metrics = run_benchmark(benchmark, model, given.output, provenance, processes, given.limit)
    finally:
        processes.close()
    if metrics is None:
        return 0
    print_figures(metrics, given.output)
    return 1 if metrics["failed"] else 0


def _footage(given: argparse.Namespace, model: LiveModel) -> Footage:
    return StoredFeatures(given.features, model) if given.features else EncodedVideos(given.videos, model)


def _settings(given: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says, without paths."""
    said = vars(given) | {"footage": "features" if getattr(given, "features", None) else "videos"}
    return {
        name: value for name, value in sorted(said.items()) if name not in _NO_SETTINGS and not isinstance(value, Path)
    }


def _digest(path: Path) -> str:
    """Return the SHA-256 of the annotations: of a file, or of the JSON files of a folder.

    Raises:
        ValueError: they are no UTF-8 text.
        OSError: they cannot be read.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    total = hashlib.sha256()
    for each in files:
        content = each.read_bytes()
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{each} is no UTF-8 text: {error}.") from error
        total.update(content)
    return total.hexdigest()
