# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a LIVE checkpoint was trained with: frame geometry, frame tokens and the words around them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

CONFIG_NAME = "live_config.json"


@dataclass(frozen=True)
class LiveConfig:
    """The settings that inference must share with training. The defaults are those of the published 8B-v1+.

    Raises:
        ValueError: A setting is out of its range. The error names it.
    """

    vision: str = "google/siglip-large-patch16-384"
    """Hub id or folder of the vision tower (SigLIP or CLIP)."""
    llm: str = "meta-llama/Meta-Llama-3-8B-Instruct"
    """Hub id or folder of the decoder, any Hugging Face causal LM."""
    frame_resolution: int = 384
    """Side of the square frame in pixels. The vision tower sets it."""
    frame_token_cls: bool = True
    """Whether the first token of a frame is the pooled output of the tower."""
    frame_token_pooled: tuple[int, int] | None = (3, 3)
    """Rows and columns that the patch grid is average-pooled to. None: no patch tokens (live1)."""
    frame_token_interval: str = ","
    """Text between two frames, also the silence token (live1+). Empty: silence is `<eos>`, not read back (live1)."""
    frame_fps: float = 2.0
    """Frames per second of the training streams, in Hz."""
    system_prompt: str = (
        "A multimodal AI assistant is helping users with some activities. Below is their conversation, "
        "interleaved with the list of video frames received by the assistant."
    )
    stream_loss_weight: float = 1.0
    """Weight w of the silence-or-speak positions in the training loss (the paper's streaming EOS prediction)."""
    max_positions: int | None = None
    """Positions that the LIVE training reached. A context may use them even if the decoder's own configuration ends
    earlier. None: as many as the decoder's configuration says."""

    def __post_init__(self) -> None:
        """Check the values."""
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if field.name not in ("frame_token_pooled", "max_positions") and not _is_a(value, kind):
                raise ValueError(f"{field.name} should be of type {kind.__name__}: {value!r}")
            if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
                raise ValueError(f"{field.name} holds half of a surrogate pair, which is no letter: {value!r}")
        if self.frame_token_pooled is not None:
            pooled = self.frame_token_pooled
            if not isinstance(pooled, Sequence) or [_is_a(n, int) and n >= 1 for n in pooled] != [True, True]:
                raise ValueError(f"frame_token_pooled is rows and columns, two integers >= 1: {pooled!r}")
            object.__setattr__(self, "frame_token_pooled", tuple(pooled))
        if self.frame_num_tokens == 0:
            raise ValueError("a frame needs tokens: set frame_token_cls, frame_token_pooled or both")
        if self.frame_resolution < 1:
            raise ValueError(f"frame_resolution is a number of pixels, at least 1: {self.frame_resolution}")
        if not 0 < self.frame_fps < math.inf:
            raise ValueError(f"frame_fps is a rate in Hz above 0: {self.frame_fps}")
        if not 0 <= self.stream_loss_weight < math.inf:
            raise ValueError(f"stream_loss_weight is a weight of at least 0: {self.stream_loss_weight}")
        if self.max_positions is not None and not (_is_a(self.max_positions, int) and self.max_positions >= 1):
            raise ValueError(f"max_positions is a number of tokens, at least 1, or null: {self.max_positions!r}")

    @property
    def frame_num_tokens(self) -> int:
        """Return the tokens per frame. The interval is not counted."""
        rows, columns = self.frame_token_pooled or (0, 0)
        return int(self.frame_token_cls) + rows * columns

    def rate_warning(self, fps: float) -> str:
        """Return a sentence if `fps` [Hz] is far from the training streams' rate, and an empty string otherwise.

        The demo checkpoint keeps its event F1 from the trained rate to 2.5 times that, and loses 0.15 at half of it
        (docs/demo_checkpoint.md).
        """
        if 0.75 <= fps / self.frame_fps <= 2.5:
            return ""
        return (
            f"The model was trained at {self.frame_fps:g} frames per second and reads {fps:g}. Expect it to miss "
            "events or to speak at wrong moments. A stream.fps of 0 takes the trained rate."
        )

    def save(self, folder: str | Path) -> None:
        """Write `live_config.json` into a folder."""
        (Path(folder) / CONFIG_NAME).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> LiveConfig:
        """Read a `live_config.json`.

        Raises:
            ValueError: The file is not a JSON object, or has a key that this version does not know.
        """
        try:
            values = json.loads(Path(path).read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is not valid JSON: {error}") from error
        except RecursionError as error:
            raise ValueError(f"{path} is not valid JSON: it is nested too deeply") from error
        if not isinstance(values, dict):
            raise ValueError(f"{path} should hold a JSON object, not a {type(values).__name__}")
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"{path} has settings unknown to this version: {', '.join(sorted(unknown))}")
        return cls(**values)


def _is_a(value: Any, kind: type) -> bool:
    """Return whether a value read from JSON is of a type. An integer is a float as well, but true is no number."""
    if kind in (int, float):
        return isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
    return isinstance(value, kind)
