# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the console that need no graph: its state, its frames, what it sends."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")
pytest.importorskip("starlette", reason="the console's packages are not installed: requirements/console.txt")

from sensor_msgs.msg import CompressedImage, Image

from videollm_ros.media.images import ImageError
from videollm_ros.node.console.frames import MAX_BYTES, MAX_PINNED, MAX_SIDE, FrameStore, picture_of
from videollm_ros.node.console.hub import MAX_PENDING, Viewer, encode
from videollm_ros.node.console.state import HISTORY_SECONDS, MAX_UTTERANCES, AssistantState

SECOND = 1_000_000_000


def raw(value=0, height=48, width=64):
    pixels = np.full((height, width, 3), value, np.uint8)
    return Image(height=height, width=width, step=3 * width, encoding="rgb8", data=pixels.tobytes())


def compressed(value=0, form=".jpg"):
    return CompressedImage(format=form[1:], data=cv2.imencode(form, np.full((48, 64, 3), value, np.uint8))[1].tobytes())


def utterance(key, **fields):
    return {"type": "utterance", "key": key, "sequence": 0, "final": True, "text": "", **fields}


@pytest.mark.parametrize(("form", "media_type"), [(".jpg", "image/jpeg"), (".png", "image/png")])
def test_compressed_bytes_are_passed_through(form, media_type):
    message = compressed(100, form)
    picture = picture_of(message, 1)
    assert picture.data == bytes(message.data)
    assert picture.media_type == media_type


def test_a_compressed_image_that_is_no_jpeg_or_png_is_refused():
    with pytest.raises(ImageError):
        picture_of(compressed(100, ".bmp"), 1)


def test_a_raw_image_becomes_a_jpeg_of_the_same_colors():
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:] = (200, 50, 10)
    message = Image(height=40, width=60, step=180, encoding="rgb8", data=pixels.tobytes())
    shown = cv2.imdecode(np.frombuffer(picture_of(message, 1).data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert shown.shape == (40, 60, 3)
    assert np.abs(shown.mean((0, 1)) - (200, 50, 10)).max() < 4


def test_a_large_raw_image_is_made_smaller_and_keeps_its_shape():
    shown = cv2.imdecode(np.frombuffer(picture_of(raw(9, 1080, 1920), 1).data, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape[:2] == (720, MAX_SIDE)


def test_an_image_that_cannot_be_read_is_an_error_with_a_sentence():
    with pytest.raises(ImageError):
        picture_of(CompressedImage(format="jpeg", data=b"not an image"), 1)


def test_the_frame_with_the_stamp_is_found_among_others():
    frames = FrameStore()
    messages = [compressed(value) for value in range(0, 100, 10)]
    for index, message in enumerate(messages):
        frames.add(index * SECOND // 10, message)
    assert frames.pin(3 * SECOND // 10) == 3 * SECOND // 10
    assert frames.pinned(3 * SECOND // 10).data == bytes(messages[3].data)


def test_the_nearest_frame_is_taken_where_the_frame_itself_is_gone_and_none_beyond_a_second():
    frames = FrameStore()
    frames.add(10 * SECOND, compressed())
    assert frames.pin(10 * SECOND + 40_000_000) == 10 * SECOND
    assert frames.pin(12 * SECOND) is None
    assert FrameStore().pin(1) is None


def test_a_frame_that_was_shown_is_found_after_the_raw_images_have_gone():
    frames = FrameStore()
    frames.add(SECOND, raw(200))
    shown = frames.newest()
    for index in range(1, 40):
        frames.add(SECOND + index, raw(0, 1000, 1000))
    assert frames._bytes <= MAX_BYTES
    assert frames.pin(SECOND) == SECOND
    assert frames.pinned(SECOND) is shown


def test_the_newest_image_is_encoded_once():
    frames = FrameStore()
    assert frames.newest() is None
    frames.add(1, raw())
    assert frames.newest() is frames.newest()


def test_pinned_frames_are_bounded():
    frames = FrameStore()
    for index in range(MAX_PINNED + 5):
        frames.add(index * SECOND, compressed())
        frames.pin(index * SECOND)
    assert frames.pinned(0) is None
    assert frames.pinned((MAX_PINNED + 4) * SECOND) is not None


def test_two_minutes_of_probabilities_are_kept_and_a_jump_back_begins_anew():
    state = AssistantState()
    for index in range(1000):
        state.apply({"type": "probability", "stamp": index / 2, "probability": 0.5, "threshold": 0.7})
    times = [time for time, _ in state.probabilities]
    assert times[-1] - times[0] == HISTORY_SECONDS
    state.apply({"type": "probability", "stamp": 3.0, "probability": 0.1, "threshold": 0.6})
    assert list(state.probabilities) == [(3.0, 0.1)]
    assert state.snapshot()["threshold"]["value"] == 0.6


def test_an_utterance_grows_and_a_late_piece_changes_nothing():
    state = AssistantState()
    assert state.apply(utterance("a", final=False, text="one"))
    assert state.apply(utterance("a", final=False, sequence=2, text="one two three"))
    assert not state.apply(utterance("a", final=False, sequence=1, text="one two"))
    assert state.apply(utterance("a", sequence=3, text="one two three."))
    assert not state.apply(utterance("a", sequence=3, text="one two three."))  # the other topic
    assert [each["text"] for each in state.snapshot()["utterances"]] == ["one two three."]


def test_what_was_being_said_when_the_assistant_went_away_is_closed():
    state = AssistantState()
    state.apply(utterance("a"))
    state.apply(utterance("b", final=False))
    state.apply({"type": "cut_off"})
    first, second = state.snapshot()["utterances"]
    assert "cut_off" not in first
    assert second["final"]
    assert second["cut_off"]


def test_utterances_are_bounded():
    state = AssistantState()
    for index in range(MAX_UTTERANCES + 5):
        state.apply(utterance(str(index)))
    assert next(iter(state.utterances)) == "5"
    assert len(state.utterances) == MAX_UTTERANCES


def test_a_number_that_is_not_finite_reaches_no_page():
    assert json.loads(encode({"type": "x", "a": [float("nan"), 1.5], "b": (float("inf"),)})) == {
        "type": "x",
        "a": [None, 1.5],
        "b": [None],
    }


def test_a_viewer_that_takes_nothing_is_noticed_and_bounded():
    viewer = Viewer()
    for _ in range(MAX_PENDING + 10):
        viewer.tell("{}")
    assert viewer.is_too_slow
    assert len(json.loads(viewer.take())) == MAX_PENDING
    assert viewer.take() == ""
