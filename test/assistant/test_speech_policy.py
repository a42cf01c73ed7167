# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may be said aloud: mute, cooldown, and stutters told from second events."""

import pytest

from videollm_ros.assistant.settings import SpeechSettings
from videollm_ros.assistant.speech_policy import SpeechPolicy
from videollm_ros.assistant.updates import HoldReason

MOVES = "The red cube moves."


def policy_of(**settings):
    return SpeechPolicy(SpeechSettings(**settings))


def held_back(stream, said=MOVES, **settings):
    """Play (stamp, speak probability) at a model that speaks wherever the probability is above 0.275.

    Returns the stamps of its utterances that are stutters.
    """
    policy, held = policy_of(**settings), []
    for stamp, probability in stream:
        policy.note_frame(stamp, probability, kept_silent=False)
        if probability <= 0.275:
            continue
        if policy.is_repeat(said, stamp, probability):
            policy.record_repeat(said, stamp, probability)
            held.append(stamp)
        else:
            policy.record(said, stamp, probability, proactive=True)
    return held


def frames(probabilities):
    return [(index / 2, probability) for index, probability in enumerate(probabilities)]


def test_the_same_again_at_the_next_frames_is_a_stutter_as_long_as_it_goes_on():
    assert held_back(frames([0.9] * 60)) == [index / 2 for index in range(1, 60)]


def test_a_second_event_after_silence_is_said_though_the_words_are_the_same():
    assert held_back(frames([0.99, *[0.001] * 5, 0.99])) == []


def test_a_wavering_frame_is_no_silence():
    assert held_back(frames([0.9, 0.2, 0.9, 0.2, 0.9])) == [1.0, 2.0]
    assert held_back(frames([0.9, 0.2, 0.2, 0.9])) == [1.5]  # nor are two within half a second


def test_a_probability_that_stays_high_is_no_silence():
    assert held_back(frames([0.9, *[0.6] * 5, 0.9])) == [index / 2 for index in range(1, 7)]


def test_what_a_talkative_threshold_lets_through_is_no_second_event():
    policy = policy_of()
    policy.record(MOVES, 0.0, 0.99, proactive=True)
    for stamp in (0.5, 1.0, 1.5, 2.0):
        policy.note_frame(stamp, 1e-5, kept_silent=False)
    assert policy.is_repeat(MOVES, 2.0, 1e-4)
    assert not policy.is_repeat(MOVES, 2.0, 0.5)


def test_what_was_babbled_does_not_hide_the_event():
    policy = policy_of()
    policy.record(MOVES, 0.0, 1e-4, proactive=True)
    policy.note_frame(0.5, 0.99, kept_silent=False)
    assert not policy.is_repeat(MOVES, 0.5, 0.99)


def test_other_words_are_no_stutter_and_letters_and_spaces_do_not_matter():
    policy = policy_of()
    policy.record(MOVES, 0.0, 0.9, proactive=True)
    assert policy.is_repeat("the  red CUBE moves. ", 0.5, 0.9)
    assert not policy.is_repeat("The red cup moves.", 0.5, 0.9)
    assert policy.may_become_repeat("The red cu", 0.5, 0.9)
    assert not policy.may_become_repeat("The red cup", 0.5, 0.9)


@pytest.mark.parametrize(("window", "held"), [(0.0, []), (5.0, [4.0]), (10.0, [4.0])])
def test_a_stutter_is_held_back_within_the_window_only(window, held):
    assert held_back([(0.0, 0.9), (4.0, 0.9)], repeat_window=window) == held


def test_what_comes_just_when_the_window_ends_is_no_stutter():
    assert held_back([(0.0, 0.9), (5.0, 0.9)], repeat_window=5.0) == []


def test_an_answer_does_not_make_what_follows_a_stutter():
    policy = policy_of()
    policy.record(MOVES, 0.0, 0.9, proactive=False)
    assert not policy.is_repeat(MOVES, 0.5, 0.9)


@pytest.mark.parametrize("proactive", [True, False])
def test_every_utterance_begins_the_cooldown(proactive):
    policy = policy_of(cooldown=2.0)
    assert policy.may_speak(10.0)
    policy.record(MOVES, 10.0, 0.9, proactive=proactive)
    assert [policy.may_speak(stamp) for stamp in (10.0, 11.9, 12.0)] == [False, False, True]


def test_stamps_that_go_back_end_cooldown_and_window():
    policy = policy_of(cooldown=2.0)
    policy.record(MOVES, 1000.0, 0.9, proactive=True)
    assert policy.may_speak(0.0) and not policy.is_repeat(MOVES, 0.0, 0.9)


def test_a_new_stream_begins_with_nothing_said():
    policy = policy_of(cooldown=2.0)
    policy.record(MOVES, 1.0, 0.9, proactive=True)
    policy.forget()
    assert policy.may_speak(1.0) and not policy.is_repeat(MOVES, 1.0, 0.9)


def test_why_the_model_was_kept_silent_is_told_at_the_first_frame_of_several():
    policy = policy_of(muted=True)
    reasons = [policy.note_frame(i, 0.9, kept_silent=kept) for i, kept in enumerate([0, 1, 1, 0, 1, 1])]
    assert reasons == [None, HoldReason.MUTED, None, None, HoldReason.MUTED, None]
    assert not policy.may_speak(6.0)


def test_a_frame_at_which_a_query_was_answered_is_no_silence_to_be_told():
    assert policy_of().note_frame(0.0, 0.9, kept_silent=True) is None


def test_texts_outside_the_window_are_forgotten():
    policy = policy_of(repeat_window=5.0)
    for index in range(1000):
        policy.record(f"Event {index}.", float(index), 0.9, proactive=True)
    assert len(policy._said) <= 6
