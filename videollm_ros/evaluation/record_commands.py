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
from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery
from videollm_ros.evaluation.arguments import watch_settings
from videollm_ros.evaluation.fitting import events_outside
from videollm_ros.evaluation.opened import Annotated, Opened, open_annotated, open_recordings
from videollm_ros.evaluation.output_folder import SEVERAL, SINGLE, check_output, naming, whole_result
from videollm_ros.evaluation.provenance import describe_annotations, describe_checkpoint, versions
from videollm_ros.evaluation.real_time import transcribe_in_real_time
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


@dataclasses.dataclass
class _Work:
    """Hold what is to be done on every recording alike."""

    given: argparse.Namespace
    watching: AssistantSettings
    scoring: ScoreSettings
    model: LiveModel
    provenance: dict[str, Any]
    several: bool

    def folder(self, name: str) -> Path:
        """Return where the results of a recording go."""
        output: Path = self.given.output
        return output / name if self.several else output


def evaluate_recordings(given: argparse.Namespace) -> int:
    """Do what `bag` or `video` was asked to.

    Returns:
        the exit code: 0, or 1 where a recording failed or broke off.

    Raises:
        ValueError, OSError: the recordings, the annotations, the checkpoint or the settings are of no use.
        KeyboardInterrupt: it was interrupted. The message says what is written.
    """
    watching = watch_settings(given)
    if given.window and given.real_time:
        raise ValueError("--window is a baseline to compare with, which the node has not: leave out --real-time.")
    recordings = open_recordings(given)
    several = recordings.count > 1
    check_output(given.output, SEVERAL if several else SINGLE)
    annotated = open_annotated(given, recordings)
    scoring = annotated.scoring
    checkpoint = given.checkpoint or demo_checkpoint()
    model = LiveModel.from_pretrained(checkpoint, device=given.device, dtype=given.dtype)
    provenance = {
        "settings": describe_settings(given, watching, scoring, model, recordings.opened),
        "checkpoint": describe_checkpoint(checkpoint, model),
        "versions": versions(),
    }
    work = _Work(given, watching, scoring, model, provenance, several)
    results = _evaluate_each(work, annotated)
    if several:
        metrics = make_metrics(results, scoring, provenance | {"of": recordings.count, "failed": recordings.failed})
        with whole_result(given.output) as new:
            _write_overall(results, metrics, new)
    else:
        metrics = make_metrics(results, scoring, provenance)
    _print(results, metrics, given.output)
    return 1 if recordings.failed or any(each.breaks_off for each in recordings.opened) else 0


def _evaluate_each(work: _Work, annotated: Annotated) -> list[Result]:
    """Evaluate and write recording by recording. Of several, those that fail are listed among the failed.

    Raises:
        ValueError, OSError: the only recording, or every recording, failed.
        KeyboardInterrupt: see `evaluate_recordings`.
    """
    results: list[Result] = []
    recordings = annotated.recordings
    try:
        for recording, happened, asked in zip(recordings.opened, annotated.events, annotated.queries, strict=True):
            try:
                result = _evaluate(work, recording, happened, asked)
            except ValueError as error:
                if not work.several:
                    raise
                recordings.failed[recording.name] = str(error)
                continue
            _write(work, result)
            results.append(result)
    except KeyboardInterrupt:
        written = ", ".join(str(work.folder(each.transcript.name)) for each in results) or "nothing"
        raise KeyboardInterrupt(f"interrupted. Written: {written}.") from None
    if not results:
        raise ValueError("No recording could be evaluated. " + " ".join(recordings.failed.values()))
    return results


