# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sentences compared by a real model of sentence-transformers, and graded over real HTTP."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest

from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.scores.figures import figures, score
from videollm_ros.evaluation.scores.judged import ScoreSettings, judge
from videollm_ros.evaluation.scores.language_judge import JudgeMatcher
from videollm_ros.evaluation.scores.similarity import SimilarityMatcher
from videollm_ros.evaluation.transcript import Said


def said(*pairs):
    return [Said(round(time * 1e9), time, text) for time, text in pairs]


@pytest.fixture(scope="module")
def bag_of_words(tmp_path_factory):
    """A model that counts words: the cosine of two sentences is worked out by hand."""
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import BoW

    folder = tmp_path_factory.mktemp("similarity")
    words = ["pour", "water", "into", "the", "kettle", "boil", "cut", "bread"]
    library.SentenceTransformer(modules=[BoW(vocab=words)], device="cpu").save(str(folder))
    return folder


def test_similar_sentences_are_matched_and_others_not(bag_of_words):
    matcher = SimilarityMatcher.load(str(bag_of_words))
    meant = ["pour water into the kettle", "cut bread"]
    spoken = ["pour water into kettle", "boil water", "cut the bread"]
    grades = matcher.grades(spoken, meant, np.ones((3, 2), bool))
    assert grades.tolist() == [[2, 0], [0, 0], [0, 2]]
    cosine = 4 / np.sqrt(4 * 5)
    costs = matcher.costs(spoken[:1], meant[:1], np.array([[-0.25]]))
    assert costs[0, 0] == pytest.approx(1 - cosine + 0.3 * 0.25**1.5)
    assert matcher.grades([], meant, np.ones((0, 2), bool)).shape == (0, 2)


def test_of_two_events_in_reach_the_more_similar_one_is_told(bag_of_words):
    settings = ScoreSettings(tolerance=2.0, matcher=SimilarityMatcher.load(str(bag_of_words)))
    events = [AnnotatedEvent(10.0, "boil the water"), AnnotatedEvent(10.5, "pour the water")]
    assert judge(said((10.0, "pour water")), events, settings).pairs == [(0, 1)]


def test_a_model_that_is_not_there_is_a_sentence(tmp_path):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ValueError, match="cannot be loaded by sentence-transformers"):
        SimilarityMatcher.load(str(tmp_path / "missing"))


class Judge(BaseHTTPRequestHandler):
    """Gives 3 for the event's own noun, 2 for a question mark, 1 otherwise; fails where it is told to."""

    asked: ClassVar[list] = []

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = request["messages"][-1]["content"]
        happened, spoken = (line.split(": ", 1)[1] for line in content.splitlines())
        self.asked.append((happened, spoken, request["model"], request["temperature"]))
        text = (
            "3" if happened.split()[-1].strip(".") in spoken else "<think>1?</think> Score: 2" if "?" in spoken else "1"
        )
        if "confuse" in spoken:
            text = "I do not know."
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "tiny",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        }
        data = json.dumps(body).encode()
        self.send_response(500 if "break" in spoken else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def judge_matcher(monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "none is needed")
    Judge.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield JudgeMatcher("tiny", f"http://127.0.0.1:{server.server_port}/v1")
    server.shutdown()
    server.server_close()


def test_a_judge_grades_what_is_near_and_is_asked_once_for_each_pair(judge_matcher):
    events = [AnnotatedEvent(10.0, "Somebody fills the kettle."), AnnotatedEvent(500.0, "Somebody cuts bread.")]
    spoken = said((10.1, "The kettle is filled"), (10.4, "What?"), (10.5, "What?"), (501.0, "somebody cuts BREAD"))
    settings = ScoreSettings(matcher=judge_matcher)
    judged = judge(spoken, events, settings)
    assert [each.outcome for each in judged.judgments] == ["matched", "false", "repeated", "matched"]
    assert judged.grades.tolist() == [[2, 0], [1, 0], [1, 0], [0, 2]]
    assert [(happened, words) for happened, words, *_ in Judge.asked] == [
        ("Somebody fills the kettle.", "The kettle is filled"),
        ("Somebody fills the kettle.", "What?"),
    ]
    assert {(model, temperature) for *_, model, temperature in Judge.asked} == {("tiny", 0)}
    assert figures([score(spoken, events, 600.0, settings)])["pauc"] > 0.5


@pytest.mark.parametrize(("words", "sentence"), [("break", "cannot be asked"), ("confuse", "where a score from")])
def test_a_judge_that_fails_is_a_sentence(judge_matcher, words, sentence):
    judge_matcher._client = judge_matcher._client.with_options(max_retries=0)
    with pytest.raises(ValueError, match=sentence):
        judge(said((10.0, words)), [AnnotatedEvent(10.0, "A kettle.")], ScoreSettings(matcher=judge_matcher))
