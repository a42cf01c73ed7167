# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Footage is played as it is, at its own times; what cannot be played is refused with a sentence."""

import itertools
import subprocess
import sys
import threading
import time

import av
import cv2
import numpy as np
import pytest

from videollm_ros.media.video import VideoError, open_video

RATE = 10  # Hz
COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200)]


def still(colour):
    return np.full((64, 96, 3), colour, np.uint8)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A lossless film of five pictures, 0.1 s apart, whose first timestamp is not zero."""
    path = tmp_path_factory.mktemp("footage") / "colours.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgr0"
        for index, colour in enumerate(COLOURS):
            frame = av.VideoFrame.from_ndarray(still(colour), format="rgb24").reformat(format="bgr0")
            frame.pts = index + 7
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    for index, colour in enumerate(COLOURS):
        cv2.imwrite(str(path / f"{index:03}.png"), still(colour)[..., ::-1])
    (path / "notes.txt").write_text("not an image")
    return path


def test_a_video_gives_its_pictures_at_their_times_from_zero(video):
    frames = list(open_video(str(video)))
    assert [frame.time for frame in frames] == pytest.approx([index / RATE for index in range(5)])
    assert all(np.abs(f.rgb.astype(int) - c).max() <= 1 for f, c in zip(frames, COLOURS, strict=True))


def test_a_folder_gives_its_images_in_the_order_of_their_names(folder):
    frames = list(open_video(str(folder), rate=4.0))
    assert [frame.time for frame in frames] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert all(np.array_equal(f.rgb, still(c)) for f, c in zip(frames, COLOURS, strict=True))


def test_what_cannot_be_played_is_refused_at_once_with_a_sentence(tmp_path):
    (tmp_path / "text.mp4").write_text("this is no film")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0.png").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    for source, sentence in [
        ("", "There is no ''"),
        (str(tmp_path / "missing.mp4"), "There is no"),
        (str(tmp_path / "text.mp4"), "cannot be read as a video"),
        (str(tmp_path / "broken"), "cannot be read as an image"),
        (str(tmp_path / "empty"), "holds no picture"),
        ("/dev/video99", "cannot be opened"),
    ]:
        with pytest.raises(VideoError, match=sentence):
            next(open_video(source))


def play(*parameters, **options):
    command = [sys.executable, "-m", "videollm_ros.node.video_player", "--ros-args", "-r", "__ns:=/player_test"]
    for parameter in parameters:
        command += ["-p", parameter]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture
def watch():
    """Collects what is published on a topic while a player runs."""
    rclpy = pytest.importorskip("rclpy", reason="there is no ROS 2 here")
    rclpy.init()
    node = rclpy.create_node("watcher", namespace="/player_test")
    thread = threading.Thread(target=rclpy.spin, args=(node,), daemon=True)

    def collect(message_type, topic, qos):
        messages = []
        node.create_subscription(message_type, topic, messages.append, qos)
        if not thread.is_alive():
            thread.start()
        return messages

    yield collect
    rclpy.shutdown()
    thread.join()


def stamps(messages):
    return [message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in messages]


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_the_player_publishes_true_stamps_that_go_on_when_it_loops(watch, video, transport):
    from sensor_msgs.msg import CompressedImage, Image

    from videollm_ros.media.images import to_rgb

    images = watch(Image if transport == "raw" else CompressedImage, "image", 100)
    player = play(
        f"source:={video}", f"image_transport:={transport}", "loop:=true", "wait_for_subscriber:=true", "frame_id:=eye"
    )
    try:
        while len(images) < 12:
            assert player.poll() is None, player.stderr.read()
            time.sleep(0.05)
    finally:
        player.terminate()
        player.wait(60)
    gaps = [later - earlier for earlier, later in itertools.pairwise(stamps(images))]
    assert gaps == pytest.approx([10**9 / RATE] * len(gaps), abs=2)
    assert {image.header.frame_id for image in images} == {"eye"}
    for image, colour in zip(images, itertools.cycle(COLOURS), strict=False):
        assert np.abs(to_rgb(image).astype(int) - colour).max() <= (1 if transport == "raw" else 12)


def test_the_player_says_that_it_ends_and_exits(watch, folder):
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import Image
    from std_msgs.msg import Empty

    images = watch(Image, "image", 10)
    ended = watch(Empty, "video_player/ended", QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    player = play(f"source:={folder}", "rate:=20.0", "wait_for_subscriber:=true", "exit_at_end:=true")
    assert player.wait(120) == 0
    deadline = time.monotonic() + 60
    while len(images) < len(COLOURS) or not ended:
        assert time.monotonic() < deadline, f"{len(images)} images and {len(ended)} ends came"
        time.sleep(0.05)


def test_a_player_without_footage_ends_with_a_sentence_and_an_error_code(tmp_path):
    pytest.importorskip("rclpy", reason="there is no ROS 2 here")
    player = play(f"source:={tmp_path}/missing.mp4")
    assert player.wait(120) == 1
    message = player.stderr.read()
    assert "There is no" in message and "Traceback" not in message
