# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the speech policy hold back stutters, and nothing else?

    python benchmark/stutter.py --streams 100 --json benchmark/results/stutter.json

The demo checkpoint watches simulated streams. A threshold near 1 makes it babble: it speaks at the slightest
probability. Everything that it says is put before the policy. A *stutter* is an utterance with the words of one in the
10 s before it and without an event of its own. An event is *lost* if the model reported it and all its reports were
held back.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from machine import describe_machine

from videollm_ros.assistant.settings import SpeechSettings
from videollm_ros.assistant.speech_policy import SpeechPolicy
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.live import FrameDecision, LiveModel, StreamSession, Utterance
from videollm_ros.sim import Tabletop
from videollm_ros.sim.scoring import matches
from videollm_ros.sim.world import Event

THRESHOLDS = (0.725, 0.9, 0.99, 0.999, 0.9999, 0.99999)
TOLERANCE = 1.0  # seconds after an event within which it is reported
WINDOW = SpeechSettings().repeat_window


@dataclass
class Row:
    """One line of the table: sums over the streams."""

    threshold: float
    utterances: int = 0
    events_reported: int = 0
    events_lost: int = 0
    stutters: int = 0
    stutters_published: int = 0


@dataclass(frozen=True)
class Said:
    """One utterance, and whether the policy held it back."""

    stamp: float
    text: str
    held_back: bool


def watch(session: StreamSession, embeds: torch.Tensor, stamps: Sequence[float]) -> list[Said]:
    """Read one stream with the policy beside it."""
    policy, said, probability = SpeechPolicy(SpeechSettings()), [], 0.0
    session.reset()
    for event in session.observe_embeds(embeds, stamps):
        if isinstance(event, FrameDecision):
            probability = event.speak_probability
            policy.note_frame(event.stamp, probability, kept_silent=False)
        elif isinstance(event, Utterance):
            held = policy.is_repeat(event.text, event.stamp, probability)
            if held:
                policy.record_repeat(event.text, event.stamp, probability)
            else:
                policy.record(event.text, event.stamp, probability, proactive=True)
            said.append(Said(event.stamp, event.text, held))
    return said


def reports(said: Sequence[Said], events: Sequence[Event]) -> dict[int, int]:
    """Which utterance reports which event, by their indices: each the earliest that is free."""
    found: dict[int, int] = {}
    for index, each in enumerate(said):
        for number, event in enumerate(events):
            in_time = event.onset <= each.stamp <= event.time + TOLERANCE
            if in_time and number not in found.values() and matches(each.text, event):
                found[index] = number
                break
    return found


def add(row: Row, said: Sequence[Said], events: Sequence[Event]) -> None:
    """Count one stream."""
    reported = reports(said, events)
    aloud = reports([each for each in said if not each.held_back], events)
    row.utterances += len(said)
    row.events_reported += len(reported)
    row.events_lost += len(set(reported.values()) - set(aloud.values()))
    last: dict[str, float] = {}
    for index, each in enumerate(said):
        if each.stamp - last.get(each.text, -WINDOW) < WINDOW and index not in reported:
            row.stutters += 1
            row.stutters_published += not each.held_back
        last[each.text] = each.stamp


@torch.inference_mode()
def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--seed", type=int, default=9000, help="seed of the first stream")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = LiveModel.from_pretrained(demo_checkpoint(), device="cpu")
    fps = model.config.frame_fps
    rows = {threshold: Row(threshold) for threshold in THRESHOLDS}
    sessions = {threshold: StreamSession(model, threshold=threshold) for threshold in THRESHOLDS}
    for seed in range(arguments.seed, arguments.seed + arguments.streams):
        tabletop = Tabletop(seed, arguments.seconds, 96)
        embeds = model.embed(model.encode(model.prepare(tabletop.frames(fps))))
        stamps = [index / fps for index in range(len(embeds))]
        for threshold, row in rows.items():
            add(row, watch(sessions[threshold], embeds, stamps), tabletop.events)
    print("| threshold | utterances | events reported | of them lost | stutters | of them published |")
    print("|---|---|---|---|---|---|")
    for row in rows.values():
        print("|", " | ".join(str(value) for value in asdict(row).values()), "|")
    if arguments.json:
        figures = {"streams": arguments.streams, "seconds": arguments.seconds, "first_seed": arguments.seed}
        figures |= {"rows": [asdict(row) for row in rows.values()], "machine": describe_machine(torch.device("cpu"))}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