def _evaluate(
    work: _Work, recording: Opened, events: list[AnnotatedEvent] | None, queries: list[AnnotatedQuery]
) -> Result:
    """Let the model watch one recording, and judge what it said.

    Raises:
        ValueError: the recording gives nothing to watch, or a query cannot be asked.
    """
    if work.given.real_time:
        transcript = transcribe_in_real_time(work.model, recording, work.watching, queries)
    else:
        transcript = transcribe_with_progress(work.model, recording, work.watching, queries, work.given.window)
    transcript.notes += recording.faults
    if events is not None and transcript.seconds == 0:
        transcript.notes.append("The recording is 0 s long, so that it is not scored.")
        events = None
    if events is not None:
        transcript.notes += events_outside(transcript, events)
    return make_result(transcript, events, [*recording.queries(), *queries], work.scoring)


def _write(work: _Work, result: Result) -> None:
    """Write the result of one recording.

    Raises:
        OutputError: it cannot be written.
    """
    metrics = make_metrics([result], work.scoring, work.provenance)
    if work.several:  # an older result over all is no longer that of the folders below it
        for file in ("metrics.json", "report.html"):
            (work.given.output / file).unlink(missing_ok=True)
    with whole_result(work.folder(result.transcript.name)) as new:
        write_result(result, metrics, new)
        with naming("report.html"):
            write_report(result, metrics, new / "report.html")


def _write_overall(results: Sequence[Result], metrics: dict[str, Any], folder: Path) -> None:
    with naming("metrics.json"):
        write_metrics(metrics, folder)
    with naming("report.html"):
        write_summary(results, metrics, folder / "report.html")


def transcribe_with_progress(
    model: LiveModel, recording: Opened, watching: AssistantSettings, queries: Sequence[Any], window: int = 0
) -> Transcript:
    """Let the model watch a recording behind a progress bar.

    Raises:
        ValueError: see `transcribe`.
    """
    seconds, fps = recording.stated_seconds, watching.stream.fps or model.config.frame_fps
    total = None if seconds is None else int(seconds * fps) + 1
    with tqdm(desc=recording.name, total=total, unit="frame", disable=not sys.stderr.isatty()) as bar:
        transcript = transcribe(model, recording, watching, queries, lambda so_far: _show(bar, so_far), window)
        bar.total = len(transcript.decisions)  # what the recording says of its own length may be wrong
    return transcript


def describe_settings(
    given: argparse.Namespace,
    watching: AssistantSettings,
    scoring: ScoreSettings,
    model: LiveModel,
    recordings: Sequence[Opened],
) -> dict[str, Any]:
    """Return every setting as it stands in metrics.json."""
    return {
        **dataclasses.asdict(watching.stream),
        "fps": watching.stream.fps or model.config.frame_fps,
        "context": dataclasses.asdict(watching.context),
        "repeat_window": watching.speech.repeat_window,
        "window": getattr(given, "window", 0),
        "topic": ", ".join(dict.fromkeys(getattr(each, "topic", "") for each in recordings)),
        "stamps": getattr(given, "stamps", "media time"),
        "real_time": getattr(given, "real_time", False),
        "annotations": describe_annotations(given.annotations),
        "queries": describe_annotations(given.queries),
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
    for name, reason in metrics.get("failed", {}).items():
        print(f"{name}: failed. {reason}", file=sys.stderr)
    said = sum(len(result.transcript.utterances) for result in results)
    of = metrics.get("of", len(results))
    many = f"{len(results)} of {of}" if of != len(results) else str(of)
    watched = f"{many} recording{'s' * (of != 1)}, {metrics['seconds']:.1f} s"
    print(f"{watched}, {metrics['frames']} frames, {said} utterances")
    if "counts" in metrics:
        print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in metrics["counts"].items() if count))
    for name, value in metrics.items():
        if isinstance(value, dict) and "interval" in value:
            low, high = value["interval"]
            print(f"{name:24} {value['value']:.4f} [{low:.4f}, {high:.4f}]")
        elif isinstance(value, int | float) and name not in ("frames", "seconds", "of"):
            print(f"{name:24} {value:.4f}")
    print(f"written to {output}; look at {output / 'report.html'}")
