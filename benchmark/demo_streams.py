# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated streams as embeddings, and what a session makes of them: shared by the benchmarks of quality."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from geometries import ROOT  # noqa: F401  (makes the package importable)
from machine import describe_machine
from torch import Tensor

from videollm_ros.evaluation import StreamScore, score_stream
from videollm_ros.live import FrameDecision, LiveModel, StreamSession, Utterance
from videollm_ros.sim import Tabletop

CHECKPOINT = Path(__file__).resolve().parents[1] / "checkpoints" / "demo"
SECONDS = 60.0


def parse_arguments(description: str) -> argparse.Namespace:
    """`checkpoint`, `device`, `streams` (how many, seeds from 9000 on) and `json` of the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=CHECKPOINT)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args()


def write_rows(path: Path | None, rows: list[dict], num_streams: int, model: LiveModel) -> None:
    """Write a table as JSON, with the machine that it is from."""
    if path:
        figures = {"streams": num_streams, "machine": describe_machine(model.device), "rows": rows}
        path.write_text(json.dumps(figures, indent=2) + "\n")


@dataclass
class Watched:
    """What a session decided and said on one stream."""

    decisions: dict[float, bool] = field(default_factory=dict)
    """Whether it spoke by itself, by stamp; frames that the gate skipped are missing."""
    utterances: list[Utterance] = field(default_factory=list)
    score: StreamScore = field(default_factory=StreamScore)


@torch.inference_mode()
def encode_streams(model: LiveModel, seeds: Iterable[int]) -> Iterator[tuple[Tabletop, Tensor]]:
    """Each stream with the decoder embeddings [T, n, d] of its frames."""
    for seed in seeds:
        tabletop = Tabletop(seed, SECONDS)
        frames = model.prepare(tabletop.frames(model.config.frame_fps))
        yield tabletop, torch.cat([model.embed(model.encode(chunk)) for chunk in frames.split(32)])


def watch(session: StreamSession, tabletop: Tabletop, embeds: Tensor) -> Watched:
    """Put the stream's questions to a session and let it watch."""
    session.reset()
    for number, question in enumerate(tabletop.questions):
        session.ask(question.text, question.time, str(number))
    fps = session.model.config.frame_fps
    watched = Watched()
    for event in session.observe_embeds(embeds, [index / fps for index in range(len(embeds))]):
        if isinstance(event, FrameDecision):
            watched.decisions[event.stamp] = event.speaks
        elif isinstance(event, Utterance):
            watched.utterances.append(event)
    watched.score = score_stream(watched.utterances, tabletop.events, tabletop.questions, tabletop.seconds)
    return watched
