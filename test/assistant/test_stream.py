# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The inference thread on the golden model: what it says, when it stops, and that nothing ends it."""

import itertools
import threading
import time
from dataclasses import replace
from typing import get_args

import pytest
import torch

from videollm_ros.assistant import (
    AssistantSettings,
    AssistantStream,
    HoldReason,
    QueryError,
    SpeechSettings,
    StreamListener,
    StreamSettings,
)
from videollm_ros.assistant.queries import MAX_OUTSTANDING
from videollm_ros.assistant.scheduler import FrameScheduler
from videollm_ros.assistant.session_settings import context_limits, make_session
from videollm_ros.assistant.worker import InferenceWorker
from videollm_ros.live import ContextLimits, StreamSession
from videollm_ros.live.speak_rule import Form
from videollm_ros.media.images import ImageError

FPS = 5.0
TIMEOUT = 120.0  # seconds; nothing here takes one, but on a machine that does much else
WHAT = "What is it now?"


class Recorder(StreamListener):
    """A listener that remembers. `when_partial` and `when_frame` are called in the inference thread."""

    def __init__(self, listening=True):
        self.listening = listening
        self.decisions, self.partials, self.utterances, self.held_back = [], [], [], []
        self.streams, self.failures, self.refused, self.warnings, self.fatal = [], [], [], [], []
        self.when_partial = lambda update: None
        self.when_frame = lambda decision: None
        self._changed = threading.Condition()

    def _note(self, where, what):
        with self._changed:
            where.append(what)
            self._changed.notify_all()

    def wait_for(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, TIMEOUT)

    def wants_partials(self):
        return self.listening

    def on_frame(self, frame, decision):
        self._note(self.decisions, decision)
        self.when_frame(decision)

    def on_partial(self, update):
        self._note(self.partials, update)
        self.when_partial(update)

    def on_utterance(self, update):
        self._note(self.utterances, update)

    def on_held_back(self, update):
        self._note(self.held_back, update)

    def on_stream_began(self, reason):
        self._note(self.streams, reason)

    def on_failure(self, sentence):
        self._note(self.failures, sentence)

    def on_image_refused(self, sentence):
        self._note(self.refused, sentence)

    def on_warning(self, sentence):
        self._note(self.warnings, sentence)

    def on_fatal(self, sentence):
        self._note(self.fatal, sentence)


class Scene:
    """A stream and its recorder. An image is tagged with its stamp."""

    def __init__(self, model, *, speech=None, listening=True, listeners=(), clock=time.monotonic, **options):
        self.outputs = Recorder(listening)
        self.conversion = lambda pixels: pixels
        self.settings = AssistantSettings(
            StreamSettings(fps=FPS, backlog=50, **options), speech=speech or SpeechSettings(repeat_window=0.0)
        )
        listeners = [*listeners, self.outputs]
        self.stream = AssistantStream(model, self.settings, listeners, load_image=self.load_image, clock=clock)

    def load_image(self, image):
        if isinstance(image, Exception):
            raise image
        return self.conversion(image)

    def offer(self, pixels, stamp):
        """Show an image; it is read soon."""
        self.stream.offer(pixels, stamp, stamp)

    def show(self, scenes, start=0.0, first=0):
        """Show images at FPS, the first at `start`; return once all are read and what they led to is said."""
        for index, pixels in enumerate(scenes, first):
            self.stream.offer(pixels, start + index / FPS, start + index / FPS, wait=True)
        self.settle()

    def settle(self):
        """Wait until everything is done."""
        assert self.stream.wait_until_idle(TIMEOUT)

    def ask(self, text=WHAT, on_partial=None):
        return self.stream.ask(text, "mine", on_partial)

    def apply(self, **changes):
        self.settings = replace(self.settings, **changes)
        self.stream.apply(self.settings)

    def said(self):
        return [(update.tag, update.text) for update in self.outputs.utterances]


@pytest.fixture
def stream_of():
    streams = []

    def make(model, **options):
        streams.append(Scene(model, **options))
        return streams[-1]

    yield make
    for each in streams:
        each.stream.close("The test is over.")


