# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego4D's narrations as dialogues: every sentence follows the first frame at or after its time (paper, section 4.1)."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from videollm_ros.data.convert.checks import recording_id, seconds, words
from videollm_ros.data.convert.conversation import Conversation
from videollm_ros.data.convert.grid import FrameGrid
from videollm_ros.data.convert.json_stream import members
from videollm_ros.data.convert.request import Request, RequestError

# What the published checkpoint was asked in training: its answers depend on the words.
INSTRUCTION = (
    "Please concisely narrate the video in real time. Use the tag 'C' to denote the camera wearer, and other letter "
    "tags, such as 'X', to denote other individuals in the scene."
)
REFINED_INSTRUCTIONS = (
    "Tell me what happens, in short sentences, while it happens.",
    "Narrate what I do as I do it. Keep it short.",
    "Watch with me and say briefly what you see.",
    "Give me a short running commentary.",
    "Describe my actions in a few words, one after another.",
    "Say what is going on whenever something changes.",
    "Keep telling me in simple words what my camera sees.",
    "Comment on this video live, with brief sentences.",
    "Put what I am doing into words, step by step and concisely.",
    "Let me know in one short sentence each time I do something.",
)
_TAGS = re.compile(r"#[Cc]|@c|#[Oo]|#[Uu]nsure|#")
_FEWEST_WORDS = 2  # the camera wearer's letter alone says nothing
_Narration = tuple[float, str]  # seconds, text


def clean_text(text: str) -> str:
    """Return a narration without its tags, on one line, with a capital letter and a full stop.

    >>> clean_text("#C C  picks up a cup")
    'C picks up a cup.'
    """
    first, *others = (_TAGS.sub("", text).strip("., \n") + ".").split()
    return " ".join([first.capitalize(), *others])


def narration(request: Request) -> Iterator[dict[str, Any]]:
    """Yield one dialogue per annotator of each video in `narration_stream_video_uids_{split}.json`."""
    wanted = _video_ids(request)
    path = request.locate("all_narrations_redacted.json")
    found = set()
    for video, entry in members(path, "videos", request.tally):
        if video in wanted:
            found.add(video)
            yield from request.each(video, _cleaned, video, entry)
    for video in sorted(wanted - found):
        request.tally.tell("videos without annotations", f"{video}: {path.name} has no narration of it.")


def refined_narration(request: Request) -> Iterator[dict[str, Any]]:
    """Yield the dialogues of `refined_narration_stream_{split}.json`, whose sentences are clean and in order."""
    path = request.main_file(f"refined_narration_stream_{request.split}.json")
    for video, entry in members(path, "", request.tally):
        yield from request.each(video[:80], _refined, video, entry)


def _video_ids(request: Request) -> set[str]:
    path = request.locate(f"narration_stream_video_uids_{request.split}.json")
    try:
        ids = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise RequestError(f"{path} must hold a list of video ids.")
    return set(ids)


def _cleaned(request: Request, video: str, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the dialogues of a video; the annotator whose first sentence is earliest comes first."""
    passes: dict[str, list[_Narration]] = defaultdict(list)
    entries = [(str(each.get("_annotation_uid")), each) for each in entry["narrations"]]
    timed = [(*said, uid) for uid, each in entries for said in request.each(video, _narration, each)]
    for time, text, uid in sorted(timed, key=lambda each: each[0]):
        cleaned = clean_text(text)
        if len(cleaned.split()) >= _FEWEST_WORDS:
            passes[uid].append((time, cleaned))
    yield from _dialogues(request, video, passes, (INSTRUCTION,))


def _refined(request: Request, video: str, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    passes = {
        uid: [said for each in entries for said in request.each(video, _narration, each)]
        for uid, entries in entry.items()
    }
    yield from _dialogues(request, video, passes, REFINED_INSTRUCTIONS)


def _narration(request: Request, entry: dict[str, Any]) -> Iterator[_Narration]:
    yield seconds(entry.get("time")), words(entry.get("text"))


def _dialogues(
    request: Request, video: str, passes: dict[str, list[_Narration]], instructions: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    grid = request.grid(recording_id(video))
    for annotator, narrations in passes.items() if grid else ():
        if narrations and grid:
            conversation = _narrate(narrations, grid)
            if not request.no_instruction:
                text = request.instruction or request.draw(video, annotator).choice(instructions)
                _instruct(conversation, text)
            yield conversation.line(video, annotator=annotator)


def _narrate(narrations: list[_Narration], grid: FrameGrid) -> Conversation:
    """Say each sentence after its frame. Of several on one frame the last is kept; nothing is said twice in a row."""
    conversation = Conversation(grid.after(narrations[0][0]))
    said = None
    for time, text in narrations:
        if conversation.stop > grid.last:
            break
        if text == said:
            continue
        stop = grid.after(time) + 1
        if stop == conversation.stop:
            conversation.messages[-1]["content"] = text
        else:
            conversation.watch(stop)
            conversation.say(text)
        said = text
    return conversation


def _instruct(conversation: Conversation, text: str) -> None:
    """Put the request after the first frame, on which nothing is learned, since nothing was asked before it.

    The first sentence follows at once, as its answer, so it is an ordinary query and no standing instruction.
    """
    conversation.messages[0]["learn"] = False
    conversation.messages.insert(1, {"role": "user", "content": text})
