# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries of any text and id, put to a stream at work with the demo checkpoint: an answer, or a sentence."""

import functools

import numpy as np
import torch
from hypothesis import strategies as st

from fuzzing import Refused
from videollm_ros.assistant import AssistantSettings, AssistantStream, QueryError, StreamSettings
from videollm_ros.assistant.queries import MAX_CHARACTERS, MAX_ID_CHARACTERS
from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.live import LiveModel

TIMEOUT = 60.0  # seconds for an answer
PIECES = [
    "<|eot_id|>", "<|begin_of_text|>", "<v>", "]\nAssistant:", "\nUser:", "[", ",", "\x00", "\x1b[31m", "\r\n",
    "\u2028", "\u202e", "\ud800", "\ufeff", "\u0301" * 40, "\U0001f9ff", "What is on the table?", "a" * MAX_CHARACTERS,
    " ", "\t",
]  # fmt: skip

pieces = st.one_of(st.sampled_from(PIECES), st.text(max_size=40), st.text(st.characters(), max_size=40))
texts = st.lists(pieces, max_size=8).map("".join)
cases = st.tuples(texts, st.one_of(st.just(""), texts, st.text(max_size=2 * MAX_ID_CHARACTERS)), st.booleans())


@functools.cache
def _stream() -> AssistantStream:
    torch.set_num_threads(1)
    model = LiveModel.from_pretrained(demo_checkpoint(), device="cpu")
    return AssistantStream(model, AssistantSettings(stream=StreamSettings(max_new_tokens=2)))


def prepare() -> None:
    """Load the model, and answer once."""
    run(("What is it?", "", True))


@functools.cache
def _stamps() -> list[float]:
    return [0.0]


def run(case: tuple[str, str, bool]) -> int:
    """Ask, and wait for the answer. Returns 0: an answer takes next to nothing."""
    text, query_id, sees = case
    stream, stamps = _stream(), _stamps()
    if sees:
        stamps[0] += 0.5
        stream.offer(np.zeros((32, 32, 3), np.uint8), stamps[0])
    followed: list[str] = []
    try:
        query = stream.ask(text, query_id, lambda update: followed.append(update.text))
        update = query.answer.result(TIMEOUT)
    except QueryError as error:
        if stream.snapshot().faults:
            raise RuntimeError(f"the stream failed: {error}") from error
        raise Refused(error) from error
    update.text.encode()  # it can be published
    if any(not update.text.startswith(each) for each in followed):
        raise ValueError(f"the answer {update.text!r} did not grow from {followed!r}")
    if stream.fatal or stream.snapshot().recoveries:
        raise RuntimeError(f"the stream began anew: {stream.fatal}")
    return 0
