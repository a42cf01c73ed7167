# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far can a user go from what the demo checkpoint was trained on? Frame rates, thresholds, rules, shapes of images.

    python benchmark/conditions.py --streams 100 --json out.json

Every row watches the same unseen streams, and differs from the first in one setting. Figures have a 95 % bootstrap
interval over the streams.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from geometries import ROOT
from machine import describe_machine

from videollm_ros.evaluation.simulator import StreamsConfig, evaluate_simulator, simulator_intervals
from videollm_ros.live import LiveModel

FIGURES = ("event_f1", "mean_time_difference", "false_per_quiet_minute", "answer_accuracy")


def stretched(frames: np.ndarray) -> np.ndarray:
    """Return frames as a 4:3 camera gives them whose picture is wider than the table: everything a third wider."""
    return np.stack([cv2.resize(frame, (128, 96), interpolation=cv2.INTER_AREA) for frame in frames])


def surrounded(frames: np.ndarray) -> np.ndarray:
    """Return frames of 4:3 with the table in the middle, of its own shape, and gray at both sides."""
    side = frames.shape[2] // 6
    return np.pad(frames, ((0, 0), (0, 0), (side, side), (0, 0)), constant_values=128)


def barred(frames: np.ndarray) -> np.ndarray:
    """Return frames that the model's letterbox makes square again: 4:3 with the table's top and bottom cut off."""
    cut = frames.shape[1] // 8
    return frames[:, cut:-cut]


def rows() -> dict[str, dict[str, Any]]:
    """Return the settings of every row."""
    views: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "4:3, a third wider": stretched,
        "4:3, gray at both sides": surrounded,
        "4:3, top and bottom cut off": barred,
    }
    return {
        "2 FPS, threshold 0.725, square": {},
        **{f"{fps:g} FPS": {"fps": fps} for fps in (0.5, 1.0, 1.5, 4.0, 5.0, 10.0)},
        **{f"threshold {theta:g}": {"threshold": theta} for theta in (0.3, 0.5, 0.6, 0.9, 0.99, 0.999)},
        **{name: {"view": view} for name, view in views.items()},
    }


def main() -> None:
    """Evaluate every row and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=100, help="number of streams, seeds from 9000")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a stream")
    parser.add_argument("--rows", nargs="+", choices=rows(), default=list(rows()), metavar="ROW")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = LiveModel.from_pretrained(ROOT / "checkpoints" / "demo", device="cpu")
    seeds = range(9000, 9000 + given.streams)
    results: dict[str, Any] = {}
    for name in given.rows:
        config = StreamsConfig(given.seconds, teacher_forced=False, **rows()[name])
        figures, transcripts = evaluate_simulator(model, seeds, config)
        intervals = simulator_intervals(transcripts)
        results[name] = {each: {"value": figures[each], "interval": intervals[each]} for each in FIGURES}
        print(json.dumps({"row": name, **results[name]}), flush=True)
        if given.json:  # after every row: a killed run keeps what it has
            head = {
                "streams": given.streams,
                "seconds": given.seconds,
                "machine": describe_machine(torch.device("cpu")),
            }
            given.json.write_text(json.dumps(head | {"rows": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
