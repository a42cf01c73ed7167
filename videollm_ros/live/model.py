# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The LIVE model: a vision encoder, a two-layer connector and a causal LM (arXiv 2406.11816)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import CausalLMOutput

from videollm_ros.live.config import LiveConfig
from videollm_ros.live.template import IGNORED, DialogueTemplate
from videollm_ros.live.vision import VisionEncoder, as_tensor, letterbox


def make_connector(vision_size: int, llm_size: int) -> nn.Sequential:
    """The projector from vision features [.., vision_size] to decoder embeddings [.., llm_size]."""
    return nn.Sequential(nn.Linear(vision_size, llm_size), nn.GELU(), nn.Linear(llm_size, llm_size))


class LiveModel(nn.Module):
    """Composes a vision tower, a connector and any Hugging Face causal LM; holds no stream's state.

    Raises:
        ValueError: parts that do not fit each other; the message has both sizes.
    """

    def __init__(
        self,
        config: LiveConfig,
        vision: VisionEncoder,
        connector: nn.Sequential,
        llm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        super().__init__()
        vision_size, llm_size = connector[0].in_features, connector[-1].out_features
        if vision.hidden_size != vision_size:
            raise ValueError(
                f"the vision tower {config.vision} makes features of width {vision.hidden_size}, "
                f"connector.0.weight {list(connector[0].weight.shape)} takes width {vision_size}"
            )
        embedding = llm.get_input_embeddings()
        if embedding.embedding_dim != llm_size:
            raise ValueError(
                f"the decoder {config.llm} has embeddings of width {embedding.embedding_dim}, "
                f"connector.2.weight {list(connector[-1].weight.shape)} makes width {llm_size}"
            )
        if len(tokenizer) > embedding.num_embeddings:
            raise ValueError(
                f"the tokenizer has {len(tokenizer)} tokens, the decoder's embedding table "
                f"{list(embedding.weight.shape)} only {embedding.num_embeddings}: it is the tokenizer of another model"
            )
        self.config = config
        self.vision = vision
        self.connector = connector
        self.llm = llm
        self.tokenizer = tokenizer
        self.template = DialogueTemplate(config, tokenizer, frame_token_id=embedding.num_embeddings)

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        llm: str | Path | None = None,
        vision: str | Path | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        quantization: str | None = None,
    ) -> LiveModel:
        """Load a model for inference; see `videollm_ros.live.checkpoint.load` for the layouts and the errors."""
        from videollm_ros.live.checkpoint import load

        return load(checkpoint, llm=llm, vision=vision, device=device, dtype=dtype, quantization=quantization)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a self-contained folder that `from_pretrained` loads: safetensors, configurations, tokenizer."""
        from videollm_ros.live.checkpoint import save

        save(self, folder)

    @property
    def device(self) -> torch.device:
        return self.connector[0].weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the decoder's embeddings, and so of everything that it reads."""
        return self.llm.get_input_embeddings().weight.dtype

    def prepare(self, frames: Tensor | np.ndarray) -> Tensor:
        """Fit frames of any size to the vision tower, on the model's device.

        Args:
            frames: uint8 RGB [3, H, W] or [H, W, 3], or a batch of them [T, ...].

        Returns:
            uint8 RGB [3, R, R] or [T, 3, R, R].

        Raises:
            ValueError: another type or shape.
        """
        tensor = as_tensor(frames)
        batched = tensor.ndim == 4
        if tensor.ndim == 3:
            tensor = tensor[None]
        # Channels first, unless only the last dimension can be the colours.
        if tensor.ndim == 4 and tensor.shape[1] != 3 and tensor.shape[3] == 3:
            tensor = tensor.permute(0, 3, 1, 2)
        if tensor.dtype != torch.uint8 or tensor.ndim != 4 or tensor.shape[1] != 3 or 0 in tensor.shape:
            raise ValueError(
                f"expected uint8 RGB frames [3, H, W] or [H, W, 3], got {tensor.dtype} {list(np.shape(frames))}"
            )
        prepared = letterbox(tensor.to(self.device, non_blocking=True), self.config.frame_resolution)
        return prepared if batched else prepared[0]

    def encode(self, frames: Tensor) -> Tensor:
        """Vision features [T, n, d_vision] of uint8 RGB frames [T, 3, R, R]."""
        return self.vision(frames.to(self.device, non_blocking=True))

    def embed(self, features: Tensor) -> Tensor:
        """Decoder embeddings [T, n, d_model] of vision features [T, n, d_vision]."""
        connected = self.connector(features.to(self.device, self.connector[0].weight.dtype))
        return connected.to(self.dtype)

    def embed_ids(self, input_ids: Tensor) -> Tensor:
        """Decoder embeddings [.., d_model] of token ids [..]."""
        return self.llm.get_input_embeddings()(input_ids)

    def forward(
        self,
        input_ids: Tensor,
        features: Tensor,
        labels: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> CausalLMOutput:
        """Read whole dialogues (teacher forcing).

        Args:
            input_ids: [B, L], from `template.encode`; padding is on the left.
            features: [T, n, d_vision], the frames of all dialogues in order.
            labels: [B, L] as `template.encode` gives them: already the *next* token, -100 where nothing is learned.
            attention_mask: [B, L], 0 where padded.

        Returns:
            logits [B, L, vocab], and with labels the loss: the mean over learned positions of the cross-entropy,
            silence-or-speak positions weighted by `stream_loss_weight` (the paper's streaming EOS prediction).

        Raises:
            ValueError: the dialogues hold another number of frames than `features`.
        """
        is_frame = input_ids == self.template.frame_token_id
        frame_embeds = self.embed(features).flatten(0, 1)
        if int(is_frame.sum()) != len(frame_embeds):
            raise ValueError(
                f"the dialogue has places for {int(is_frame.sum()) / self.config.frame_num_tokens:g} frames, "
                f"{len(features)} were given"
            )
        embeds = self.embed_ids(input_ids.masked_fill(is_frame, 0))
        # Mixed precision may give the two other types than the weights have.
        embeds = embeds.masked_scatter(is_frame[..., None], frame_embeds.to(embeds.dtype))
        position_ids = None
        if attention_mask is not None:
            position_ids = (attention_mask.cumsum(-1) - 1).clamp_(min=0)
        read = {"attention_mask": attention_mask, "position_ids": position_ids, "use_cache": False}
        logits = self.llm(inputs_embeds=embeds, **read).logits
        loss = None
        if labels is not None:
            loss = stream_loss(logits, labels, is_frame, self.config.stream_loss_weight)
        return CausalLMOutput(loss=loss, logits=logits)


def stream_loss(logits: Tensor, labels: Tensor, is_frame: Tensor, stream_weight: float) -> Tensor:
    """The paper's streaming EOS prediction: cross-entropy averaged over the learned positions.

    Args:
        logits: [B, L, vocab]. labels: [B, L], the target after each position or -100.
        is_frame: [B, L], true where a frame token was read; learned frame positions are silence-or-speak decisions.
        stream_weight: weight w of those positions.
    """
    learned = labels != IGNORED
    losses = F.cross_entropy(logits[learned].float(), labels[learned], reduction="none")
    weights = torch.where(is_frame[learned], stream_weight, 1.0)
    return (losses * weights).sum() / learned.sum().clamp(min=1)
