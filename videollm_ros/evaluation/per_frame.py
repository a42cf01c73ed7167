# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's metrics for the per-frame baseline, whose decision is the first word of the reply to every frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from videollm_ros.data.baselines import NOTHING_NEW, per_frame_dialogue
from videollm_ros.live import LiveModel


@torch.inference_mode()
def per_frame_metrics(model: LiveModel, conversation: Sequence[dict], features: Tensor) -> dict[str, float]:
    """As `stream_metrics` at theta 0, for a model trained on `per_frame_dialogue`.

    A reply to nothing is what silence is to the streaming dialogue: one position per frame, the first word after
    `Assistant:`. A turn without any speech counts as late by all its next frames that are silent as well, at most as
    many as it has itself, less one; the reply stands between them, which flatters this baseline.
    """
    ids, _ = model.template.encode(per_frame_dialogue(conversation))
    logits = model(torch.tensor([ids], device=model.device), features).logits[0].float().cpu()
    tokenizer, template = model.tokenizer, model.template
    opening = tokenizer("]\nAssistant: x", add_special_tokens=False)["input_ids"][:3]
    nothing = tokenizer(f"]\nAssistant: {NOTHING_NEW}", add_special_tokens=False)["input_ids"][len(opening) :]
    decisions = [
        int(logits[position + len(opening)].argmax()) != nothing[0]
        for position in range(len(ids) - len(opening))
        if ids[position] == template.frame_token_id and ids[position + 1 : position + 1 + len(opening)] == opening
    ]
    answered = _answered_frames(conversation)
    words = _reply_positions(ids, template.eos_token_id, opening, nothing)

    values: dict[str, list[float]] = {name: [] for name in ("lm_ppl", "frame_diff", "fluency", "lm_correctness")}
    for number, (frames, spoken) in enumerate(answered):
        start, stop = words[number]
        targets = torch.tensor(ids[start + 1 : stop + 1])
        predicted = logits[start:stop]
        num_right = int((predicted.argmax(-1) == targets).cumprod(0).sum())
        values["lm_ppl"].append(float(F.cross_entropy(predicted, targets).exp()))
        values["lm_correctness"].append(num_right / len(targets))
        if not frames:
            continue
        said = [decisions[index] for index in frames]
        first = said.index(True) if True in said else None
        if not spoken:
            diff = 0 if first is None else len(said) - first
        else:
            following = answered[number + 1][0] if number + 1 < len(answered) else []
            late = [decisions[index] for index in following][: len(said) - 1]
            if first is not None:
                diff = len(said) - 1 - first
            else:
                diff = -(late.index(True) + 1 if True in late else len(late))
            values["frame_diff"].append(abs(diff))
        valid = len(said) + num_right if diff == 0 else len(said) - diff if diff > 0 else len(said) - 1
        values["fluency"].append(valid / (len(said) + len(targets)))
    return {name: math.fsum(of_turns) / len(of_turns) if of_turns else math.nan for name, of_turns in values.items()}


def _answered_frames(conversation: Sequence[dict]) -> list[tuple[list[int], bool]]:
    """Per reply: indices, among the frames that get a reply of their own, of its turn; and whether it is unasked."""
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
    """Of every reply that says something: the position before its first word, and that of its <eos>."""
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
