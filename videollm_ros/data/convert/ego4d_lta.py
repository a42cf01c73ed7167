# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego4D's long-term anticipation as dialogues: eight actions are seen, the twenty that follow are named."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from videollm_ros.data.convert.checks import recording_id, seconds, span
from videollm_ros.data.convert.conversation import Conversation
from videollm_ros.data.convert.grid import FrameGrid
from videollm_ros.data.convert.json_stream import elements
from videollm_ros.data.convert.request import Request, RequestError
from videollm_ros.data.convert.tally import AnnotationError

NUM_SEEN, NUM_ANTICIPATED = 8, 20
_QUERY = (
    "After {frames} video frames, anticipate the next {actions} actions. Format your answer concisely, "
    "listing each action on a new line with a number prefix. No extra text output."
)
# Names of the taxonomy that would say the same word for two things.
_WORDS = {
    "pot_(planter)": "flowerpot",
    "bat_(sports)": "sport bat",
    "bat_(tool)": "bat",
    "nut_(food)": "nuts",
    "nut_(tool)": "nut",
    "chip_(food)": "snack",
    "chip_(wood'_metal),": "chips",
    "chip_(wood,_metal)": "chip",
}


@dataclass(frozen=True)
class Action:
    """An action of a clip; its times are seconds of the video. `labels` index the taxonomy's verbs and nouns."""

    video: str
    clip: str
    index: int
    start: float
    end: float
    labels: tuple[int, int] | None


def word(name: str) -> str:
    """Return the word for a name of the taxonomy: what stands before its bracket.

    >>> word("knife_(knife,_machete)")
    'knife'
    """
    return _WORDS.get(name) or re.sub(r"_$", "", name.split("(")[0]).replace("_", " ")


def lta(request: Request) -> Iterator[dict[str, Any]]:
    """Yield one dialogue per run of 28 actions in a clip of `fho_lta_{split}.json`.

    The public split "test" has no actions to come: its dialogues end with the frames. The frames are learned in the
    split "train" alone, as in the public code.
    """
    path = request.locate(f"fho_lta_{request.split}.json", f"fho_lta_{request.split}_unannotated.json")
    verbs, nouns = taxonomy(request)
    clips: dict[str, list[Action]] = defaultdict(list)
    for entry in elements(path, "clips", request.tally):
        for action in request.each(path.name, _actions, entry, len(verbs), len(nouns)):
            clips[action.clip].append(action)
    for actions in clips.values():
        actions.sort(key=lambda action: action.index)
        length = NUM_SEEN + NUM_ANTICIPATED
        runs = [actions[first : first + length] for first in range(len(actions) - length + 1)]
        grid = request.grid(actions[0].video) if runs else None
        for run in runs if grid else ():
            if grid:
                yield _anticipate(grid, run, verbs, nouns, learn=request.split == "train")


def taxonomy(request: Request) -> tuple[list[str], list[str]]:
    """Return the words of the verbs and of the nouns.

    Raises:
        RequestError: `fho_lta_taxonomy.json` is not there or has another form.
    """
    path = request.locate("fho_lta_taxonomy.json")
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        return [word(each) for each in names["verbs"]], [word(each) for each in names["nouns"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f'{path} must hold {{"verbs": [names], "nouns": [names]}}: {error!r}.') from error


def _actions(request: Request, entry: dict[str, Any], num_verbs: int, num_nouns: int) -> Iterator[Action]:
    start, end = span(entry.get("action_clip_start_sec"), entry.get("action_clip_end_sec"))
    parent = seconds(entry.get("clip_parent_start_sec"))
    labels = (entry.get("verb_label"), entry.get("noun_label"))
    known = None
    if labels != (None, None):
        for label, number, what in zip(labels, (num_verbs, num_nouns), ("verb", "noun"), strict=True):
            if not isinstance(label, int) or not 0 <= label < number:
                raise AnnotationError(f"unknown {what}s", f"The {what} {label!r} is none of the taxonomy's {number}.")
        known = (int(labels[0]), int(labels[1]))  # type: ignore[arg-type]
    video, clip = recording_id(entry.get("video_uid")), str(entry["clip_uid"])
    yield Action(video, clip, int(entry["action_idx"]), parent + start, parent + end, known)


def _anticipate(grid: FrameGrid, run: list[Action], verbs: list[str], nouns: list[str], learn: bool) -> dict[str, Any]:
    seen, coming = run[:NUM_SEEN], [action.labels for action in run[NUM_SEEN:]]
    labels = [each for each in coming if each]
    start, stop = grid.nearest(seen[0].start), grid.nearest(seen[-1].end) + 1
    conversation = Conversation(start)
    conversation.ask(_QUERY.format(frames=stop - start, actions=NUM_ANTICIPATED))
    conversation.watch(stop, learn)
    more: dict[str, Any] = {"clip_uid": seen[0].clip, "last_visible_action_idx": seen[-1].index}
    if len(labels) == NUM_ANTICIPATED:
        lines = (f"{i}. {verbs[verb].capitalize()} {nouns[noun]}." for i, (verb, noun) in enumerate(labels, start=1))
        conversation.say("\n".join(lines))
        more |= {"verb_labels": [verb for verb, _ in labels], "noun_labels": [noun for _, noun in labels]}
    return conversation.line(seen[0].video, **more)
