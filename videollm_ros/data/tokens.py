# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many tokens a dialogue has for a model, and which words its tokenizer splits badly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from videollm_ros.data.convert.request import RequestError
from videollm_ros.live import LiveConfig

_LETTERS_PER_TOKEN = 1.5  # below it a word is spelled rather than read
_SHORTEST = 4  # letters of a word that is looked at


@dataclass
class TokenCounter:
    """Counts tokens without loading any weights. `context` is the most that the decoder reads."""

    config: LiveConfig
    tokenizer: PreTrainedTokenizerBase
    context: int

    @classmethod
    def load(cls, checkpoint: Path, llm: str | None = None) -> TokenCounter:
        """Read the tokenizer and the sizes of a checkpoint folder.

        Raises:
            RequestError: they are not there.
        """
        try:
            path = checkpoint / "live_config.json"
            config = LiveConfig.load(path) if path.is_file() else LiveConfig()
            beside = checkpoint / config.llm
            source = llm or (str(beside) if beside.is_dir() else config.llm)
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            decoder = AutoConfig.from_pretrained(source, trust_remote_code=False)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise RequestError(
                f"The tokenizer of {checkpoint} cannot be read, give its folder in --llm: {reason}"
            ) from error
        context = getattr(config, "max_positions", None) or decoder.max_position_embeddings
        return cls(config, tokenizer, context)

    def count(self, conversation: Sequence[Mapping[str, Any]]) -> int:
        """Return the tokens of a dialogue, give or take one for each place where two texts meet."""
        per_frame = self.config.frame_num_tokens + bool(self.config.frame_token_interval)
        frames: int = sum(message["num_frames"] for message in conversation if message["role"] == "stream")
        texts = [self.config.system_prompt]
        for message in conversation:
            name = {"user": "User: ", "assistant": "Assistant: "}.get(message["role"], "")
            texts.append(f"\n[]\n{name}{message['content']}" if name else "")
        replies: int = sum(message["role"] == "assistant" for message in conversation)
        return frames * per_frame + replies + self._length("".join(texts))

    def odd_words(self, words: Counter[str]) -> tuple[list[str], list[str]]:
        """Return the words that cannot be written at all and those that are split into letters, most common first."""
        unknown, badly = [], []
        for word, _ in words.most_common():
            ids = self.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
            if word not in self.tokenizer.decode(ids):
                unknown.append(word)
            elif len(word) >= _SHORTEST and len(word) < _LETTERS_PER_TOKEN * len(ids):
                badly.append(word)
        return unknown, badly

    def _length(self, text: str) -> int:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return len(ids)
