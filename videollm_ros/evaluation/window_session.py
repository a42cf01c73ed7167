# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Watch a stream with the last N frames alone, to measure what the memory of a session is worth.

This is the baseline of "SimpleStream" (arXiv 2604.02317): at every frame the same model reads a prompt anew, with the
last N frames, what was said among them, and the newest query. It knows nothing of anything earlier.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from videollm_ros.assistant import AssistantSettings
from videollm_ros.evaluation.replies import generate, prompt_embeds
from videollm_ros.live import FrameDecision, LiveModel, SpeakRule, Utterance
from videollm_ros.live.events import decode_reply
from videollm_ros.live.queries import Query
from videollm_ros.live.speak_rule import Form, predict_silence
from videollm_ros.live.stream_reader import MaySpeak
from videollm_ros.live.template import Turn, clean_user_text


@dataclass
class _Seen:
    """A frame [n, d_model], and the messages that followed it."""

    embeds: Tensor
    stamp: float
    said: list[dict[str, Any]] = field(default_factory=list)


def make_window_session(model: LiveModel, settings: AssistantSettings, num_frames: int) -> WindowSession:
    """Make the session that these settings describe, with the last frames alone.

    Raises:
        ValueError: a setting is out of its range.
    """
    stream = settings.stream
    rule = SpeakRule(stream.threshold, cast(Form, stream.rule))
    return WindowSession(model, num_frames, rule, stream.max_new_tokens, stream.instruction)


class WindowSession:
    """Do what a `StreamSession` does, with the last frames alone in the context.

    Args:
        model: the model.
        num_frames: how many frames it sees, at least 1.
        rule: the rule that decides to speak.
        max_new_tokens: tokens after which a reply is cut off.
        instruction: standing instruction, or an empty text.

    Raises:
        ValueError: the number of frames is below 1.
    """

    def __init__(
        self, model: LiveModel, num_frames: int, rule: SpeakRule, max_new_tokens: int = 100, instruction: str = ""
    ) -> None:
        if num_frames < 1:
            raise ValueError(f"A window has at least 1 frame, not {num_frames}.")
        self.model, self.rule, self._max_new_tokens = model, rule, max_new_tokens
        self._instruction = instruction
        self._window: deque[_Seen] = deque(maxlen=num_frames)
        self._queries: list[Query] = []
        self._newest = ""  # query that was asked last

    def ask(self, text: str, stamp: float, query_id: str = "", request: Any = None) -> None:
        """Queue a query, to be answered when the stream reaches its stamp in seconds.

        Raises:
            ValueError: the query is empty.
        """
        self._queries.append(Query(clean_user_text(text), stamp, query_id, request))

    def instruct(self, text: str) -> None:
        """Replace the standing instruction.

        Raises:
            ValueError: it is empty.
        """
        self._instruction = clean_user_text(text)

    @torch.inference_mode()
    def answer(self, stamp: float) -> Iterator[Utterance]:
        """Answer the queries that are stamped at or before `stamp` (seconds) now, without waiting for a frame."""
        while self._queries and self._queries[0].stamp <= stamp:
            yield self._answer(self._queries.pop(0), stamp)

    def reset(self) -> None:
        """Forget the stream. The instruction stays."""
        self._window.clear()
        self._queries.clear()
        self._newest = ""

    @torch.inference_mode()
    def observe_embeds(
        self,
        embeds: Tensor,
        stamps: Sequence[float],
        may_speak: MaySpeak = True,
        frames: Sequence[Any] | None = None,
    ) -> Iterator[FrameDecision | Utterance]:
        """Read frames as `StreamSession.observe_embeds` does, one by one.

        Raises:
            ValueError: the frames of the window do not fit into what the decoder was trained on.
        """
        names = [None] * len(stamps) if frames is None else frames
        for frame, stamp, name in zip(embeds, stamps, names, strict=True):
            while self._queries and self._queries[0].stamp < stamp and self._window:
                yield self._answer(self._queries.pop(0), self._window[-1].stamp)
            self._window.append(_Seen(frame, stamp))
            asked = bool(self._queries) and self._queries[0].stamp <= stamp
            p_silence, is_argmax = self._decide()
            wants = self.rule.speaks(p_silence, is_argmax)
            allowed = may_speak(stamp) if callable(may_speak) else may_speak
            speaks = wants and allowed and not asked
            probability = 1 - p_silence
            yield FrameDecision(stamp, probability, self.rule.threshold, speaks, name, wants)
            while self._queries and self._queries[0].stamp <= stamp:
                yield self._answer(self._queries.pop(0), stamp)
            if speaks:
                text, ids, truncated = self._reply(self._prompt() + self.model.template.before_reply())
                if text:
                    self._window[-1].said.append({"role": "assistant", "content": text})
                yield Utterance(text, stamp, None, probability, ids, truncated)

    def _decide(self) -> tuple[float, bool]:
        embeds = prompt_embeds(self.model, self._prompt(), self._frames())
        logits = self.model.llm(inputs_embeds=embeds, use_cache=False).logits[:, -1].float()
        p_silence, is_argmax = predict_silence(logits, self.model.template.silence_token_id)[0]
        return p_silence, is_argmax

    def _answer(self, query: Query, stamp: float) -> Utterance:
        messages = self._messages()
        last = messages[-1]["role"] if messages else "system"
        turn = {"stream": Turn.STREAM, "assistant": Turn.ASSISTANT, "user": Turn.USER, "system": Turn.SYSTEM}[last]
        before = self.model.template.encode(messages)[0] if messages else []
        before = before[:-1] if turn is Turn.ASSISTANT else before  # <eos> is part of what comes next
        text, ids, truncated = self._reply(before + self.model.template.before_answer(turn, query.text))
        self._newest = query.text
        if text and self._window:
            exchange = [{"role": "user", "content": query.text}, {"role": "assistant", "content": text}]
            self._window[-1].said += exchange
        return Utterance(text, stamp, query.text, 1.0, ids, truncated, query.query_id, query.request)

    def _reply(self, prompt: list[int]) -> tuple[str, tuple[int, ...], bool]:
        ids = generate(self.model, prompt_embeds(self.model, prompt, self._frames()), self._max_new_tokens)[0]
        return decode_reply(self.model.tokenizer, ids), tuple(ids), len(ids) >= self._max_new_tokens

    def _prompt(self) -> list[int]:
        return self.model.template.encode(self._messages())[0]

    def _messages(self) -> list[dict[str, Any]]:
        """Return the conversation that the model sees."""
        messages: list[dict[str, Any]] = []
        for seen in self._window:
            messages += [{"role": "stream", "num_frames": 1}, *seen.said]
        standing = [self._instruction] if self._instruction else []
        if self._newest and not any(message.get("content") == self._newest for message in messages):
            standing.append(self._newest)
        return [{"role": "user", "content": text, "answer": False} for text in standing] + messages

    def _frames(self) -> Tensor:
        if not self._window:
            return torch.zeros(0)
        return torch.stack([seen.embeds for seen in self._window])
