# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Embeddings of token ids, with those that recur in every stream kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from videollm_ros.live.model import LiveModel


class TokenEmbeds:
    """Looks up embeddings. Sequences that recur are embedded once."""

    def __init__(self, model: LiveModel, recurring: Iterable[Sequence[int]]) -> None:
        """Prepare for the sequences `recurring`."""
        self._model = model
        self._recurring = {tuple(token_ids) for token_ids in recurring}
        self._kept: dict[tuple[int, ...], Tensor] = {}
        embedding = model.llm.get_input_embeddings()
        self._table = embedding.weight.data if type(embedding) is torch.nn.Embedding else None  # others may scale it

    @torch.inference_mode()
    def __call__(self, token_ids: Sequence[int]) -> Tensor:
        """Return the decoder embeddings [L, d_model]. A single token is a row of the embedding table."""
        if len(token_ids) == 1 and self._table is not None:
            return self._table[token_ids[0] : token_ids[0] + 1]
        key = tuple(token_ids)
        embeds = self._kept.get(key)
        if embeds is None:
            embeds = self._model.embed_ids(torch.tensor(key, dtype=torch.long, device=self._model.device))
            if key in self._recurring:
                self._kept[key] = embeds
        return embeds
