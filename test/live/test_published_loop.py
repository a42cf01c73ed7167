# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The session says what a plain loop over transformers says: frame by frame, a cache that only grows."""

from pathlib import Path

import pytest
import torch
from transformers import DynamicCache

from videollm_ros.live import LiveModel, StreamSession
from videollm_ros.live.template import Turn
from videollm_ros.sim import Tabletop

DEMO = Path(__file__).parents[2] / "checkpoints" / "demo"
THRESHOLD, MAX_NEW_TOKENS = 0.725, 40
SECONDS = 30.0  # before the first eviction


class PublishedLoop:
    """As the public implementation does it, written out."""

    def __init__(self, model: LiveModel) -> None:
        self.model, self.template = model, model.template
        self.cache = DynamicCache(config=model.llm.config)
        self.fed_next = self.template.before_frame(Turn.SYSTEM)

    def feed(self, token_ids: list[int], frame: torch.Tensor | None = None) -> torch.Tensor:
        embeds = self.model.embed_ids(torch.tensor(token_ids))
        if frame is not None:
            embeds = torch.cat((embeds, frame))
        return self.model.llm(inputs_embeds=embeds[None], past_key_values=self.cache, use_cache=True).logits[0, -1]

    def read(self, frame: torch.Tensor, query: str | None) -> str | None:
        probabilities = self.feed(self.fed_next, frame).softmax(-1)
        if query is not None:
            return self.reply(self.template.before_answer(Turn.STREAM, query))
        if probabilities[self.template.silence_token_id] < THRESHOLD:
            probabilities[self.template.silence_token_id] = 0
        if int(probabilities.argmax()) != self.template.silence_token_id:
            return self.reply(self.template.before_reply())
        self.fed_next = self.template.interval_ids
        return None

    def reply(self, prompt_ids: list[int]) -> str:
        token_ids, fed = [], prompt_ids
        while len(token_ids) < MAX_NEW_TOKENS:
            token = int(self.feed(fed).argmax())
            if token == self.template.eos_token_id:
                break
            token_ids.append(token)
            fed = [token]
        self.fed_next = self.template.before_frame(Turn.ASSISTANT)
        return self.model.tokenizer.decode(token_ids).strip()


@pytest.fixture(scope="module")
def demo_model() -> LiveModel:
    return LiveModel.from_pretrained(DEMO, device="cpu", dtype="float32")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(9400, 9420))
@torch.inference_mode()
def test_on_a_simulated_stream_the_words_are_the_same(demo_model, seed):
    tabletop, fps = Tabletop(seed, SECONDS), demo_model.config.frame_fps
    queries = {question.time: question.text for question in tabletop.questions}
    embeds = demo_model.embed(demo_model.encode(demo_model.prepare(tabletop.frames(fps))))
    stamps = [index / fps for index in range(len(embeds))]

    loop, expected = PublishedLoop(demo_model), []
    for frame, stamp in zip(embeds, stamps, strict=True):
        said = loop.read(frame, queries.get(stamp))
        if said is not None:
            expected.append((stamp, queries.get(stamp), said))
    assert expected

    for frames_at_once in (1, len(embeds)):
        session = StreamSession(demo_model, THRESHOLD, MAX_NEW_TOKENS)
        for stamp, query in queries.items():
            session.ask(query, stamp)
        said = [
            event
            for start in range(0, len(embeds), frames_at_once)
            for event in session.observe_embeds(embeds[start:][:frames_at_once], stamps[start:][:frames_at_once])
            if hasattr(event, "truncated")
        ]
        assert session.state.evictions == 0
        assert [(one.stamp, one.query, one.text) for one in said] == expected
