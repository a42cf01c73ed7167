# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model on streams of the tabletop simulator: what it says in a live session, and the teacher-forced metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from videollm_ros.data.features import encode_frames
from videollm_ros.evaluation.matching import StreamScore, figure_intervals, score_stream
from videollm_ros.evaluation.metrics import average_metrics, stream_metrics
from videollm_ros.live import LiveModel, StreamSession, Utterance
from videollm_ros.live.speak_rule import DEFAULT_THRESHOLD
from videollm_ros.sim import Tabletop, to_record


@dataclass(frozen=True)
class Transcript:
    """What a model said on one stream, and how that is judged."""

    seed: int
    tabletop: Tabletop
    utterances: list[Utterance]
    score: StreamScore
    metrics: dict[str, float]


def evaluate_simulator(
    model: LiveModel,
    seeds: Iterable[int],
    seconds: float = 60.0,
    threshold: float = DEFAULT_THRESHOLD,
    resolution: int = 96,
    tolerance: float = 1.0,
    teacher_forced: bool = True,
    progress: bool = False,
    nothing_new: str | None = None,
    fps: float | None = None,
    view: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[dict[str, float | int | None], list[Transcript]]:
    """Run one stream per seed.

    Args:
        model: the model.
        seeds: of the streams.
        seconds: length of each stream.
        threshold: theta of the live session. The teacher-forced metrics use 0, as the paper does.
        resolution: side of the rendered frames in pixels.
        tolerance: seconds within which an utterance must come.
        teacher_forced: measure the paper's metrics as well.
        progress: show a bar.
        nothing_new: what a model of the per-frame baseline says when there is nothing to say. It is no utterance.
        fps: frames per second that the model watches. None: the rate it was trained at.
        view: changes the rendered frames, [T, H, W, 3] uint8 to the same of any size.

    Returns:
        the figures (counts summed over streams, teacher-forced metrics averaged over them), and every transcript.
    """
    transcripts = [
        _run(model, seed, seconds, threshold, resolution, tolerance, teacher_forced, nothing_new, fps, view)
        for seed in tqdm(list(seeds), desc="evaluating", unit="stream", disable=not progress)
    ]
    total = StreamScore()
    for transcript in transcripts:
        total += transcript.score
    figures: dict[str, float | int | None] = dict(total.figures())
    if teacher_forced:
        figures |= average_metrics([transcript.metrics for transcript in transcripts], model.config.frame_fps)
    counts = {"events": total.events, "utterances": total.utterances, "questions": total.questions.total()}
    return figures | counts | {"streams": len(transcripts)}, transcripts


@torch.inference_mode()
def _run(
    model: LiveModel,
    seed: int,
    seconds: float,
    threshold: float,
    resolution: int,
    tolerance: float,
    teacher_forced: bool,
    nothing_new: str | None,
    fps: float | None,
    view: Callable[[np.ndarray], np.ndarray] | None,
) -> Transcript:
    tabletop = Tabletop(seed, seconds, resolution)
    fps = fps or model.config.frame_fps
    rendered = tabletop.frames(fps)
    frames = model.prepare(rendered if view is None else view(rendered))
    features = encode_frames(model.vision, frames)
    session = StreamSession(model, threshold=threshold)
    for number, question in enumerate(tabletop.questions):
        session.ask(question.text, question.time, query_id=str(number))
    stamps = [index / fps for index in range(len(frames))]
    events = session.observe_embeds(model.embed(features), stamps)
    utterances = [event for event in events if isinstance(event, Utterance) and event.text != nothing_new]
    score = score_stream(utterances, tabletop.events, tabletop.questions, seconds, tolerance)
    metrics: dict[str, float] = {}
    if teacher_forced:
        # Without questions: the metrics suppose that a turn ends when something happens, not when somebody asks.
        metrics = stream_metrics(model, to_record(tabletop, fps, questions=False)["conversation"], features)
    return Transcript(seed, tabletop, utterances, score, metrics)


def simulator_intervals(transcripts: Sequence[Transcript]) -> dict[str, tuple[float, float] | None]:
    """Return the 95 % bootstrap interval over streams of every figure of the live session."""
    return figure_intervals([transcript.score for transcript in transcripts])
