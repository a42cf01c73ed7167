# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Describe the timeline of one recording: its streams and frames, what was said, what happened and what was asked."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from videollm_ros.evaluation.report.html import Section
from videollm_ros.evaluation.results import Result
from videollm_ros.evaluation.scores.figures import answers_to
from videollm_ros.evaluation.scores.judged import EARLY, LATE, MATCHED, MISSED
from videollm_ros.evaluation.transcript import SILENT, Decision, Said, Transcript

_PICTURE_BYTES = 9 * 2**20  # of JPEGs in a page, a third more as base64
_HINT = (
    "Drag to move, scroll to zoom, point at anything to see the frame, click to hold it. "
    "The dotted line is 1 - theta: above it silence loses."
)
_STREAMS = (
    " Each of the {} streams begins at a dashed line, in the other color than the one before. "
    "What is shaded was not watched."
)


def timeline(result: Result) -> Section:
    """Return the section that `timeline.js` draws.

    A frame is named by its number among all frames, since times come again where the stamps jump back.
    """
    transcript = result.transcript
    decisions = transcript.decisions
    spans = transcript.watched
    marks = _marks(result)
    streams = [each.stream for each in decisions]
    starts = [number for number in range(len(decisions)) if number == 0 or streams[number] != streams[number - 1]]
    return {
        "type": "timeline",
        "title": "Speak probability, what was said, and what happened",
        "hint": _HINT + (_STREAMS.format(len(spans)) if len(spans) > 1 else ""),
        "spans": [[round(begin, 4), round(end, 4)] for begin, end in spans],
        "starts": starts,
        "times": [round(each.time, 4) for each in decisions],
        "probabilities": [round(each.speak_probability, 4) for each in decisions],
        # The rule speaks when silence is below theta, which is a speak probability above 1 - theta.
        "lines": sorted({round(1 - each.threshold, 6) for each in decisions}),
        "marks": marks,
        "pictures": _pictures(transcript, marks),
    }


def _marks(result: Result) -> list[dict[str, Any]]:
    """List utterances, events and queries as marks of their lanes."""
    marks, fates = _said(result)
    transcript = result.transcript
    times = np.asarray([each.time for each in transcript.decisions])
    for e, event in enumerate(result.events or []):
        outcome, partner = fates.get(e, (MISSED, None))
        told = outcome in (MATCHED, LATE, EARLY)
        mark = _mark("happened", event.time, event.text, outcome if told else MISSED, _first_frame(times, event.time))
        if told:
            mark["partner"] = partner
        if event.end is not None and event.end > event.time:
            mark |= {"end": event.end, "facts": f"until {event.end:.2f} s"}
        marks.append(mark)
    for said, frame in zip(transcript.held_back, _frames_of(transcript.decisions, transcript.held_back), strict=True):
        marks.append(_mark("held back", said.time, said.text, "held_back", frame))
    return marks + _answers(result, times, len(marks))


def _mark(lane: str, time: float, text: str, outcome: str, frame: int, **more: Any) -> dict[str, Any]:
    text = text or "(nothing)"
    return {"lane": lane, "time": time, "text": text, "outcome": outcome, "frame": frame} | more


def _said(result: Result) -> tuple[list[dict[str, Any]], dict[int, tuple[str, int]]]:
    """Return the marks of what was said, and of each event its outcome and the mark that tells it."""
    judged, transcript = result.judged, result.transcript
    listed = judged.said if judged else transcript.proactive
    marks: list[dict[str, Any]] = []
    fates: dict[int, tuple[str, int]] = {}
    proactive = transcript.proactive
    frames = dict(zip(map(id, proactive), _frames_of(transcript.decisions, proactive), strict=True))
    for u, said in enumerate(listed):  # which is in the order of the times
        mark = _mark("said", said.time, said.text, "said", frames[id(said)])
        if judged is not None:
            judgment = judged.judgments[u]
            mark["outcome"] = judgment.outcome
            if judgment.event is not None:
                late = float(judged.lateness[u, judgment.event])
                mark["facts"] = f"{abs(late):.2f} s {'after' if late >= 0 else 'before'} its event"
                fates[judgment.event] = (judgment.outcome, len(marks))
        marks.append(mark)
    return marks, fates


def _answers(result: Result, times: np.ndarray, before: int) -> list[dict[str, Any]]:
    """Return the marks of queries at the times at which they were asked, and of answers. `before` marks precede."""
    answers = [said for said in result.transcript.utterances if said.query is not None]
    marks: list[dict[str, Any]] = []
    asked: dict[int, int] = {}  # id of an answer -> mark of its query
    for query, answer in zip(result.queries, answers_to(result.queries, answers), strict=True):
        outcome, facts = "unanswered", "no answer"
        if answer is not None:
            asked[id(answer)] = before + len(marks)
            outcome, facts = "asked", f"answered at {answer.time:.2f} s"
        marks.append(_mark("asked", query.time, query.text, outcome, _first_frame(times, query.time), facts=facts))
    for said, frame in zip(answers, _frames_of(result.transcript.decisions, answers), strict=True):
        facts = f"asked: {said.query}"
        marks.append(_mark("answers", said.time, said.text, "answer", frame, facts=facts, partner=asked.get(id(said))))
    return marks


def _frames_of(decisions: Sequence[Decision], listed: Iterable[Said]) -> list[int]:
    """Return the number of the frame of each utterance.

    Both are in the order of the recording, so the search for each goes on where that for the one before it ended. A
    stamp may come again where the stamps jump back. Then it is rather the frame at which the model spoke.
    """
    numbers: dict[tuple[int, int | None], list[int]] = {}
    for number, each in enumerate(decisions):
        numbers.setdefault((each.stamp, each.recorded), []).append(number)
    frames, at = [], 0
    for said in listed:
        there = [number for number in numbers.get((said.stamp, said.recorded), []) if number >= at]
        at = next((n for n in there if decisions[n].decision != SILENT), there[0] if there else at)
        frames.append(at)
    return frames


def _first_frame(times: np.ndarray, time: float) -> int:
    """Return the number of the first frame that shows what happened at a time. After the last frame it is the last."""
    if not len(times):
        return 0
    after = np.where(times >= time - 1e-6, times - time, np.inf)
    return int(after.argmin() if np.isfinite(after).any() else times.argmax())


def _pictures(transcript: Transcript, marks: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Choose the frames to show: those in which something was said, those that show an event, then evenly others."""
    pictures = [transcript.thumbnails.get((each.stream, each.time)) for each in transcript.decisions]
    spoken = [mark["frame"] for mark in marks if mark["lane"] not in ("happened", "asked")]
    shown = [mark["frame"] for mark in marks if mark["lane"] in ("happened", "asked")]
    room, chosen = _PICTURE_BYTES, {}
    for number in dict.fromkeys([*_spread(spoken), *_spread(shown), *_spread(range(len(pictures)))]):
        picture = pictures[number] if pictures else None
        if picture is None:
            continue
        room -= len(picture)
        if room < 0:
            break
        chosen[number] = picture
    frames = sorted(chosen)
    return {"frames": frames, "jpegs": [base64.b64encode(chosen[number]).decode() for number in frames]}


def _spread(numbers: Sequence[int]) -> list[int]:
    """Order numbers so that they are spread evenly at whatever number the room ends: every 4096th, every 2048th, ..."""
    order: list[int] = []
    step = 1 << len(numbers).bit_length()
    while step:
        order += numbers[::step]
        step //= 2
    return order
