# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's metrics for the per-frame baseline. Its decision is the first word of the reply to every frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from videollm_ros.data.baselines import NOTHING_NEW, per_frame_dialogue
from videollm_ros.evaluation.metrics import METRICS, average_turns, fluency
from videollm_ros.live import LiveModel


@torch.inference_mode()
def per_frame_metrics(model: LiveModel, conversation: Sequence[dict[str, Any]], features: Tensor) -> dict[str, float]:
    """Measure a model that was trained on `per_frame_dialogue`, as `stream_metrics` does at theta 0.

    A reply to nothing is what silence is to the streaming dialogue: one position per frame, the first word after
    `Assistant:`. A turn without any speech is late by all its next frames that are silent as well, at most as many as
    it has itself, less one. The reply stands between them, which flatters this baseline.

    Args:
        model: reads the dialogue.
        conversation: the streaming dialogue.
        features: of its frames [T, n, d_vision].

    Returns:
        the metrics of `stream_metrics`.
    """
    ids, _ = model.template.encode(per_frame_dialogue(conversation))
    logits = model(torch.tensor([ids], device=model.device), features).logits[0].float().cpu()
    opening, nothing = _opening_and_nothing(model)
    speaks = _decisions(ids, logits, model.template.frame_token_id, opening, nothing)
    answered = _answered_frames(conversation)
    words = _reply_positions(ids, model.template.eos_token_id, opening, nothing)

    values: dict[str, list[float]] = {name: [] for name in METRICS}
    for number, (frames, is_proactive) in enumerate(answered):
        start, stop = words[number]
        targets, predicted = torch.tensor(ids[start + 1 : stop + 1]), logits[start:stop]
        num_right = int((predicted.argmax(-1) == targets).cumprod(0).sum())
        values["lm_ppl"].append(float(F.cross_entropy(predicted, targets).exp()))
        values["lm_correctness"].append(num_right / len(targets))
        if not frames:
            continue
        following = answered[number + 1][0] if number + 1 < len(answered) else []
        said, late = [speaks[index] for index in frames], [speaks[index] for index in following]
        diff = _frame_diff(said, late, is_proactive)
        if is_proactive:
            values["frame_diff"].append(abs(diff))
        values["fluency"].append(fluency(len(said), len(targets), num_right, diff))
    return average_turns(values)


def _opening_and_nothing(model: LiveModel) -> tuple[list[int], list[int]]:
    """Return the ids that open a reply after a frame, and those of the reply that says nothing."""
    opening = model.tokenizer("]\nAssistant: x", add_special_tokens=False)["input_ids"][:3]
    nothing = model.tokenizer(f"]\nAssistant: {NOTHING_NEW}", add_special_tokens=False)["input_ids"]
    return opening, nothing[len(opening) :]


def _decisions(
    ids: Sequence[int], logits: Tensor, frame_token_id: int, opening: Sequence[int], nothing: Sequence[int]
) -> list[bool]:
    """Return whether the model speaks on each frame that gets a reply of its own."""
    length = len(opening)
    return [
        int(logits[position + length].argmax()) != nothing[0]
        for position in range(len(ids) - length)
        if ids[position] == frame_token_id and ids[position + 1 : position + 1 + length] == opening
    ]


def _frame_diff(said: Sequence[bool], late: Sequence[bool], is_proactive: bool) -> int:
    """Return by how many frames a turn spoke early, or late when below 0."""
    if not is_proactive:
        return len(said) - said.index(True) if True in said else 0
    if True in said:
        return len(said) - 1 - said.index(True)
    late = late[: len(said) - 1]
    return -(late.index(True) + 1 if True in late else len(late))


def _answered_frames(conversation: Sequence[dict[str, Any]]) -> list[tuple[list[int], bool]]:
    """Return the frames of each reply's turn, among those that get a reply of their own, and if it is proactive."""
    turns: list[tuple[list[int], bool]] = []
    frames: list[int] = []
    count = 0
    for number, message in enumerate(conversation):
        following = conversation[number + 1]["role"] if number + 1 < len(conversation) else None
        if message["role"] == "stream":
            # The frame before a user's turn is answered by the answer to the user.
            own = message["num_frames"] - (following == "user")
            frames += range(count, count + own)
            count += own
        elif message["role"] == "assistant":
            turns.append((frames, conversation[number - 1]["role"] == "stream"))
            frames = []
    return turns


def _reply_positions(
    ids: Sequence[int], eos: int, opening: Sequence[int], nothing: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the position before the first word of every reply that says something, and that of its <eos>."""
    words: list[tuple[int, int]] = []
    name = list(opening[1:])
    for position, token_id in enumerate(ids):
        if token_id != eos:
            continue
        start = position
        while list(ids[start - len(name) + 1 : start + 1]) != name:
            start -= 1
        if list(ids[start + 1 : position]) != list(nothing):
            words.append((start, position))
    return words
