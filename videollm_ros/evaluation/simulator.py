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
from videollm_ros.evaluation.window_session import WindowSession
from videollm_ros.live import LiveModel, SpeakRule, StreamSession, Utterance
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


@dataclass(frozen=True)
class StreamsConfig:
    """How streams of the simulator are shown and judged."""

    seconds: float = 60.0
    """Length of each stream."""
    threshold: float = DEFAULT_THRESHOLD
    """Theta of the live session. The teacher-forced metrics use 0, as the paper does."""
    resolution: int = 96
    """Side of the rendered frames in pixels."""
    tolerance: float = 1.0
    """Seconds within which an utterance must come."""
    fps: float | None = None
    """Frames per second that the model watches. None: the rate it was trained at."""
    view: Callable[[np.ndarray], np.ndarray] | None = None
    """Changes the rendered frames, [T, H, W, 3] uint8, to the same of any size."""
    teacher_forced: bool = True
    """Whether the paper's metrics are measured as well."""
    window: int = 0
    """The model sees the last so many frames alone. 0: all that its context holds."""
    nothing_new: str | None = None
    """What a model of the per-frame baseline says when there is nothing to say. It is no utterance."""


def evaluate_simulator(
    model: LiveModel, seeds: Iterable[int], config: StreamsConfig | None = None, progress: bool = False
) -> tuple[dict[str, float | int | None], list[Transcript]]:
    """Run one stream per seed.

    Args:
        model: the model.
        seeds: of the streams.
        config: how they are shown and judged.
        progress: show a bar.

    Returns:
        the figures (counts summed over streams, teacher-forced metrics averaged over them), and every transcript.
    """
    config = config or StreamsConfig()
    transcripts = [
        _run(model, seed, config) for seed in tqdm(list(seeds), desc="evaluating", unit="stream", disable=not progress)
    ]
    total = StreamScore()
    for transcript in transcripts:
        total += transcript.score
    figures: dict[str, float | int | None] = dict(total.figures())
    if config.teacher_forced:
        figures |= average_metrics([transcript.metrics for transcript in transcripts], model.config.frame_fps)
    counts = {"events": total.events, "utterances": total.utterances, "questions": total.questions.total()}
    return figures | counts | {"streams": len(transcripts)}, transcripts


@torch.inference_mode()
def _run(model: LiveModel, seed: int, config: StreamsConfig) -> Transcript:
    tabletop = Tabletop(seed, config.seconds, config.resolution)
    fps = config.fps or model.config.frame_fps
    rendered = tabletop.frames(fps)
    features = encode_frames(model.vision, model.prepare(rendered if config.view is None else config.view(rendered)))
    session = _make_session(model, config)
    for number, question in enumerate(tabletop.questions):
        session.ask(question.text, question.time, query_id=str(number))
    stamps = [index / fps for index in range(len(features))]
    events = session.observe_embeds(model.embed(features), stamps)
    utterances = [event for event in events if isinstance(event, Utterance) and event.text != config.nothing_new]
    score = score_stream(utterances, tabletop.events, tabletop.questions, config.seconds, config.tolerance)
    metrics: dict[str, float] = {}
    if config.teacher_forced:
        # Without questions: the metrics suppose that a turn ends when something happens, not when somebody asks.
        metrics = stream_metrics(model, to_record(tabletop, fps, questions=False)["conversation"], features)
    return Transcript(seed, tabletop, utterances, score, metrics)


def _make_session(model: LiveModel, config: StreamsConfig) -> StreamSession | WindowSession:
    if config.window:
        return WindowSession(model, config.window, SpeakRule(config.threshold))
    return StreamSession(model, threshold=config.threshold)


def simulator_intervals(transcripts: Sequence[Transcript]) -> dict[str, tuple[float, float] | None]:
    """Return the 95 % bootstrap interval over streams of every figure of the live session."""
    return figure_intervals([transcript.score for transcript in transcripts])
