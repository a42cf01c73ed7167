# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego4D's natural language queries as dialogues: "tell me when it starts and when it ends"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from videollm_ros.data.convert.checks import decoded, recording_id, seconds, span
from videollm_ros.data.convert.conversation import Conversation
from videollm_ros.data.convert.grid import FrameGrid
from videollm_ros.data.convert.json_stream import elements
from videollm_ros.data.convert.request import Request
from videollm_ros.data.convert.tally import AnnotationError

INSTRUCTIONS = (
    'Tell me when "{query}" starts and when it ends.',
    'Say when the part about "{query}" begins and when it is over.',
    'Watch for "{query}" and tell me its start and its end.',
    'I want to find "{query}". Tell me as soon as it starts, and again when it ends.',
    'Where in this video is "{query}"? Mark its beginning and its end.',
    'Let me know when something shows "{query}", and when it no longer does.',
    'Point out the moments of "{query}".',
    'Keep an eye on the video for "{query}".',
    'Find "{query}" for me while we watch.',
    'Notify me at the start and at the end of "{query}".',
)
_Span = tuple[float, float]


def nlq(request: Request) -> Iterator[dict[str, Any]]:
    """Yield one dialogue per clip and query of `nlq_{split}.json`; its times are those of the whole video."""
    path = request.main_file(f"nlq_{request.split}.json")
    for number, entry in enumerate(elements(path, "videos", request.tally)):
        yield from request.each(f"{path.name}: video {number}", _dialogues, entry)


def _dialogues(request: Request, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    video = recording_id(entry.get("video_uid"))
    grid = request.grid(video)
    if grid is None:
        return
    windows: dict[tuple[_Span, str], list[_Span]] = {}
    for clip in entry.get("clips") or []:
        queries = [query for each in clip.get("annotations") or [] for query in each.get("language_queries") or []]
        for query in queries:
            for clip_span, text, window in request.each(video, _window, clip, query):
                _add(request, video, windows.setdefault((clip_span, text), []), window)
    for (clip_span, text), spans in windows.items():
        yield from request.each(f"{video}: {text!r}", _locate, grid, video, clip_span, text, spans)


def _window(request: Request, clip: dict[str, Any], entry: dict[str, Any]) -> Iterator[tuple[_Span, str, _Span]]:
    query = decoded((entry.get("query") or entry.get("slot_x") or "").lower())
    if not query:
        raise AnnotationError("queries without words", "A query has no words.")
    around = (seconds(clip.get("video_start_sec")), seconds(clip.get("video_end_sec")))
    yield around, query, span(entry.get("video_start_sec"), entry.get("video_end_sec"))


def _add(request: Request, video: str, spans: list[_Span], window: _Span) -> None:
    """Keep a window unless it overlaps an earlier one of its query. The public code does not merge them either."""
    if any(min(window[1], end) > max(window[0], start) for start, end in spans):
        request.tally.tell(
            "windows that overlap an earlier one", f"{video}: two windows of one query overlap. The later is left out."
        )
    else:
        spans.append(window)


def _locate(
    request: Request, grid: FrameGrid, video: str, clip: _Span, query: str, spans: list[_Span]
) -> Iterator[dict[str, Any]]:
    """Say when each window starts and ends, until one has no frames of its own."""
    if max(clip) * grid.fps > grid.last:
        raise AnnotationError("clips past the end of their video", f"Its clip ends at {clip[1]:g} s, after the video.")
    last = grid.after(clip[1])
    conversation = Conversation(min(grid.after(clip[0]), last))
    if not request.no_instruction:
        wording = request.instruction or request.draw(video, clip, query).choice(INSTRUCTIONS)
        conversation.instruct(wording.replace("{query}", query))
    for start, end in sorted(spans, key=lambda each: each[0]):
        first = min(max(grid.after(start), conversation.stop), last)
        final = min(max(grid.after(end), first), last)
        if first < conversation.stop or final <= first:
            break
        for frame, what in ((first, "starts"), (final, "ends")):
            conversation.watch(frame + 1)
            conversation.say(f'The video related to the query "{query}" {what}.')
    if conversation.speaker != "assistant":
        raise AnnotationError("windows shorter than a frame", "Its first window has no two frames.")
    yield conversation.line(video, query=query)
