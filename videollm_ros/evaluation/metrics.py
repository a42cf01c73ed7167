# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's four metrics of a dialogue, teacher-forced: LM-PPL, TimeDiff, Fluency, LM-Correctness."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from videollm_ros.data.augmentation import forget_frames
from videollm_ros.live import LiveModel, SpeakRule
from videollm_ros.live.speak_rule import predict_silence
from videollm_ros.live.template import IGNORED

METRICS = ("lm_ppl", "frame_diff", "fluency", "lm_correctness")
"""Names of the paper's metrics. A dialogue's frame_diff becomes the average's time_diff, in seconds."""


def fluency(num_stream: int, num_text: int, num_right: int, frame_diff: int) -> float:
    """Return the paper's Fluency of one turn.

    Args:
        num_stream: learned frames of the turn.
        num_text: learned text tokens.
        num_right: leading text tokens that were predicted right.
        frame_diff: frames between the turn's last one and the first that spoke; below 0 when the model spoke late.
    """
    valid = num_stream + num_right if frame_diff == 0 else num_stream - max(frame_diff, 1)
    return valid / (num_stream + num_text)


def average_turns(of_turns: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the mean of each metric over the turns of a dialogue, NaN where no turn counts."""
    return {name: math.fsum(of_turns[name]) / len(of_turns[name]) if of_turns[name] else math.nan for name in METRICS}


@torch.inference_mode()
def stream_metrics(
    model: LiveModel,
    conversation: Sequence[dict[str, Any]],
    features: Tensor,
    threshold: float = 0.0,
    forgotten: int = 0,
) -> dict[str, float]:
    """Read a dialogue once, compare the model's predictions with it turn by turn, and average over the turns.

    The metrics suppose that a turn ends because the model should speak. A turn that a user's query ends is judged by
    the same rule, and a model that rightly stays silent in it counts as late. So they say little about dialogues with
    queries.

    Args:
        model: reads the dialogue.
        conversation: messages as `DialogueTemplate.encode` takes them.
        features: vision features of its frames [T, n, d_vision].
        threshold: theta. Silence counts only when its probability is at least this.
        forgotten: frames at the start of the conversation that the context no longer holds, and `features` neither.

    Returns:
        lm_ppl; frame_diff (mean of absolute values, in frames); fluency; lm_correctness. NaN where nothing counts.

    Raises:
        ValueError: a conversation that the template rejects, or another number of frames.
    """
    return _Dialogue(model, conversation, features, threshold, forgotten).metrics()


def average_metrics(of_dialogues: Sequence[dict[str, float]], fps: float) -> dict[str, float | None]:
    """Average what `stream_metrics` returned for several dialogues over those in which it counts; None where in none.

    Returns:
        lm_ppl; time_diff in seconds; fluency; lm_correctness.
    """
    averages: dict[str, float | None] = {name: _mean([metrics[name] for metrics in of_dialogues]) for name in METRICS}
    difference = averages.pop("frame_diff")
    return averages | {"time_diff": None if difference is None else difference / fps}


def _mean(values: Sequence[float]) -> float | None:
    counted = [value for value in values if not math.isnan(value)]
    return math.fsum(counted) / len(counted) if counted else None


class _Dialogue:
    """One dialogue with the model's logits at every position."""

    def __init__(
        self,
        model: LiveModel,
        conversation: Sequence[dict[str, Any]],
        features: Tensor,
        threshold: float,
        forgotten: int,
    ) -> None:
        self.model, self.features, self.rule = model, features, SpeakRule(threshold)
        self.template = model.template
        ids, labels = self.template.encode(conversation)
        if forgotten:
            ids, labels = forget_frames(ids, labels, self.template, forgotten)
        self.ids, self.labels = torch.tensor(ids, device=model.device), torch.tensor(labels, device=model.device)
        self.logits = model(self.ids[None], features).logits[0].float()
        self.is_frame = self.ids == self.template.frame_token_id

    def metrics(self) -> dict[str, float]:
        """Return the metrics, averaged over the turns."""
        stops = (torch.nonzero(self.ids == self.template.eos_token_id)[:, 0] + 1).tolist()
        turns = list(pairwise([0, *stops]))
        values: dict[str, list[float]] = {name: [] for name in METRICS}
        for number, (start, stop) in enumerate(turns):
            following = turns[number + 1] if number + 1 < len(turns) else None
            for name, value in self._turn(start, stop, following).items():
                values[name].append(value)
        return average_turns(values)

    def _turn(self, start: int, stop: int, following: tuple[int, int] | None) -> dict[str, float]:
        labels, logits = self.labels[start:stop], self.logits[start:stop]
        learned, is_frame = labels != IGNORED, self.is_frame[start:stop]
        text, stream = learned & ~is_frame, learned & is_frame
        num_text, num_stream = int(text.sum()), int(stream.sum())
        result: dict[str, float] = {}
        num_right = 0
        if num_text:
            result["lm_ppl"] = float(F.cross_entropy(logits[text], labels[text]).exp())
            right = logits[text].argmax(-1) == labels[text]
            num_right = int(right.cumprod(0).sum())
            result["lm_correctness"] = num_right / num_text
        if not num_stream:
            return result

        positions = start + torch.nonzero(stream)[:, 0]
        speaks = self._speaks(self.logits[positions])
        first = int(torch.nonzero(speaks)[0]) if bool(speaks.any()) else None
        if first is not None:
            diff = num_stream - 1 - first
        else:
            diff = -self._frames_late(start, stop, int(positions[-1]), following)
        result["frame_diff"] = float(abs(diff))
        if num_text:
            result["fluency"] = fluency(num_stream, num_text, num_right, diff)
        return result

    def _speaks(self, logits: Tensor) -> Tensor:
        """Whether each decision [K, vocab] is to speak."""
        predictions = predict_silence(logits, self.template.silence_token_id)
        return torch.tensor([self.rule.speaks(*prediction) for prediction in predictions])

    def _frames_late(self, start: int, stop: int, last_frame: int, following: tuple[int, int] | None) -> int:
        """Return the frames of the next turn until it speaks, as if the reply had not been given.

        It is all of them when it never speaks, and at most as many as this turn has, less one: late must not be able
        to count for more than early.
        """
        if following is None:
            return 0
        num_tokens = self.model.config.frame_num_tokens
        next_frames = int(self.is_frame[slice(*following)].sum()) // num_tokens
        count = min(next_frames, int(self.is_frame[start:stop].sum()) // num_tokens - 1)
        if count <= 0:
            return 0
        step = [*self.template.interval_ids, *[self.template.frame_token_id] * num_tokens]
        appended = torch.tensor(step * count, device=self.ids.device)
        ids = torch.cat([self.ids[: last_frame + 1], appended])
        # Frames of the turn that follow the last learned one are left out, as those of the next turn come first.
        before = int(self.is_frame[: last_frame + 1].sum()) // num_tokens
        skipped = int(self.is_frame[:stop].sum()) // num_tokens
        features = torch.cat([self.features[:before], self.features[skipped : skipped + count]])
        logits = self.model(ids[None], features).logits[0, last_frame + 1 :].float()
        speaks = self._speaks(logits[len(step) - 1 :: len(step)])
        return int(torch.nonzero(speaks)[0]) + 1 if bool(speaks.any()) else count
