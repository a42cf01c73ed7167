# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a transcript as a bag on the recording's own clock, to open beside it in Foxglove or with ros2 bag play.

The bag holds the definitions of its messages, so that it opens where this package is not installed.
"""

from __future__ import annotations

import bisect
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.transcript import Decision, Said, Transcript
from videollm_ros.media.bags import NANOSECONDS

UTTERANCES, PROBABILITIES = "/evaluation/utterance", "/evaluation/speak_probability"
ANNOTATIONS, ENDS = "/evaluation/annotation", "/evaluation/annotation_end"
_UTTERANCE, _PROBABILITY = "videollm_ros/msg/AssistantUtterance", "videollm_ros/msg/SpeakProbability"
_TEXT = "std_msgs/msg/String"
_LATEST = 2**63 - 1  # nanoseconds that a bag can hold


def write_transcript_bag(transcript: Transcript, events: Sequence[AnnotatedEvent], path: Path) -> None:
    """Write an .mcap file with a transcript and the annotations.

    Utterances and probabilities lie where their image was recorded, and have its stamp in their header. Annotations lie
    as far from the nearest frame as in time.

    Raises:
        FileNotFoundError: the definitions of this package's messages are not installed.
    """
    types = _types()
    messages = [*_utterances(types, transcript), *_probabilities(types, transcript)]
    clock = _recorded_clock(transcript)
    for event in events:
        messages.append((clock(event.time), ANNOTATIONS, types.types[_TEXT](event.text)))
        if event.end is not None:
            messages.append((clock(event.end), ENDS, types.types[_TEXT](event.text)))
    messages.sort(key=lambda each: each[0])
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "transcript"
        with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            topics = {UTTERANCES: _UTTERANCE, PROBABILITIES: _PROBABILITY, ANNOTATIONS: _TEXT, ENDS: _TEXT}
            connections = {topic: writer.add_connection(topic, kind, typestore=types) for topic, kind in topics.items()}
            for stamp, topic, message in messages:
                writer.write(connections[topic], stamp, types.serialize_cdr(message, topics[topic]))
        shutil.move(next(bag.glob("*.mcap")), path)


def _recorded(each: Said | Decision) -> int:
    return each.stamp if each.recorded is None else each.recorded


def _recorded_clock(transcript: Transcript) -> Callable[[float], int]:
    """Return what turns seconds since the first image into nanoseconds of the recorder's clock."""
    frames = sorted((each.time, _recorded(each)) for each in transcript.decisions)
    times = [time for time, _ in frames]

    first = 0.0, transcript.begin

    def recorded(time: float) -> int:
        after = bisect.bisect_left(times, time)
        near = min(frames[max(after - 1, 0) : after + 1], key=lambda frame: abs(frame[0] - time), default=first)
        return min(max(0, near[1] + round((time - near[0]) * NANOSECONDS)), _LATEST)

    return recorded


def _types() -> Typestore:
    types = get_typestore(Stores.ROS2_JAZZY)
    for name in (_UTTERANCE, _PROBABILITY):
        types.register(get_types_from_msg(_definition(name).read_text(encoding="utf-8"), name))
    return types


def _definition(name: str) -> Path:
    """Find a message's definition in the source tree or in the share folder of what was installed."""
    file = f"msg/{name.rsplit('/', 1)[1]}.msg"
    for parent in Path(__file__).resolve().parents:
        for place in (parent / file, parent / "share" / "videollm_ros" / file):
            if place.is_file():
                return place
    raise FileNotFoundError(f"The definition {file} of this package is not installed.")


def _utterances(types: Typestore, transcript: Transcript) -> list[tuple[int, str, Any]]:
    messages = []
    for number, said in enumerate(transcript.utterances, 1):
        given = {
            "header": _header(types, said.stamp, transcript.frame_id),
            "id": number,
            "final": True,
            "kind": 0 if said.query is None else 1,
            "text": said.text,
            "query": said.query or "",
            "speak_probability": said.speak_probability,
            "latency": _duration(types, said.latency or 0.0),
        }
        messages.append((_recorded(said), UTTERANCES, _message(types, _UTTERANCE, given)))
    return messages


def _probabilities(types: Typestore, transcript: Transcript) -> list[tuple[int, str, Any]]:
    messages = []
    for each in transcript.decisions:
        header = _header(types, each.stamp, transcript.frame_id)
        given = {"header": header, "probability": each.speak_probability, "threshold": each.threshold}
        messages.append((_recorded(each), PROBABILITIES, _message(types, _PROBABILITY, given)))
    return messages


def _message(types: Typestore, name: str, given: dict[str, Any]) -> Any:
    """Make a message. Fields that are not given are 0, False or empty."""
    zeros = {"string": "", "bool": False, "float32": 0.0, "float64": 0.0}
    values = {field: zeros.get(str(kind[1][0]), 0) for field, kind in types.fielddefs[name][1]}
    make: Callable[..., Any] = types.types[name]
    return make(**values | given)


def _duration(types: Typestore, seconds: float) -> Any:
    whole, part = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return types.types["builtin_interfaces/msg/Duration"](whole, part)


def _header(types: Typestore, stamp: int, frame_id: str) -> Any:
    time = types.types["builtin_interfaces/msg/Time"](stamp // NANOSECONDS, stamp % NANOSECONDS)
    return types.types["std_msgs/msg/Header"](time, frame_id)