def library_says(model, scenes, threshold=0.725):
    session = StreamSession(model, threshold=threshold)
    utterances = [u for i, pixels in enumerate(scenes) for u in session.observe(pixels, i / FPS)]
    return [(utterance.stamp, utterance.text) for utterance in utterances]


# What is said.


def test_it_says_what_the_library_says_with_the_tag_of_the_image_that_made_it_speak(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    scene.show(scenes)
    assert len(scene.said()) >= 7
    assert scene.said() == library_says(golden_model, scenes)


def test_an_utterance_grows_token_by_token_under_one_id_and_ends_with_its_final_update(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    scene.show(scenes)
    for number, final in enumerate(scene.outputs.utterances, start=1):
        growth = [p for p in scene.outputs.partials if p.id == final.id]
        assert [p.sequence for p in (*growth, final)] == list(range(len(growth) + 1))
        assert all(later.text.startswith(p.text) for p, later in zip(growth, (*growth[1:], final), strict=True))
        assert (final.id, final.final, any(p.final for p in growth)) == (number, True, False)


def test_no_text_is_decoded_for_partials_when_nobody_listens(stream_of, golden_model, scenes, monkeypatch):
    decoded = []
    decode = golden_model.tokenizer.decode
    monkeypatch.setattr(golden_model.tokenizer, "decode", lambda *a, **k: decoded.append(a) or decode(*a, **k))
    scene = stream_of(golden_model, listening=False)
    scene.show(scenes)
    assert len(decoded) == len(scene.outputs.utterances) > 0


def test_two_streams_share_one_model_and_say_what_each_says_alone(stream_of, golden_model, scenes):
    both = [stream_of(golden_model), stream_of(golden_model)]
    for index, pixels in enumerate(scenes):
        for scene, shown in zip(both, (pixels, scenes[-1 - index]), strict=True):
            scene.stream.offer(shown, index / FPS, index / FPS, wait=True)
    for scene in both:
        scene.settle()
    assert both[0].said() == library_says(golden_model, scenes)
    assert both[1].said() == library_says(golden_model, scenes[::-1])


def test_an_instruction_is_read_as_the_library_reads_it_and_changes_while_the_stream_runs(
    stream_of, golden_model, scenes
):
    scene = stream_of(golden_model, instruction="Tell me what I do.")
    scene.show(scenes[:8])
    session = StreamSession(golden_model)
    session.instruct("Tell me what I do.")
    for index, pixels in enumerate(scenes[:8]):
        session.observe(pixels, index / FPS)
    assert scene.stream.snapshot().context.tokens == session.state.tokens
    scene.apply(stream=replace(scene.settings.stream, instruction="x " * 5000))
    scene.settle()
    assert "stream.instruction stays as it is" in scene.outputs.failures[-1]
    scene.show(scenes[8:], first=8)
    assert len(scene.outputs.decisions) == len(scenes)


def test_a_listener_that_wants_pixels_gets_them_and_nobody_else_keeps_them(stream_of, golden_model, scenes):
    class Pictures(StreamListener):
        wanted, frames, sizes = True, [], []

        def wants_pixels(self):
            return self.wanted

        def on_frame(self, frame, decision):
            self.frames.append(frame)
            self.sizes.append(None if frame.pixels is None else frame.pixels.shape)

    pictures = Pictures()
    scene = stream_of(golden_model, listeners=[pictures])
    scene.show(scenes[:2])
    pictures.wanted = False
    scene.show(scenes[2:4], first=2)
    assert pictures.sizes == [scenes[0].shape] * 2 + [None] * 2
    assert all(frame.image is frame.pixels is frame.embeds is None for frame in pictures.frames)


# Queries.


def test_a_query_is_answered_at_once_when_no_image_comes(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    scene.show(scenes[:3])
    answer = scene.ask().answer.result(TIMEOUT)
    assert answer.text and answer.query.text == WHAT and answer.query.query_id == "mine"
    assert answer.tag == 2 / FPS


def test_a_query_before_any_image_is_answered_without_a_tag(stream_of, golden_model):
    answer = stream_of(golden_model).ask().answer.result(TIMEOUT)
    assert answer.text and answer.tag is None


def test_listeners_and_asker_get_the_same_update(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    answer = scene.ask().answer.result(TIMEOUT)
    scene.settle()
    assert scene.outputs.utterances[-1] is answer


def test_cancelling_stops_the_answer_within_one_token(stream_of, talkative_model, scenes):
    scene = stream_of(talkative_model, max_new_tokens=900)
    scene.show(scenes[:1])
    grown = []

    def cancel_at_the_third(update):
        grown.append(update)
        if len(grown) == 3:
            scene.stream.cancel(update.query, "Cancelled.")

    query = scene.ask(on_partial=cancel_at_the_third)
    answer = query.answer.result(TIMEOUT)
    assert answer.truncated and len(grown) == 3 and query.interrupted == "Cancelled."


def test_a_query_cancelled_while_another_is_being_answered_is_taken_back(stream_of, talkative_model):
    scene = stream_of(talkative_model, max_new_tokens=900)
    asked = threading.Event()
    first = scene.ask(on_partial=lambda _: asked.wait(TIMEOUT) and scene.stream.cancel(second, "Cancelled."))
    second = scene.ask("And now?")
    asked.set()
    with pytest.raises(QueryError, match="Cancelled"):
        second.answer.result(TIMEOUT)
    scene.stream.cancel(first, "Enough.")
    assert first.answer.result(TIMEOUT).truncated


@pytest.mark.slow
def test_a_flood_of_queries_is_refused_with_a_sentence_and_room_is_made_by_answers(stream_of, talkative_model):
    scene = stream_of(talkative_model, max_new_tokens=200)
    queries = [scene.ask(f"Query {number}?") for number in range(MAX_OUTSTANDING)]
    for _ in range(200):
        with pytest.raises(QueryError, match=f"{MAX_OUTSTANDING} queries are waiting"):
            scene.ask("One more?")
    assert all(query.answer.result(TIMEOUT).text for query in queries)
    assert scene.ask("And now?").answer.result(TIMEOUT).text
    scene.settle()
    snapshot = scene.stream.snapshot()
    assert (snapshot.queries_answered, snapshot.queries_refused) == (MAX_OUTSTANDING + 1, 200)
    assert (snapshot.queries_waiting, snapshot.queries_failed) == (0, 0)


def test_an_asker_whose_callback_raises_is_answered_and_the_stream_goes_on(stream_of, golden_model, scenes):
    def fail(_):
        raise RuntimeError("the asker has gone")

    scene = stream_of(golden_model)
    assert scene.ask(on_partial=fail).answer.result(TIMEOUT).text
    scene.show(scenes[:3])
    assert (len(scene.outputs.decisions), scene.outputs.failures) == (3, [])
    assert "the asker has gone" in scene.stream.snapshot().last_listener_failure


# Held back.


def test_muting_stops_proactive_speech_at_once_and_queries_are_still_answered(stream_of, talkative_model, scenes):
    scene = stream_of(talkative_model, threshold=1.0, max_new_tokens=900)
    muted = SpeechSettings(muted=True)
    scene.outputs.when_partial = lambda update: scene.apply(speech=muted)
    scene.offer(scenes[0], 0.0)
    scene.outputs.wait_for(lambda: scene.outputs.utterances)
    assert scene.outputs.utterances[0].truncated
    scene.outputs.when_partial = lambda update: None
    scene.apply(stream=replace(scene.settings.stream, max_new_tokens=5))
    scene.show(scenes[1:5], start=1.0)
    assert len(scene.outputs.utterances) == 1
    assert scene.ask().answer.result(TIMEOUT).text


def test_muting_after_the_decision_to_speak_and_before_the_first_token_stops_it_too(stream_of, talkative_model, scenes):
    scene = stream_of(talkative_model, threshold=1.0, max_new_tokens=900)
    scene.outputs.when_frame = lambda _: scene.apply(speech=SpeechSettings(muted=True))
    scene.show(scenes[:1])
    assert scene.outputs.decisions[0].speaks
    assert (scene.outputs.partials, scene.outputs.utterances) == ([], [])
    assert [update.held_back for update in scene.outputs.held_back] == [HoldReason.MUTED]


@pytest.mark.parametrize(
    ("speech", "reason"),
    [
        (SpeechSettings(muted=True), HoldReason.MUTED),
        (SpeechSettings(cooldown=100.0, repeat_window=0.0), HoldReason.COOLDOWN),
    ],
)
def test_what_is_not_decoded_is_told_once_for_each_time_that_the_model_begins_to_want_to_speak(
    stream_of, golden_model, scenes, speech, reason
):
    scene = stream_of(golden_model, speech=speech)
    scene.show(scenes)
    decisions = scene.outputs.decisions
    kept = [False, *(decision.wants_to_speak and not decision.speaks for decision in decisions)]
    rises = [d.stamp for d, (before, now) in zip(decisions, itertools.pairwise(kept), strict=True) if now > before]
    assert [update.stamp for update in scene.outputs.held_back] == rises
    assert 0 < len(rises) < sum(kept)
    assert {(u.held_back, u.text, u.id) for u in scene.outputs.held_back} == {(reason, "", 0)}
    assert scene.stream.snapshot().held_back[reason.name.lower()] == len(scene.outputs.held_back)


def test_a_stutter_is_not_said_and_nothing_of_it_is_published_but_what_was_held_back(stream_of, golden_model, scenes):
    scene = stream_of(golden_model, speech=SpeechSettings(repeat_window=100.0), threshold=1.0)
    scene.show([scenes[0]] * 12)
    said = library_says(golden_model, [scenes[0]] * 12, threshold=1.0)
    held = [(update.tag, update.text) for update in scene.outputs.held_back]
    assert sorted(scene.said() + held) == said
    texts = [text for _, text in scene.said()]
    assert len(held) > 0 and len(texts) == len(set(texts))
    assert {update.held_back for update in scene.outputs.held_back} == {HoldReason.REPEAT}
    assert {p.id for p in scene.outputs.partials} <= {u.id for u in scene.outputs.utterances}


def test_the_cooldown_keeps_proactive_utterances_apart_and_answers_begin_it_too(stream_of, golden_model, scenes):
    scene = stream_of(golden_model, speech=SpeechSettings(cooldown=1.0, repeat_window=0.0))
    scene.show(scenes)
    stamps = [stamp for stamp, _ in scene.said()]
    assert len(stamps) >= 3 and min(b - a for a, b in itertools.pairwise(stamps)) >= 1.0

    asked = stream_of(golden_model, speech=SpeechSettings(cooldown=100.0))
    asked.show(scenes[:1])
    assert asked.ask().answer.result(TIMEOUT).text
    asked.show(scenes[1:], first=1)
    assert [update.query is None for update in asked.outputs.utterances] == [False]


# Beginning, pausing, ending.


def test_pausing_closes_the_reply_in_progress_before_it_is_done_and_reads_nothing_more(
    stream_of, talkative_model, scenes
):
    scene = stream_of(talkative_model, threshold=1.0, max_new_tokens=900)
    said, at_rest = [], threading.Event()

    def pause(_):
        done = scene.stream.pause("Enough.")
        done.add_done_callback(lambda _: said.extend(scene.outputs.utterances) or at_rest.set())

    scene.outputs.when_partial = pause
    scene.offer(scenes[0], 0.0)
    assert at_rest.wait(TIMEOUT)
    assert [(u.final, u.truncated) for u in said] == [(True, True)]
    assert len(scene.outputs.partials) == 1


def test_closing_closes_the_reply_in_progress(stream_of, talkative_model, scenes):
    scene = stream_of(talkative_model, threshold=1.0, max_new_tokens=900)
    scene.offer(scenes[0], 0.0)
    scene.outputs.wait_for(lambda: scene.outputs.partials)
    scene.stream.close("The assistant was shut down.")
    last = scene.outputs.utterances[-1]
    assert (last.final, last.truncated, last.id) == (True, True, scene.outputs.partials[-1].id)
    assert last.sequence == scene.outputs.partials[-1].sequence + 1


def test_an_answer_that_closing_interrupts_arrives_with_what_was_said_so_far(stream_of, talkative_model):
    scene = stream_of(talkative_model, max_new_tokens=900)
    followed = threading.Event()
    query = scene.ask(on_partial=lambda update: followed.set())
    waiting = scene.ask("And now?")
    assert followed.wait(TIMEOUT)
    scene.stream.close("The assistant was shut down.")
    answer = query.answer.result(TIMEOUT)
    assert answer.text and answer.truncated and answer.final
    assert query.interrupted == "The assistant was shut down."
    with pytest.raises(QueryError, match="shut down"):
        waiting.answer.result(TIMEOUT)
    with pytest.raises(QueryError, match="shut down"):
        scene.ask()


def test_closing_fails_the_queries_that_wait(stream_of, talkative_model):
    scene = stream_of(talkative_model, max_new_tokens=900)
    outcomes = [scene.ask(text) for text in (WHAT, "And now?", "And then?")]
    scene.stream.close("The assistant was shut down.")
    with pytest.raises(QueryError, match="shut down"):
        outcomes[-1].answer.result(TIMEOUT)
    assert all(query.answer.done() for query in outcomes)


def test_a_jump_back_begins_a_new_stream_that_says_the_same_again(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    scene.show(scenes, start=100.0)
    scene.show(scenes, start=50.0)
    said = [text for _, text in scene.said()]
    assert said[: len(said) // 2] == said[len(said) // 2 :]
    assert len(scene.outputs.streams) == 1 and "jumped back" in scene.outputs.streams[0]


def test_one_wrong_stamp_costs_one_image_and_no_memory(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    scene.show(scenes[:6])
    scene.offer(scenes[6], 5000.0)
    scene.show(scenes[6:], first=6)
    assert scene.said() == library_says(golden_model, scenes)
    assert scene.outputs.streams == []


def test_a_jump_that_no_second_image_confirms_is_believed_after_a_while(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    scene.show(scenes[:2], start=100.0)
    scene.offer(scenes[2], 5.0)
    scene.settle()
    assert scene.outputs.decisions[-1].stamp == 5.0 and len(scene.outputs.streams) == 1


def test_a_reset_is_done_when_its_future_is(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    scene.show(scenes)
    scene.stream.reset("asked for").result(TIMEOUT)
    assert scene.stream.snapshot().context.tokens == 0
    assert scene.outputs.streams == ["asked for"]


def test_a_reset_during_a_reply_ends_it_and_fails_its_query(stream_of, talkative_model, scenes):
    scene = stream_of(talkative_model, max_new_tokens=900)
    scene.show(scenes[:2])
    followed = threading.Event()
    query = scene.ask(on_partial=lambda update: followed.set())
    assert followed.wait(TIMEOUT)
    scene.stream.reset("asked for").result(TIMEOUT)
    with pytest.raises(QueryError, match="reset before the answer: asked for"):
        query.answer.result(TIMEOUT)
    assert scene.outputs.utterances[-1].final and scene.outputs.utterances[-1].truncated
    assert scene.stream.snapshot().context.frames_read == 0


@pytest.mark.parametrize("speech", [SpeechSettings(), SpeechSettings(repeat_window=0.0)])
def test_a_reset_and_a_query_before_a_bag_is_played_again_do_not_mute_it(stream_of, golden_model, scenes, speech):
    scene = stream_of(golden_model, speech=speech)
    scene.show(scenes, start=1000.0)
    said = [text for _, text in scene.said()]
    scene.stream.reset("asked for").result(TIMEOUT)
    assert scene.ask().answer.result(TIMEOUT).text
    scene.stream.reset("asked for").result(TIMEOUT)
    assert scene.ask().answer.result(TIMEOUT).text
    scene.show(scenes)
    again = [update for update in scene.outputs.utterances[len(said) :] if update.query is None]
    assert len(again) >= len(said) / 2
    assert not [update for update in scene.outputs.held_back if update.held_back is HoldReason.COOLDOWN]


# Too slow.


def test_frames_that_come_during_a_reply_are_read_after_it_in_order(stream_of, talkative_model, scenes):
    scene = stream_of(talkative_model, max_new_tokens=300)
    scene.show(scenes[:1])
    followed = threading.Event()
    query = scene.ask(on_partial=lambda update: followed.set())
    assert followed.wait(TIMEOUT)
    for index in range(1, 6):
        scene.offer(scenes[0], index / FPS)
    query.answer.result(TIMEOUT)
    scene.outputs.wait_for(lambda: len(scene.outputs.decisions) == 6)
    assert [decision.stamp for decision in scene.outputs.decisions] == [index / FPS for index in range(6)]
    assert scene.stream.snapshot().frames_dropped == 0


def test_frames_that_the_gate_skips_are_counted_and_are_no_lag(stream_of, golden_model, scenes):
    scene = stream_of(golden_model, frame_gate=0.99)
    scene.show([scenes[0]] * 2)
    snapshot = scene.stream.snapshot()
    assert (snapshot.context.frames_read, snapshot.context.frames_skipped, snapshot.lag) == (1, 1, 0.0)


def test_an_encoder_slower_than_the_rate_costs_frames_and_no_answers(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    go_on = threading.Semaphore(0)
    scene.conversion = lambda pixels: go_on.acquire(timeout=TIMEOUT) and pixels
    for index in range(30):
        scene.offer(scenes[index % len(scenes)], index / FPS)
        if index == 15:
            query = scene.ask()
    go_on.release(30)
    assert query.answer.result(TIMEOUT).text
    scene.settle()
    snapshot = scene.stream.snapshot()
    assert snapshot.frames_used + snapshot.frames_dropped == 30 and snapshot.frames_used >= 1
    assert scene.outputs.decisions[-1].stamp == 29 / FPS


def test_a_query_during_the_last_frame_is_answered_when_the_camera_stops(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    scene.show(scenes[:1])
    encoding, go_on = threading.Event(), threading.Event()
    scene.conversion = lambda pixels: encoding.set() or (go_on.wait(TIMEOUT) and pixels)
    scene.offer(scenes[1], 1 / FPS)
    assert encoding.wait(TIMEOUT)
    scene.offer(scenes[1], 1.2 / FPS)  # not due: the query is asked after the frame that is being encoded
    query = scene.ask()
    go_on.set()
    assert query.answer.result(TIMEOUT).tag == 1 / FPS


# Faults.


@pytest.mark.parametrize("stamp", [-5.0, float("nan"), float("inf")])
def test_an_image_with_an_impossible_stamp_is_refused_and_the_stream_goes_on(stream_of, golden_model, scenes, stamp):
    scene = stream_of(golden_model)
    scene.show(scenes[:4])
    scene.offer(scenes[4], stamp)
    scene.show(scenes[4:], first=4)
    assert "a stamp is a time in seconds" in scene.outputs.refused[0]
    assert scene.said() == library_says(golden_model, scenes)
    assert (scene.outputs.failures, scene.outputs.streams) == ([], [])


def test_stamps_that_stand_still_are_told_once_and_taken_back(stream_of, golden_model, scenes):
    now = itertools.count()
    scene = stream_of(golden_model, clock=lambda: float(next(now)))
    for _ in range(20):
        scene.offer(scenes[0], 5.0)
    assert scene.stream.snapshot().is_stalled
    assert len(scene.outputs.warnings) == 1 and "stand still at 5.000 s" in scene.outputs.warnings[0]
    scene.offer(scenes[1], 5.5)
    assert not scene.stream.snapshot().is_stalled
    assert "move on again" in scene.outputs.warnings[1]


@pytest.mark.parametrize("error", [ImageError("An image without rows."), MemoryError("too large")])
def test_an_image_that_cannot_be_read_is_reported_and_the_stream_goes_on(stream_of, golden_model, scenes, error):
    scene = stream_of(golden_model)
    scene.show(scenes[:4])
    for _ in range(20):
        scene.offer(error, scene.stream.snapshot().frames_due / FPS)
        scene.settle()
    scene.show(scenes[5:], first=24)
    assert str(error) in scene.outputs.refused[0]
    snapshot = scene.stream.snapshot()
    assert (snapshot.images_refused, snapshot.frames_used, snapshot.faults) == (20, len(scenes) - 1, 0)
    assert not scene.outputs.streams and not scene.outputs.fatal


FAILURES = {
    torch.OutOfMemoryError("CUDA out of memory."): "The GPU ran out of memory: CUDA out of memory. Set model",
    RuntimeError("a kernel failed"): "The {part} failed: RuntimeError: a kernel failed",
}


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize("error", FAILURES)
def test_a_failure_of_the_decoder_is_reported_and_a_new_stream_begins(
    stream_of, golden_model, scenes, monkeypatch, error
):
    scene = stream_of(golden_model)
    scene.show(scenes[:3])
    with monkeypatch.context() as broken:
        broken.setattr(StreamSession, "observe_embeds", failing(error))
        scene.offer(scenes[3], 3 / FPS)
        scene.outputs.wait_for(lambda: scene.outputs.failures)
    scene.show(scenes, start=1.0)
    assert scene.outputs.failures[0].startswith(FAILURES[error].format(part="decoder"))
    assert scene.outputs.streams == ["the decoder failed"]
    expected = [text for _, text in library_says(golden_model, scenes)]
    assert [text for _, text in scene.said()][-len(expected) :] == expected
    assert (scene.stream.snapshot().faults, scene.stream.snapshot().recoveries) == (1, 1)


def test_a_frame_that_is_not_finite_is_noticed_and_the_stream_begins_anew_on_clean_memory(
    stream_of, golden_model, scenes, monkeypatch
):
    scene = stream_of(golden_model)
    scene.show(scenes[:3])
    with monkeypatch.context() as broken:
        embed = golden_model.embed
        broken.setattr(golden_model, "embed", lambda features: embed(features) * float("nan"))
        scene.offer(scenes[3], 3 / FPS)
        scene.outputs.wait_for(lambda: scene.outputs.streams)
    scene.show(scenes, start=1.0)
    assert "NonFiniteError" in scene.outputs.failures[0]
    assert scene.ask().answer.result(TIMEOUT).text
    expected = [text for _, text in library_says(golden_model, scenes)]
    said = [update.text for update in scene.outputs.utterances if update.query is None]
    assert said[-len(expected) :] == expected


@pytest.mark.parametrize("error", FAILURES)
def test_a_failure_of_the_encoder_is_reported_and_costs_one_frame(stream_of, golden_model, scenes, monkeypatch, error):
    scene = stream_of(golden_model)
    scene.show(scenes[:3])
    with monkeypatch.context() as broken:
        broken.setattr(golden_model, "encode", failing(error))
        scene.offer(scenes[3], 3 / FPS)
        scene.outputs.wait_for(lambda: scene.outputs.failures)
    scene.show(scenes[4:], first=4)
    assert scene.outputs.failures[0].startswith(FAILURES[error].format(part="encoder"))
    assert scene.stream.snapshot().frames_used == len(scenes) - 1 and not scene.outputs.streams


@pytest.mark.parametrize("part", ["encode", "embed_ids"])
def test_failures_in_a_row_end_the_stream_with_one_sentence_for_everybody(
    stream_of, golden_model, scenes, monkeypatch, part
):
    scene = stream_of(golden_model)
    scene.show(scenes[:3])
    with monkeypatch.context() as broken:
        broken.setattr(golden_model, "encode", failing(RuntimeError("device-side assert")))
        if part == "embed_ids":
            broken.undo()
            broken.setattr(StreamSession, "observe_embeds", failing(RuntimeError("device-side assert")))
        for index in range(3, 8):
            scene.offer(scenes[index], index / FPS)
            scene.stream.wait_until_idle(TIMEOUT)
        scene.outputs.wait_for(lambda: scene.outputs.fatal)
    assert "5 failures in a row" in scene.outputs.fatal[0] and "device-side assert" in scene.outputs.fatal[0]
    assert len(scene.outputs.fatal) == 1 and scene.stream.snapshot().fatal == scene.outputs.fatal[0]
    with pytest.raises(QueryError, match="device-side assert"):
        scene.ask().answer.result(TIMEOUT)


def test_failures_with_good_frames_between_them_do_not_end_the_stream(stream_of, golden_model, scenes, monkeypatch):
    scene = stream_of(golden_model, speech=SpeechSettings(muted=True))  # frames alone, and no utterances
    for index in range(12):
        with monkeypatch.context() as broken:
            if index % 2:
                broken.setattr(golden_model, "encode", failing(RuntimeError("a kernel failed")))
            scene.show(scenes[index : index + 1], first=index)
    assert (scene.stream.snapshot().faults, scene.outputs.fatal) == (6, [])


def test_an_encoder_that_does_not_warm_up_is_an_error_of_whoever_makes_the_stream(golden_model, monkeypatch):
    before = threading.active_count()
    monkeypatch.setattr(golden_model, "encode", failing(torch.OutOfMemoryError("CUDA out of memory.")))
    with pytest.raises(torch.OutOfMemoryError):
        AssistantStream(golden_model)
    assert threading.active_count() == before


@pytest.mark.filterwarnings("ignore:Exception in thread encoder")
def test_a_thread_that_dies_is_noticed_and_queries_do_not_wait_for_it(stream_of, golden_model, scenes, monkeypatch):
    scene = stream_of(golden_model)
    scene.show(scenes[:2])
    monkeypatch.setattr(FrameScheduler, "encoded", failing(SystemExit()))
    scene.offer(scenes[2], 2 / FPS)
    query = scene.ask()
    deadline = time.monotonic() + TIMEOUT
    while not (fatal := scene.stream.snapshot().fatal):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "encoder thread has died" in fatal and scene.stream.snapshot().threads["encoder"] is False
    with pytest.raises(QueryError, match="has died"):
        query.answer.result(TIMEOUT)


def test_a_rate_far_from_the_trained_one_is_a_warning(stream_of, golden_model):
    trained = golden_model.config.frame_fps
    assert stream_of(golden_model).outputs.warnings == []
    with AssistantStream(golden_model, AssistantSettings(StreamSettings(fps=4 * trained)), [outputs := Recorder()]):
        assert f"reads {4 * trained:g}." in outputs.warnings[0]


def test_an_inference_thread_that_is_told_to_exit_says_so_and_leaves_no_query_unanswered(
    stream_of, golden_model, scenes, monkeypatch
):
    scene = stream_of(golden_model)
    scene.show(scenes[:2])
    monkeypatch.setattr(scene.stream._worker._session, "answer", failing(SystemExit("a library gave up")))
    query = scene.ask()
    with pytest.raises(QueryError, match="inference thread ended: SystemExit: a library gave up"):
        query.answer.result(TIMEOUT)
    assert "inference thread ended" in scene.stream.fatal
    with pytest.raises(QueryError, match="a library gave up"):
        scene.ask()


def test_an_inference_thread_that_is_gone_without_a_word_is_noticed(stream_of, golden_model, monkeypatch):
    monkeypatch.setattr(InferenceWorker, "_run", lambda self: None)
    scene = stream_of(golden_model)
    deadline = time.monotonic() + TIMEOUT
    while not (fatal := scene.stream.snapshot().fatal):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "inference thread has died" in fatal
    with pytest.raises(QueryError, match="has died"):
        scene.ask()


class Broken(StreamListener):
    """Raises whatever happens."""

    def wants_partials(self):
        return True

    def on_frame(self, frame, decision):
        raise RuntimeError("the disk is full")

    on_partial = on_utterance = on_held_back = on_stream_began = on_failure = lambda self, *_: 1 / 0


def test_a_listener_that_raises_costs_the_stream_and_the_other_listeners_nothing(stream_of, golden_model, scenes):
    scene = stream_of(golden_model, listeners=[Broken()])
    scene.show(scenes)
    scene.stream.reset("asked for").result(TIMEOUT)
    assert scene.said() == library_says(golden_model, scenes)
    assert (scene.outputs.failures, scene.outputs.streams) == ([], ["asked for"])
    snapshot = scene.stream.snapshot()
    assert snapshot.listener_failures > len(scenes) and "The listener Broken failed" in snapshot.last_listener_failure


def test_a_limit_that_the_context_has_no_room_for_is_refused_and_the_stream_goes_on(stream_of, golden_model, scenes):
    scene = stream_of(golden_model)
    scene.show(scenes[:3])
    scene.apply(stream=replace(scene.settings.stream, max_new_tokens=2048))
    scene.show(scenes[3:], first=3)
    assert "too small for replies of 2048 tokens" in scene.outputs.failures[0]
    assert scene.stream.snapshot().frames_used == len(scenes) and not scene.outputs.streams


def test_the_settings_have_the_defaults_of_the_library(golden_model):
    library, ours = StreamSession(golden_model), make_session(golden_model, AssistantSettings())
    assert ours.rule == library.rule and ours.max_new_tokens == library.max_new_tokens
    assert ours.instruction is library.instruction is None
    assert context_limits(AssistantSettings().context) == ContextLimits()
    assert StreamSettings.__dataclass_fields__["rule"].metadata["choices"] == get_args(Form)
