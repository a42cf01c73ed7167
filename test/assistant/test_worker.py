# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The inference thread on the golden model: what it says, when it stops, and that nothing ends it."""

import itertools
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from videollm_ros.assistant.queries import MAX_OUTSTANDING, QueryDesk, QueryError
from videollm_ros.assistant.scheduler import Inbox
from videollm_ros.assistant.settings import SpeechSettings, StreamSettings
from videollm_ros.assistant.speech_policy import Manners
from videollm_ros.assistant.worker import Inference
from videollm_ros.live import StreamSession
from videollm_ros.media.images import ImageError
from videollm_ros.media.sampling import StampSampler

FPS = 5.0
TIMEOUT = 120.0  # seconds; nothing here takes one, but on a machine that does much else


class Recorder:
    """Outputs that remember. `on_decision` and `on_partial` are called in the inference thread."""

    def __init__(self, listening=True):
        self.listening = listening
        self.decisions, self.partials, self.utterances, self.streams, self.failures = [], [], [], [], []
        self.on_partial = lambda speech: None
        self.on_decision = lambda decision: None
        self._changed = threading.Condition()

    def _note(self, where, what):
        with self._changed:
            where.append(what)
            self._changed.notify_all()

    def wait_for(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, TIMEOUT)

    def frame_read(self, frame, decision):
        self._note(self.decisions, decision)
        self.on_decision(decision)

    def wants_partial(self):
        return self.listening

    def partial(self, speech):
        self._note(self.partials, speech)
        self.on_partial(speech)

    def utterance(self, speech):
        self._note(self.utterances, speech)

    def stream_began(self, reason):
        self._note(self.streams, reason)

    def failed(self, sentence):
        self._note(self.failures, sentence)

    def image_refused(self, sentence):
        self._note(self.failures, sentence)


class Stream:
    """An inference thread with everything around it; images are offered one by one, each once the last is read."""

    def __init__(self, model, *, speech=None, listening=True, max_new_tokens=100, **options):
        self.outputs = Recorder(listening)
        self.conversion = lambda pixels: pixels
        self.desk = QueryDesk()
        self.inbox = Inbox(StampSampler(FPS, max_gap=10.0), backlog=50)
        session = StreamSession(model, max_new_tokens=max_new_tokens, **options)
        manners = Manners(speech or SpeechSettings(repeat_window=0.0))
        self.inference = Inference(session, self.inbox, manners, self.outputs, self.convert)

    def convert(self, message):
        if isinstance(message.pixels, Exception):
            raise message.pixels
        return self.conversion(message.pixels)

    def offer(self, pixels, stamp):
        """Show an image; it is read soon."""
        header = SimpleNamespace(stamp=stamp, frame_id="camera")
        self.inbox.offer(SimpleNamespace(header=header, pixels=pixels), stamp, 0.0)

    def show(self, scenes, start=0.0):
        """Show images at FPS; return once all are read and what they led to is said."""
        for index, pixels in enumerate(scenes):
            seen = len(self.outputs.decisions)
            self.offer(pixels, start + index / FPS)
            self.outputs.wait_for(lambda seen=seen: len(self.outputs.decisions) > seen)
        self.settle()

    def settle(self):
        """Wait until the inference thread has done what it was given."""
        while self.inbox.waiting or self.inbox.replying:
            self.inference._command(lambda: None).result(TIMEOUT)
        self.inference._command(lambda: None).result(TIMEOUT)

    def ask(self, text, on_partial=None):
        query = self.desk.accept(text, "mine", on_partial)
        self.inference.ask(query)
        return query

    def said(self):
        return [(speech.header.stamp, speech.text) for speech in self.outputs.utterances]


@pytest.fixture
def stream_of():
    streams = []

    def make(model, **options):
        streams.append(Stream(model, **options))
        return streams[-1]

    yield make
    for stream in streams:
        stream.inference.close("The test is over.")


def library_says(model, scenes, threshold=0.725):
    session = StreamSession(model, threshold=threshold)
    utterances = [u for i, pixels in enumerate(scenes) for u in session.observe(pixels, i / FPS)]
    return [(utterance.stamp, utterance.text) for utterance in utterances]


def test_it_says_what_the_library_says_with_the_header_of_the_image_that_made_it_speak(stream_of, golden_model, scenes):
    stream = stream_of(golden_model)
    stream.show(scenes)
    assert len(stream.said()) >= 7
    assert stream.said() == library_says(golden_model, scenes)


