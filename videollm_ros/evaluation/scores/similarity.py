# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare sentences by the cosine of their embeddings, as ProAssist does (optional extra "similarity")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from videollm_ros.evaluation.scores.words import RIGHT, WRONG, ExactMatcher

SIMILAR = 0.5
"""Two sentences mean the same above this cosine (ProAssist)."""

_HUB_TIMEOUT = 10.0  # seconds
_TIME_COST = 0.3
_TIME_EXPONENT = 1.5


class SimilarityMatcher(ExactMatcher):
    """Take two sentences for the same when their embeddings' cosine is above 0.5.

    A pair costs (1 - cosine) + 0.3 (d / W)^1.5 for a difference of d seconds in a window of W, as in ProAssist. Unlike
    there, sentences that do not mean the same are never paired.

    Args:
        embed: texts -> their embeddings [N, d].
        model: the model's name, for the record.
        window: W in seconds.
    """

    name = "similarity"

    def __init__(self, embed: Callable[[list[str]], np.ndarray], model: str = "", window: float = 1.0) -> None:
        self.name = f"similarity ({model})" if model else "similarity"
        self._embed, self._window = embed, window

    @classmethod
    def load(cls, model: str) -> SimilarityMatcher:
        """Load a model of sentence-transformers by its hub id or folder.

        Raises:
            ValueError: the library is not installed, or the model cannot be loaded.
        """
        try:
            from huggingface_hub import model_info
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ValueError(
                '--match similarity needs sentence-transformers: pip install "videollm_ros[similarity]".'
            ) from error
        try:
            try:
                loaded = SentenceTransformer(model, local_files_only=True)
            except (OSError, ValueError):
                if Path(model).is_dir():
                    raise
                model_info(model, timeout=_HUB_TIMEOUT)  # fails at once, where loading tries again for a minute
                loaded = SentenceTransformer(model)
        except Exception as error:  # the hub's client raises those of its HTTP library
            raise ValueError(f"{model} cannot be loaded by sentence-transformers: {error}") from error
        return cls(lambda texts: loaded.encode(texts, convert_to_numpy=True, show_progress_bar=False), model)

    def grades(self, said: Sequence[str], meant: Sequence[str], wanted: np.ndarray) -> np.ndarray:
        """Grade 2 where the cosine is above 0.5, 0 elsewhere."""
        return np.where(self._cosines(said, meant) > SIMILAR, RIGHT, WRONG)

    def costs(self, said: Sequence[str], meant: Sequence[str], lateness: np.ndarray) -> np.ndarray:
        """Return ProAssist's cost of each pair."""
        away = np.abs(lateness) / self._window
        return np.asarray(1 - self._cosines(said, meant) + _TIME_COST * away**_TIME_EXPONENT)

    def _cosines(self, said: Sequence[str], meant: Sequence[str]) -> np.ndarray:
        if not said or not meant:
            return np.zeros((len(said), len(meant)))
        return np.asarray(self._unit(said) @ self._unit(meant).T)

    def _unit(self, texts: Sequence[str]) -> np.ndarray:
        different = list(dict.fromkeys(texts))
        embeds = np.asarray(self._embed(different), float)
        unit = np.asarray(embeds / np.maximum(np.linalg.norm(embeds, axis=1, keepdims=True), 1e-12))
        rows: np.ndarray = unit[[different.index(text) for text in texts]]
        return rows
