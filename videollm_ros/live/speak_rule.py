# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rule that decides after each frame whether to speak (the paper's probability correction, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

DEFAULT_THRESHOLD = 0.725
"""Theta of the public demo. The paper uses values from 0.5 to 0.8."""

Form = Literal["paper", "plain"]


class SilencePrediction(NamedTuple):
    """What the decoder predicts after a frame."""

    p_silence: float
    """Probability of the silence token."""
    is_argmax: bool
    """Whether silence is the most likely token."""


@dataclass(frozen=True)
class SpeakRule:
    """Decides whether the model speaks after a frame.

    Raises:
        ValueError: The threshold is not a probability, or the form is unknown.
    """

    threshold: float = DEFAULT_THRESHOLD
    """Theta, from 0 to 1. A higher value makes the model speak more often."""
    form: Form = "paper"
    """`paper`: stay silent if silence is the most likely token and its probability is at least the threshold. A
    threshold below the usual probability of a winning token, about 0.5, then changes nothing.
    `plain`: stay silent if the probability of silence is above the threshold, so its whole range has an effect."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"the threshold is a probability from 0 to 1, not {self.threshold}")
        if self.form not in get_args(Form):
            raise ValueError(f"the form of the rule is one of {', '.join(get_args(Form))}, not {self.form!r}")

    def speaks(self, p_silence: float, silence_is_argmax: bool) -> bool:
        """Return whether the model speaks.

        Args:
            p_silence: Probability of the silence token.
            silence_is_argmax: Whether silence is the most likely token.
        """
        if self.form == "plain":
            return not p_silence > self.threshold
        return not (silence_is_argmax and p_silence >= self.threshold)


def predict_silence(logits: Tensor, silence_token_id: int) -> list[SilencePrediction]:
    """Read the predictions off the logits [K, vocab] after the last token of K frames."""
    p_silence = logits.softmax(-1)[:, silence_token_id]
    is_argmax = logits.argmax(-1) == silence_token_id
    rows = torch.stack((p_silence, is_argmax.float()), dim=1).tolist()  # one copy to the host
    return [SilencePrediction(probability, bool(is_first)) for probability, is_first in rows]