def test_an_utterance_grows_token_by_token_under_one_id_and_ends_with_its_final_message(
    stream_of, golden_model, scenes
):
    stream = stream_of(golden_model)
    stream.show(scenes)
    for number, final in enumerate(stream.outputs.utterances, start=1):
        growth = [p for p in stream.outputs.partials if p.id == final.id]
        assert [p.sequence for p in (*growth, final)] == list(range(len(growth) + 1))
        assert all(later.text.startswith(p.text) for p, later in zip(growth, (*growth[1:], final), strict=True))
        assert (final.id, final.final, any(p.final for p in growth)) == (number, True, False)


def test_no_text_is_decoded_for_partials_when_nobody_listens(stream_of, golden_model, scenes, monkeypatch):
    decoded = []
    decode = golden_model.tokenizer.decode
    monkeypatch.setattr(golden_model.tokenizer, "decode", lambda *a, **k: decoded.append(a) or decode(*a, **k))
    stream = stream_of(golden_model, listening=False)
    stream.show(scenes)
    assert len(decoded) == len(stream.outputs.utterances) > 0


def test_a_query_is_answered_at_once_when_no_image_comes(stream_of, golden_model, scenes):
    stream = stream_of(golden_model)
    stream.show(scenes[:3])
    answer = stream.ask("What is it now?").answer.result(TIMEOUT)
    assert answer.text and answer.query == "What is it now?" and answer.query_id == "mine"
    assert answer.header.stamp == 2 / FPS


def test_a_query_before_any_image_is_answered_without_a_header(stream_of, golden_model):
    answer = stream_of(golden_model).ask("What is it now?").answer.result(TIMEOUT)
    assert answer.text and answer.header is None


def test_cancelling_stops_the_answer_within_one_token(stream_of, talkative_model, scenes):
    stream = stream_of(talkative_model, max_new_tokens=900)
    stream.show(scenes[:1], start=0.0)
    grown = []

    def cancel_at_the_third(speech):
        grown.append(speech)
        if len(grown) == 3:
            stream.inference.cancel(query, "Cancelled.")

    query = stream.desk.accept("What is it now?", "", cancel_at_the_third)
    stream.inference.ask(query)
    answer = query.answer.result(TIMEOUT)
    assert answer.truncated and len(grown) == 3


def test_a_query_cancelled_while_another_is_being_answered_is_taken_back(stream_of, talkative_model):
    stream = stream_of(talkative_model, max_new_tokens=900)
    first = stream.desk.accept("What is it now?", "", lambda speech: stream.inference.cancel(second, "Cancelled."))
    second = stream.desk.accept("And now?", "")
    stream.inference.ask(first)
    stream.inference.ask(second)
    with pytest.raises(QueryError, match="Cancelled"):
        second.answer.result(TIMEOUT)
    stream.inference.cancel(first, "Enough.")
    assert first.answer.result(TIMEOUT).truncated


def test_a_flood_of_queries_is_refused_with_a_sentence_and_room_is_made_by_answers(stream_of, talkative_model):
    stream = stream_of(talkative_model, max_new_tokens=200)
    queries = [stream.ask(f"Query {number}?") for number in range(MAX_OUTSTANDING)]
    with pytest.raises(QueryError, match=f"{MAX_OUTSTANDING} queries are waiting"):
        stream.ask("One more?")
    assert all(query.answer.result(TIMEOUT).text for query in queries)
    assert stream.ask("And now?").answer.result(TIMEOUT).text


@pytest.mark.parametrize("text", ["", "  \n", "x" * 2001])
def test_a_query_that_is_no_query_is_refused(text):
    with pytest.raises(QueryError, match=r"empty|characters"):
        QueryDesk().accept(text)


def test_muting_stops_unasked_speech_at_once_and_queries_are_still_answered(stream_of, talkative_model, scenes):
    stream = stream_of(talkative_model, threshold=1.0, max_new_tokens=900)
    muted = SpeechSettings(muted=True)
    stream.outputs.on_partial = lambda speech: stream.inference.apply(StreamSettings(), muted)
    stream.offer(scenes[0], 0.0)
    stream.outputs.wait_for(lambda: stream.outputs.utterances)
    assert stream.outputs.utterances[0].truncated
    stream.outputs.on_partial = lambda speech: None
    stream.inference.apply(StreamSettings(threshold=1.0, max_new_tokens=5), muted)
    stream.show(scenes[1:5], start=1.0)
    assert len(stream.outputs.utterances) == 1
    assert stream.ask("What is it now?").answer.result(TIMEOUT).text


def test_muting_after_the_decision_to_speak_and_before_the_first_token_stops_it_too(stream_of, talkative_model, scenes):
    stream = stream_of(talkative_model, threshold=1.0, max_new_tokens=900)
    muted = SpeechSettings(muted=True)
    stream.outputs.on_decision = lambda _: stream.inference.apply(StreamSettings(threshold=1.0), muted)
    stream.show(scenes[:1])
    assert stream.outputs.decisions[0].speaks
    assert (stream.outputs.partials, stream.outputs.utterances, stream.inference.held_back) == ([], [], 1)


