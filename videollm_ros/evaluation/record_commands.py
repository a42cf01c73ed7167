# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run `bag` and `video`: recordings in, transcripts, scores and a report out."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from videollm_ros.assistant import AssistantSettings
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotationError, read_events, read_queries
from videollm_ros.evaluation.arguments import score_settings, watch_settings
from videollm_ros.evaluation.provenance import describe_checkpoint, versions
from videollm_ros.evaluation.real_time import transcribe_in_real_time
from videollm_ros.evaluation.recording import BagRecording, Recording, VideoRecording, find_videos
from videollm_ros.evaluation.report.page import write_report, write_summary
from videollm_ros.evaluation.results import (
    Result,
    describe_scoring,
    make_metrics,
    make_result,
    write_metrics,
    write_result,
)
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.evaluation.transcribe import transcribe
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.live import LiveModel


def evaluate_recordings(given: argparse.Namespace) -> None:
    """Do what `bag` or `video` was asked to.

    Raises:
        ValueError, OSError: the recordings, the annotations, the checkpoint or the settings are of no use.
    """
    watching, scoring = watch_settings(given), score_settings(given)
    if given.window and given.real_time:
        raise ValueError("--window is a baseline to compare with, which the node has not: leave out --real-time.")
    recordings = open_recordings(given)
    # What is of no use is said before a model is loaded.
    events = [events_of(given.annotations, recording, len(recordings)) for recording in recordings]
    queries = [] if given.queries is None else read_queries(given.queries)
    checkpoint = given.checkpoint or demo_checkpoint()
    model = LiveModel.from_pretrained(checkpoint, device=given.device, dtype=given.dtype)
    provenance = {
        "settings": describe_settings(given, watching, scoring, model),
        "checkpoint": describe_checkpoint(checkpoint, model),
        "versions": versions(),
    }
    results = []
    for recording, happened in zip(recordings, events, strict=True):
        if given.real_time:
            transcript = transcribe_in_real_time(model, recording, watching, queries)
        else:
            transcript = transcribe_with_progress(model, recording, watching, queries, given.window)
        asked = [*recording.queries(), *queries]
        results.append(make_result(transcript, happened, asked, scoring))
        folder = given.output if len(recordings) == 1 else given.output / recording.name
        metrics = make_metrics(results[-1:], scoring, provenance)
        write_result(results[-1], metrics, folder)
        write_report(results[-1], metrics, folder / "report.html")
    metrics = make_metrics(results, scoring, provenance)
    if len(results) > 1:
        write_metrics(metrics, given.output)
        write_summary(results, metrics, given.output / "report.html")
    _print(results, metrics, given.output)


def open_recordings(given: argparse.Namespace) -> list[Recording]:
    """Open the recordings that the command line names.

    Raises:
        BagError, VideoError: one cannot be read.
        ValueError: two have the same name.
    """
    recordings: list[Recording] = []
    for path in given.recordings:
        if given.command == "bag" or (given.command == "sweep" and is_bag(path)):
            recordings.append(BagRecording(path, given.topic, given.query_topic, given.stamps))
        else:
            recordings += [VideoRecording(each, given.rate) for each in find_videos(path)]
    names = [recording.name for recording in recordings]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ValueError(f"Several recordings are named {double[0]}: their results would overwrite each other.")
    return recordings


def is_bag(path: Path) -> bool:
    """Return whether a path is a rosbag2 recording and not a video."""
    return path.suffix in (".mcap", ".db3") or (path / "metadata.yaml").is_file()


def events_of(annotations: Path | None, recording: Recording, count: int) -> list[AnnotatedEvent] | None:
    """Read a recording's events. None when nothing was given.

    Raises:
        AnnotationError: its annotations cannot be read.
    """
    if annotations is None:
        return None
    if annotations.is_dir():
        path = annotations / f"{recording.name}.jsonl"
        if not path.is_file():
            raise AnnotationError(
                f"There is no {path}: for a recording in which nothing happens, make it an empty file."
            )
        return read_events(path)
    if count > 1:
        raise AnnotationError(
            f"{annotations} is one file for {count} recordings: give a folder with NAME.jsonl for each."
        )
    return read_events(annotations)


def transcribe_with_progress(
    model: LiveModel, recording: Recording, watching: AssistantSettings, queries: Sequence[Any], window: int = 0
) -> Transcript:
    """Let the model watch a recording behind a progress bar.

    Raises:
        ValueError: see `transcribe`.
    """
    with tqdm(desc=recording.name, unit="frame", disable=not sys.stderr.isatty()) as bar:
        return transcribe(model, recording, watching, queries, lambda so_far: _show(bar, so_far), window)


def describe_settings(
    given: argparse.Namespace, watching: AssistantSettings, scoring: ScoreSettings, model: LiveModel
) -> dict[str, Any]:
    """Return every setting as it stands in metrics.json."""
    return {
        **dataclasses.asdict(watching.stream),
        "fps": watching.stream.fps or model.config.frame_fps,
        "context": dataclasses.asdict(watching.context),
        "repeat_window": watching.speech.repeat_window,
        "window": getattr(given, "window", 0),
        "topic": getattr(given, "topic", ""),
        "stamps": getattr(given, "stamps", "media time"),
        "real_time": getattr(given, "real_time", False),
        **describe_scoring(scoring),
    }


def _show(bar: Any, transcript: Transcript) -> None:
    bar.n = len(transcript.decisions)
    bar.set_postfix_str(f"{transcript.decisions[-1].time:.0f} s, {len(transcript.utterances)} utterances")


def _print(results: Sequence[Result], metrics: dict[str, Any], output: Path) -> None:
    """Print the figures, what is unusual, and where everything lies."""
    for result in results:
        for note in result.transcript.notes:
            print(f"{result.transcript.name}: {note}", file=sys.stderr)
    said = sum(len(result.transcript.utterances) for result in results)
    watched = f"{len(results)} recording{'s' * (len(results) != 1)}, {metrics['seconds']:.1f} s"
    print(f"{watched}, {metrics['frames']} frames, {said} utterances")
    if "counts" in metrics:
        print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in metrics["counts"].items() if count))
    for name, value in metrics.items():
        if isinstance(value, dict) and "interval" in value:
            low, high = value["interval"]
            print(f"{name:24} {value['value']:.4f} [{low:.4f}, {high:.4f}]")
        elif isinstance(value, int | float) and name not in ("frames", "seconds"):
            print(f"{name:24} {value:.4f}")
    print(f"written to {output}; look at {output / 'report.html'}")
