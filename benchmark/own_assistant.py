# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure what a fine-tuned assistant learned and what it kept: its own recordings, and the demo model's simulator.

    python benchmark/own_assistant.py --checkpoint runs/own/model --recordings own_held_out \
        --instruction "Report each change." --word star --json out.json

`--recordings` is a folder that examples/own_recordings.py wrote. Every figure has a 95 % bootstrap interval over the
recordings or streams. Events count when the exact words come within a second.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from videollm_ros.assistant import AssistantSettings, StreamSettings
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.evaluation.annotations import AnnotatedEvent, read_events
from videollm_ros.evaluation.recording import VideoRecording
from videollm_ros.evaluation.scores.intervals import Parts, interval, ratio
from videollm_ros.evaluation.scores.judged import ScoreSettings, judge
from videollm_ros.evaluation.simulator import evaluate_simulator
from videollm_ros.evaluation.transcribe import transcribe
from videollm_ros.evaluation.transcript import Said
from videollm_ros.live import LiveModel

Figure = dict[str, Any]


def main() -> None:
    """Measure a checkpoint and print a line per figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default=str(demo_checkpoint()))
    parser.add_argument("--recordings", type=Path, help="folder with recordings/ and notes/ to tell")
    parser.add_argument("--instruction", default="")
    parser.add_argument("--word", help="count the events whose sentence has this word by themselves as well")
    parser.add_argument("--seeds", type=int, nargs=2, default=(9000, 9040), help="simulator streams of what it knew")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = LiveModel.from_pretrained(given.checkpoint, device="cpu")
    figures = own_figures(model, given.recordings, given.instruction, given.word) if given.recordings else {}
    figures |= old_figures(model, range(*given.seeds))
    for name, each in figures.items():
        low, high = each["interval"] or (float("nan"), float("nan"))
        print(f"{name:28} {each['value']:.3f} [{low:.3f}, {high:.3f}] of {each['count']}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def own_figures(model: LiveModel, folder: Path, instruction: str, word: str | None) -> dict[str, Figure]:
    """Return the event F1 on recordings with notes: of all events, and of those whose sentence has a word."""
    settings = AssistantSettings(stream=StreamSettings(instruction=instruction))
    parts: dict[str, list[Parts]] = {"own_event_f1": []}
    counts = dict.fromkeys(("own_event_f1", f"own_event_f1_{word}", f"own_event_f1_without_{word}"), 0)
    for path in sorted((folder / "recordings").iterdir()):
        events = read_events(folder / "notes" / f"{path.stem}.jsonl")
        said = [each for each in transcribe(model, VideoRecording(path), settings).utterances if each.query is None]
        for name, wanted in (("", None), (f"_{word}", True), (f"_without_{word}", False)):
            if name and word is None:
                continue
            chosen = [event for event in events if wanted is None or (word in event.text) is wanted]
            spoken = [each for each in said if wanted is None or (word in each.text) is wanted]
            parts.setdefault(f"own_event_f1{name}", []).append(event_parts(spoken, chosen))
            counts[f"own_event_f1{name}"] += len(chosen)
    return {name: figure(each, counts[name]) for name, each in parts.items()}


def event_parts(said: Sequence[Said], events: Sequence[AnnotatedEvent]) -> Parts:
    """Return numerator and denominator of the F1 on one recording."""
    return 2.0 * len(judge(said, events, ScoreSettings()).pairs), float(len(said) + len(events))


def old_figures(model: LiveModel, seeds: range) -> dict[str, Figure]:
    """Return the event F1 and the share of right answers on streams of the simulator."""
    _, transcripts = evaluate_simulator(model, seeds, teacher_forced=False)
    scores = [transcript.score for transcript in transcripts]
    events = [(2.0 * score.matched, float(score.events + score.utterances)) for score in scores]
    answers = [(float(score.right_answers.total()), float(score.questions.total())) for score in scores]
    return {
        "simulator_event_f1": figure(events, sum(score.events for score in scores)),
        "simulator_answers": figure(answers, sum(score.questions.total() for score in scores)),
    }


def figure(parts: Sequence[Parts], count: int) -> Figure:
    """Return a figure over recordings with its interval, and how many events or questions it is of."""
    return {"value": ratio(parts), "interval": interval(parts), "count": count}


if __name__ == "__main__":
    main()