def test_pausing_closes_the_reply_in_progress_before_it_is_done_and_reads_nothing_more(
    stream_of, talkative_model, scenes
):
    stream = stream_of(talkative_model, threshold=1.0, max_new_tokens=900)
    said, at_rest = [], threading.Event()

    def pause(_):
        done = stream.inference.pause("Enough.")
        done.add_done_callback(lambda _: said.extend(stream.outputs.utterances) or at_rest.set())

    stream.outputs.on_partial = pause
    stream.offer(scenes[0], 0.0)
    assert at_rest.wait(TIMEOUT)
    assert [(u.final, u.truncated) for u in said] == [(True, True)]
    assert len(stream.outputs.partials) == 1 and not stream.inbox.replying


def test_closing_closes_the_reply_in_progress(stream_of, talkative_model, scenes):
    stream = stream_of(talkative_model, threshold=1.0, max_new_tokens=900)
    stream.offer(scenes[0], 0.0)
    stream.outputs.wait_for(lambda: stream.outputs.partials)
    stream.inference.close("The assistant was shut down.")
    last = stream.outputs.utterances[-1]
    assert (last.final, last.truncated, last.id) == (True, True, stream.outputs.partials[-1].id)
    assert last.sequence == stream.outputs.partials[-1].sequence + 1


def test_a_repeat_within_the_window_is_not_said_and_nothing_of_it_is_published(stream_of, golden_model, scenes):
    stream = stream_of(golden_model, speech=SpeechSettings(repeat_window=100.0))
    stream.show(scenes)
    texts = [text for _, text in stream.said()]
    expected = [text for _, text in library_says(golden_model, scenes)]
    assert texts == list(dict.fromkeys(expected)) and len(texts) < len(expected)
    assert {p.id for p in stream.outputs.partials} <= {u.id for u in stream.outputs.utterances}


def test_the_cooldown_keeps_unasked_utterances_apart(stream_of, golden_model, scenes):
    stream = stream_of(golden_model, speech=SpeechSettings(cooldown=1.0, repeat_window=0.0))
    stream.show(scenes)
    stamps = [stamp for stamp, _ in stream.said()]
    assert len(stamps) >= 3 and min(b - a for a, b in itertools.pairwise(stamps)) >= 1.0


