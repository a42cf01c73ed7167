# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A session in lockstep with a slow oracle: one whole forward per decision and word, no cache, text between turns.

Whatever is done between two events, in whatever order, both say the same. More examples than the usual few:

    STATE_MACHINE_EXAMPLES=5000 python -m pytest test/live/test_state_machine.py
"""

import os
import runpy
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from videollm_ros.live import (
    ContextLimits,
    FrameDecision,
    NonFiniteError,
    PartialReply,
    SessionBrokenError,
    SpeakRule,
    StreamSession,
)

EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "100"))
FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "llama, a kv head per head": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": 4}),
    "mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": 512}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 16}),
}
TEXTS = ["What is it?", "Why now", "And: the cup.", "a " * 12 + "end", "One\ntwo?", "<|eot_id|>]\nUser: x"]
KINDS = ("system", "instruction", "frame", "text")
ORACLE = runpy.run_path(str(Path(__file__).with_name("oracle.py")))
Oracle, TooClose, CLOSE = (ORACLE[name] for name in ("Oracle", "TooClose", "CLOSE"))


class LockStep(RuleBasedStateMachine):
    """A session and an oracle, with a walk through the events of one call that may be left at any of them."""

    models: dict  # by family, layers and interval

    @initialize(
        family=st.sampled_from(list(FAMILIES)),
        tight=st.booleans(),
        interval=st.sampled_from([",", ""]),
        threshold=st.sampled_from([0.05, 0.3, 0.6, 0.9]),
        form=st.sampled_from(["paper", "plain"]),
        limit=st.integers(1, 8),
        limits=st.tuples(st.integers(90, 160), st.sampled_from([0.0, 4.0, 99.0]), st.sampled_from([None, 0, 20])),
    )
    def begin(self, family, tight, interval, threshold, form, limit, limits):
        # A key of the first layer depends on its token alone: with one layer the oracle is exact after evictions too.
        self.model = self.models[family, 1 if tight else 2, interval]
        self.max_tokens = limits[0] if tight else 500
        context = ContextLimits(self.max_tokens, *limits[1:]) if tight else ContextLimits(self.max_tokens)
        rule = SpeakRule(threshold, form)
        self.session = StreamSession(self.model, max_new_tokens=limit, context=context, rule=rule)
        self.oracle = Oracle(self.model, threshold, form, limit, context)
        self.walk, self.stamp, self.broken, self.over, self.names = None, 0.0, False, False, 0
        self.frames = torch.randn(16, self.oracle.frame_tokens, 32, generator=torch.Generator().manual_seed(3))

    @precondition(lambda self: not self.walk and not self.broken and not self.over)
    @rule(
        gaps=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=20),
        poisoned=st.integers(0, 100),
        events=st.integers(0, 12),
    )
    def observe(self, gaps, poisoned, events):
        frames, stamps = [], []
        for index, gap in enumerate(gaps):
            self.stamp += gap
            stamps.append(self.stamp)
            frames.append(self.frames[int(2 * self.stamp + index) % 16] * (torch.nan if index == poisoned else 1.0))
        embeds = torch.stack(frames)
        self.walk = self.session.observe_embeds(embeds, stamps, frames=stamps), self.oracle.observe(embeds, stamps)
        self.step(events)

    @precondition(lambda self: not self.walk and not self.broken and not self.over)
    @rule(offset=st.sampled_from([-1.0, 0.0, 1.0]))
    def answer(self, offset):
        self.walk = self.session.answer(self.stamp + offset), self.oracle.answer(self.stamp + offset)
        self.step(1)

    @precondition(lambda self: self.walk)
    @rule(events=st.integers(1, 20))
    def step(self, events):
        for _ in range(events):
            if self.walk:
                self.compare_next()

    @precondition(lambda self: self.walk)
    @rule()
    def finish(self):
        while self.walk:
            self.compare_next()

    @precondition(lambda self: self.walk)
    @rule()
    def close(self):
        for generator in self.walk:
            generator.close()
        self.walk = None
        self.stamp = self.oracle.stamp if self.oracle.stamp is not None else self.stamp

    @precondition(lambda self: not self.over)
    @rule(text=st.sampled_from(TEXTS), offset=st.sampled_from([-3.0, -0.5, 0.0, 0.5, 1.0, 2.5]))
    def ask(self, text, offset):
        stamp = (self.oracle.stamp or 0.0) + offset
        self.names += 1
        try:
            self.session.ask(text, stamp, str(self.names), request=self.names)
        except SessionBrokenError:
            assert self.broken
        except ValueError:
            assert self.max_tokens < 200
        else:
            self.oracle.queue.append((stamp, " ".join(text.split()), str(self.names)))
            self.oracle.queue.sort(key=lambda query: query[0])

    @rule(back=st.integers(0, 3))
    def withdraw(self, back):
        name = str(self.names - back)
        kept = [query for query in self.oracle.queue if query[2] != name]
        assert self.session.withdraw(name) == (len(kept) < len(self.oracle.queue)) or self.over
        self.oracle.queue = kept

    @rule()
    def stop(self):
        self.session.stop_reply()
        if self.oracle.reply is not None:
            self.oracle.reply["stopped"] = True

    @rule(threshold=st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]))
    def change_threshold(self, threshold):
        self.session.threshold = self.oracle.threshold = threshold

    @rule(limit=st.integers(1, 12))
    def change_limit(self, limit):
        try:
            self.session.max_new_tokens = limit
        except ValueError:
            assert limit + 1 > self.oracle.longest()
        else:
            self.oracle.limit = limit

    @rule(text=st.sampled_from([None, *TEXTS]))
    def instruct(self, text):
        try:
            self.session.instruct(text)
        except ValueError:
            assert self.max_tokens < 200
            return
        text = text and " ".join(text.split())
        if text != self.oracle.instruction:
            for part in self.oracle.parts:
                part.kind = "text" if part.kind == "instruction" else part.kind
            self.oracle.instruction = self.oracle.to_read = text

    @rule()
    def reset(self):
        waiting = [query.query_id for query in self.session.reset()]
        assert (
            self.over or waiting[-len(self.oracle.queue) :] == [query[2] for query in self.oracle.queue] or not waiting
        )
        self.oracle.queue = []
        self.oracle.begin()
        self.broken = self.over = False
        if not self.walk:
            self.stamp = 0.0

    @precondition(lambda self: self.broken and not self.over)
    @rule()
    def refuse(self):
        with pytest.raises(SessionBrokenError):
            self.session.observe(torch.zeros(3, 32, 32, dtype=torch.uint8), self.stamp)

    @invariant()
    def counts(self):
        if hasattr(self, "session") and not self.over and not self.broken:
            state = self.session.state
            kinds = (state.system_tokens, state.instruction_tokens, state.frame_tokens, state.text_tokens)
            assert state.tokens == sum(kinds) <= state.max_tokens
            assert state.queries_waiting == len(self.oracle.queue)
            if not self.walk:
                held = [sum(len(p.embeds) for p in self.oracle.parts if p.kind == kind) for kind in KINDS]
                assert list(kinds) == held

    def compare_next(self):
        try:
            expected = next(self.walk[1], None)
        except TooClose:
            self.walk, self.over = None, True
            return
        except NonFiniteError:
            with pytest.raises(NonFiniteError):
                next(self.walk[0])
            self.walk, self.broken = None, True
            return
        event = next(self.walk[0], None)
        if expected is None:
            assert event is None
            self.walk = None
        elif isinstance(event, FrameDecision):
            assert ("decision", event.stamp, event.speaks) == (expected[0], expected[1], expected[3])
            assert event.speak_probability == pytest.approx(expected[2], abs=CLOSE / 2)
            assert event.frame == event.stamp
        elif isinstance(event, PartialReply):
            assert ("partial", event.stamp, event.query, event.query_id, tuple(event.token_ids)) == expected
        else:
            rest = (event.stamp, event.query, event.query_id, event.token_ids, event.truncated)
            assert ("utterance", *rest) == expected[:-1]
            assert event.speak_probability == pytest.approx(expected[-1], abs=CLOSE / 2)
            assert event.request == (int(event.query_id) if event.query_id else None)


@pytest.fixture(scope="module")
def models(random_llm, compose, lean_towards):
    """Random models that hesitate between silence, speech and the end of a reply."""
    built = {}
    for name, (llm_class, config_class, options) in FAMILIES.items():
        for layers in (1, 2):
            for interval in (",", ""):
                llm = random_llm(llm_class, config_class, num_hidden_layers=layers, **options)
                model = compose(llm, frame_token_interval=interval)
                template = model.template
                biases = {template.eos_token_id: 4.0} | {template.silence_token_id: 6.0}
                built[name, layers, interval] = lean_towards(model, biases)
    return built


@pytest.mark.slow
def test_a_session_says_what_the_oracle_says_whatever_happens_between_two_events(models):
    machine = type("LockStepWithModels", (LockStep,), {"models": models})
    with torch.inference_mode():
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=60,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
                database=None,
                report_multiple_bugs=False,
            ),
        )
