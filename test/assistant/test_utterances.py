# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Utterances are numbered, closed once they have begun, and held back as a whole or not at all."""

from types import SimpleNamespace

import pytest

from videollm_ros.assistant.frames import Frame
from videollm_ros.assistant.listeners import Listeners, StreamListener
from videollm_ros.assistant.queries import QueryAdmission
from videollm_ros.assistant.settings import SpeechSettings
from videollm_ros.assistant.speech_policy import SpeechPolicy
from videollm_ros.assistant.updates import HoldReason
from videollm_ros.assistant.utterances import UtterancePublisher
from videollm_ros.live import FrameDecision, Utterance


class Told(StreamListener):
    """Remembers the updates."""

    def __init__(self):
        self.partials, self.utterances, self.held_back = [], [], []

    def wants_partials(self):
        return True

    def on_partial(self, update):
        self.partials.append(update)

    def on_utterance(self, update):
        self.utterances.append(update)

    def on_held_back(self, update):
        self.held_back.append(update)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def policy():
    return SpeechPolicy(SpeechSettings())


@pytest.fixture
def publisher(policy, told):
    return UtterancePublisher(policy, Listeners([told]))


def read(publisher, stamp, probability=0.9, *, speaks=True):
    frame = Frame(None, stamp, f"header {stamp}", 0.0, 1, False)
    publisher.on_frame(frame, FrameDecision(stamp, probability, 0.725, speaks, frame, probability > 0.275))


def grow(publisher, text, stamp=0.0, request=None):
    publisher.on_partial(SimpleNamespace(text=text, stamp=stamp, request=request))


def finish(publisher, text, stamp=0.0, request=None, *, truncated=False):
    query = request.text if request else None
    publisher.on_utterance(Utterance(text, stamp, query, 0.9, (), truncated, "", request))


def test_an_utterance_carries_what_made_it_speak(publisher, told):
    read(publisher, 3.0, 0.8)
    finish(publisher, "A cup.", 3.0)
    (update,) = told.utterances
    assert (update.id, update.sequence, update.final, update.text) == (1, 0, True, "A cup.")
    assert (update.tag, update.stamp, update.speak_probability) == ("header 3.0", 3.0, 0.8)


def test_the_beginning_of_a_stutter_is_not_published_until_it_becomes_something_else(publisher, told):
    for stamp, text in ((0.0, "A cup falls."), (0.5, "A cup stands.")):
        read(publisher, stamp)
        for length in (5, 7, len(text)):
            grow(publisher, text[:length], stamp)
        finish(publisher, text, stamp)
    assert [(partial.id, partial.text) for partial in told.partials] == [
        (1, "A cup"),
        (1, "A cup f"),
        (1, "A cup falls."),
        (2, "A cup s"),
        (2, "A cup stands."),
    ]
    assert [update.text for update in told.utterances] == ["A cup falls.", "A cup stands."]


def test_a_stutter_has_no_number_and_keeps_its_text(publisher, told):
    for stamp in (0.0, 0.5):
        read(publisher, stamp)
        finish(publisher, "A cup.", stamp)
    (held,) = told.held_back
    assert (held.held_back, held.text, held.id, held.tag) == (HoldReason.REPEAT, "A cup.", 0, "header 0.5")
    assert publisher.held_back[HoldReason.REPEAT] == 1 and publisher.utterances == 1


def test_a_stutter_is_held_back_for_as_long_as_it_goes_on(publisher, told):
    for index in range(60):
        read(publisher, index / 2)
        finish(publisher, "A cup.", index / 2)
    assert (len(told.utterances), len(told.held_back)) == (1, 59)


def test_a_reply_without_words_is_held_back(publisher, told):
    read(publisher, 0.0)
    finish(publisher, "", 0.0)
    assert [update.held_back for update in told.held_back] == [HoldReason.EMPTY] and not told.utterances


def test_an_answer_is_never_held_back(publisher, policy, told):
    policy.settings = SpeechSettings(muted=True)
    for _ in range(2):
        query = QueryAdmission().admit("What is it?", "mine")
        finish(publisher, "A cup.", 0.0, query)
        assert query.answer.result(0) is told.utterances[-1]
    assert [update.id for update in told.utterances] == [1, 2] and not told.held_back


def test_what_has_begun_is_closed_when_it_is_muted_or_forgotten(publisher, told):
    read(publisher, 0.0)
    grow(publisher, "A c")
    assert publisher.mute_reply()
    grow(publisher, "A cu")
    finish(publisher, "A cu", truncated=True)
    read(publisher, 1.0)
    grow(publisher, "A d", 1.0)
    publisher.forget()
    closed = [(update.id, update.text, update.final, update.truncated) for update in told.utterances]
    assert closed == [(1, "A cu", True, True), (2, "A d", True, True)]
    assert publisher.reply is None and [partial.text for partial in told.partials] == ["A c", "A d"]


def test_forgetting_says_nothing_of_what_has_not_begun(publisher, told):
    read(publisher, 0.0)
    publisher.forget()
    assert not told.utterances and not told.held_back