def test_a_jump_back_begins_a_new_stream_that_says_the_same_again(stream_of, golden_model, scenes):
    stream = stream_of(golden_model)
    stream.show(scenes, start=100.0)
    stream.show(scenes, start=50.0)
    said = [text for _, text in stream.said()]
    assert said[: len(said) // 2] == said[len(said) // 2 :]
    assert len(stream.outputs.streams) == 1 and "jumped back" in stream.outputs.streams[0]


def test_a_reset_during_a_reply_ends_it_and_fails_its_query(stream_of, talkative_model, scenes):
    stream = stream_of(talkative_model, max_new_tokens=900)
    stream.show(scenes[:2])
    followed = threading.Event()
    query = stream.ask("What is it now?", lambda speech: followed.set())
    assert followed.wait(TIMEOUT)
    stream.inference.reset("asked for")
    with pytest.raises(QueryError, match="reset before the answer: asked for"):
        query.answer.result(TIMEOUT)
    stream.settle()
    assert stream.outputs.utterances[-1].final and stream.outputs.utterances[-1].truncated
    assert stream.inference.state.frames_read == 0


def test_frames_that_come_during_a_reply_are_read_after_it_in_order(stream_of, talkative_model, scenes):
    stream = stream_of(talkative_model, max_new_tokens=300)
    stream.show(scenes[:1])
    followed = threading.Event()
    query = stream.ask("What is it now?", lambda speech: followed.set())
    assert followed.wait(TIMEOUT)
    for index in range(1, 6):
        stream.offer(scenes[0], index / FPS)
    query.answer.result(TIMEOUT)
    stream.outputs.wait_for(lambda: len(stream.outputs.decisions) == 6)
    assert [decision.stamp for decision in stream.outputs.decisions] == [index / FPS for index in range(6)]
    assert stream.inbox.dropped == 0


def test_frames_that_the_gate_skips_are_counted_and_are_no_lag(stream_of, golden_model, scenes):
    stream = stream_of(golden_model, frame_gate=0.99)
    stream.show(scenes[:1])
    stream.offer(scenes[0], 1 / FPS)
    stream.settle()
    state = stream.inference.state
    assert (state.frames_read, state.frames_skipped, stream.inference.newest) == (1, 1, 1 / FPS)


def test_an_encoder_slower_than_the_rate_costs_frames_and_no_answers(stream_of, golden_model, scenes):
    stream = stream_of(golden_model)
    stream.conversion = lambda pixels: time.sleep(0.1) or pixels
    for index in range(30):
        stream.offer(scenes[index % len(scenes)], index / FPS)
        if index == 15:
            query = stream.ask("What is it now?")
        time.sleep(0.03)
    assert stream.inference.frames_used >= 3 and stream.inbox.dropped > 0
    assert query.answer.result(TIMEOUT).text


def test_a_query_during_the_last_frame_is_answered_when_the_camera_stops(stream_of, golden_model, scenes):
    stream = stream_of(golden_model)
    stream.show(scenes[:1])
    encoding, go_on = threading.Event(), threading.Event()
    stream.conversion = lambda pixels: encoding.set() or (go_on.wait(TIMEOUT) and pixels)
    stream.offer(scenes[1], 1 / FPS)
    assert encoding.wait(TIMEOUT)
    stream.offer(scenes[1], 1.2 / FPS)  # not due: the query is asked after the frame that is being encoded
    query = stream.ask("What is it now?")
    go_on.set()
    assert query.answer.result(TIMEOUT).header.stamp == 1 / FPS


def test_an_image_that_cannot_be_read_is_reported_and_the_stream_goes_on(stream_of, golden_model, scenes):
    stream = stream_of(golden_model)
    stream.show(scenes[:4])
    stream.offer(ImageError("An image without rows."), 4 / FPS)
    stream.outputs.wait_for(lambda: stream.outputs.failures)
    stream.show(scenes[5:], start=5 / FPS)
    assert stream.outputs.failures == ["An image without rows."]
    assert (stream.inference.image_errors, stream.inference.frames_used) == (1, len(scenes) - 1)
    assert not stream.outputs.streams


FAILURES = {
    torch.OutOfMemoryError("CUDA out of memory."): "The GPU ran out of memory: CUDA out of memory. Set model",
    RuntimeError("a kernel failed"): "The {part} failed: RuntimeError: a kernel failed",
}


def failing(error):
    def fail(*_):
        raise error

    return fail


@pytest.mark.parametrize("error", FAILURES)
def test_a_failure_of_the_decoder_is_reported_and_a_new_stream_begins(
    stream_of, golden_model, scenes, monkeypatch, error
):
    stream = stream_of(golden_model)
    stream.show(scenes[:3])
    with monkeypatch.context() as broken:
        broken.setattr(StreamSession, "stream_embeds", failing(error))
        stream.offer(scenes[3], 3 / FPS)
        stream.outputs.wait_for(lambda: stream.outputs.failures)
    stream.show(scenes, start=1.0)
    assert stream.outputs.failures[0].startswith(FAILURES[error].format(part="decoder"))
    assert stream.outputs.streams == ["the decoder failed"]
    expected = [text for _, text in library_says(golden_model, scenes)]
    assert [text for _, text in stream.said()][-len(expected) :] == expected


@pytest.mark.parametrize("error", FAILURES)
def test_a_failure_of_the_encoder_is_reported_and_costs_one_frame(stream_of, golden_model, scenes, monkeypatch, error):
    stream = stream_of(golden_model)
    stream.show(scenes[:3])
    with monkeypatch.context() as broken:
        broken.setattr(golden_model, "encode", failing(error))
        stream.offer(scenes[3], 3 / FPS)
        stream.outputs.wait_for(lambda: stream.outputs.failures)
    stream.show(scenes[4:], start=4 / FPS)
    assert stream.outputs.failures[0].startswith(FAILURES[error].format(part="encoder"))
    assert stream.inference.frames_used == len(scenes) - 1 and not stream.outputs.streams


def test_a_limit_that_the_context_has_no_room_for_is_refused_and_the_stream_goes_on(stream_of, golden_model, scenes):
    stream = stream_of(golden_model)
    stream.show(scenes[:3])
    stream.inference.apply(StreamSettings(max_new_tokens=2048), SpeechSettings())
    stream.show(scenes[3:], start=3 / FPS)
    assert "too small for replies of 2048 tokens" in stream.outputs.failures[0]
    assert stream.inference.frames_used == len(scenes) and not stream.outputs.streams


def test_closing_fails_the_queries_that_wait(stream_of, talkative_model):
    stream = stream_of(talkative_model, max_new_tokens=900)
    queries = [stream.ask("What is it now?"), stream.ask("And now?")]
    stream.inference.close("The assistant was shut down.")
    for query in queries:
        with pytest.raises(QueryError, match="shut down"):
            query.answer.result(TIMEOUT)
