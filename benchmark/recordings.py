# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluate the demo checkpoint on simulated bags with their ground truth, and measure how fast bags are read.

python benchmark/recordings.py --bags 20 --seconds 300 --json out.json --keep FOLDER
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from machine import describe_machine
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.provenance import describe_checkpoint, versions
from videollm_ros.evaluation.recording import BagRecording
from videollm_ros.evaluation.report.page import write_report, write_summary
from videollm_ros.evaluation.results import describe_scoring, make_metrics, make_result, write_metrics, write_result
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.evaluation.transcribe import transcribe
from videollm_ros.live import LiveModel
from videollm_ros.sim import Tabletop

TYPES = get_typestore(Stores.ROS2_JAZZY)
START = 1_700_000_000 * 10**9
RAW, JPEG = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


def write_bag(path: Path, tabletop: Tabletop, fps: float, size: tuple[int, int] | None = None) -> None:
    """Write a simulated stream as an mcap bag: raw as it is rendered, or as JPEG of `size` (width, height)."""
    kind = RAW if size is None else JPEG
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/camera/image_raw", kind, typestore=TYPES)
        for stamp, rgb in render(tabletop, fps):
            time_type, header_type = TYPES.types["builtin_interfaces/msg/Time"], TYPES.types["std_msgs/msg/Header"]
            header = header_type(time_type(stamp // 10**9, stamp % 10**9), "camera")
            if size is None:
                side = tabletop.resolution
                message = TYPES.types[RAW](header, side, side, "rgb8", 0, 3 * side, rgb.reshape(-1))
            else:
                large = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
                jpeg = cv2.imencode(".jpg", cv2.cvtColor(large, cv2.COLOR_RGB2BGR))[1]
                message = TYPES.types[JPEG](header, "rgb8; jpeg compressed bgr8", jpeg.reshape(-1))
            writer.write(connection, stamp, TYPES.serialize_cdr(message, kind))


def render(tabletop: Tabletop, fps: float) -> Iterator[tuple[int, np.ndarray]]:
    """Render the images with their stamps in nanoseconds."""
    for index in range(tabletop.num_frames(fps)):
        yield START + round(index / fps * 1e9), tabletop.render(index / fps)


def evaluate(model: LiveModel, folder: Path, bags: int, seconds: float, fps: float, output: Path) -> dict:
    """Evaluate the model on so many bags, seeds 9000 on. Results are written into `output`."""
    settings, results = ScoreSettings(), []
    provenance = {
        "settings": {"threshold": 0.725, "fps": model.config.frame_fps, **describe_scoring(settings)},
        "checkpoint": describe_checkpoint(demo_checkpoint(), model),
        "versions": versions(),
    }
    for seed in range(9000, 9000 + bags):
        tabletop = Tabletop(seed, seconds)
        bag = folder / f"table-{seed}"
        write_bag(bag, tabletop, fps)
        events = [AnnotatedEvent(event.time, event.text) for event in tabletop.events]
        result = make_result(transcribe(model, BagRecording(bag)), events, [], settings)
        metrics = make_metrics([result], settings, provenance)
        write_result(result, metrics, output / bag.name)
        write_report(result, metrics, output / bag.name / "report.html")
        result.transcript.thumbnails.clear()
        results.append(result)
        print(seed, f"{metrics['event_f1']:.3f}", flush=True)
        for file in bag.iterdir():
            file.unlink()
    metrics = make_metrics(results, settings, provenance)
    write_metrics(metrics, output)
    write_summary(results, metrics, output / "report.html")
    return metrics


def measure_speed(model: LiveModel, folder: Path) -> list[dict]:
    """Measure seconds of a bag per second, and the share of each stage."""
    rows = []
    for name, fps, size in (("96x96 rgb8, 10 Hz", 10.0, None), ("640x480 JPEG, 30 Hz", 30.0, (640, 480))):
        bag = folder / name.split()[0]
        write_bag(bag, Tabletop(9000, 120.0), fps, size)
        recording = BagRecording(bag)
        transcribe(model, recording)  # what is done once only: threads, buffers
        began = time.perf_counter()
        transcript = transcribe(model, recording)
        wall, total = time.perf_counter() - began, sum(transcript.timings.values())
        shares = {stage: spent / total for stage, spent in transcript.timings.items()}
        rows.append({"images": name, "speed": transcript.seconds / wall, "wall": wall, "shares": shares})
        print(
            f"{name}: {transcript.seconds / wall:.0f} s of bag per second,", {k: f"{v:.0%}" for k, v in shares.items()}
        )
    return rows


def main() -> None:
    """Run both and write one JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bags", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--fps", type=float, default=4.0, help="images per second of the bags that are scored")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the transcripts and reports")
    given = parser.parse_args()
    model = LiveModel.from_pretrained(demo_checkpoint())
    with tempfile.TemporaryDirectory() as folder:
        speed = measure_speed(model, Path(folder))
        output = given.keep or Path(folder) / "results"
        metrics = evaluate(model, Path(folder), given.bags, given.seconds, given.fps, output)
    for name, value in metrics.items():
        if isinstance(value, dict) and "interval" in value:
            print(f"{name:24} {value['value']:.4f} [{value['interval'][0]:.4f}, {value['interval'][1]:.4f}]")
    if given.json:
        kept = {name: value for name, value in metrics.items() if name not in ("recordings", "calibration")}
        kept["recordings"] = [{"name": each["name"], **each["figures"]} for each in metrics["recordings"]]
        kept |= {"speed": speed, "machine": describe_machine(model.device)}
        given.json.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
