# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever encoding a camera was recorded in, the evaluation of its bag sees the picture that the camera saw."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rosbags.rosbag2 import StoragePlugin

from videollm_ros.evaluation.recording import BagRecording
from videollm_ros.media import images
from videollm_ros.media.images import ImageError

_SPEC = importlib.util.spec_from_file_location("cameras", Path(__file__).parents[1] / "media" / "test_images.py")
cameras = importlib.util.module_from_spec(_SPEC)  # what a camera puts into a message of each encoding
_SPEC.loader.exec_module(cameras)
H, W = cameras.H, cameras.W
INNER = np.s_[1:-1, 1:-1]  # demosaicing has no neighbors at the border
picture = cameras.picture


def raw(bags, encoding, pixels, **layout):
    made = cameras.message(pixels, encoding, **layout)
    fields = (made.height, made.width, encoding, made.is_bigendian, made.step, np.frombuffer(made.data, np.uint8))
    return bags.TYPES.types["sensor_msgs/msg/Image"](bags.header(bags.START), *fields)


def compressed(bags, format, rgb, **options):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, format, **options)
    data = np.frombuffer(file.getvalue(), np.uint8)
    claimed = f"rgb8; {format.lower()} compressed bgr8"  # as image_transport writes it
    return bags.TYPES.types["sensor_msgs/msg/CompressedImage"](bags.header(bags.START), claimed, data)


def shown(bags, picture):
    """Name each kind of image: its message, the picture that is expected, and how far a value may be off."""
    kinds = {}
    for encoding, (pixels, seen, off) in cameras.ENCODINGS.items():
        for padding in (0, 24):
            message = raw(bags, encoding, pixels(picture), padding=padding)
            kinds[f"{encoding} padded by {padding}"] = message, seen(picture), off
    for encoding in ("mono16", "16UC1"):
        message = raw(bags, encoding, cameras.levels16(picture, ">u2"), is_bigendian=1, padding=6)
        kinds[f"{encoding} big-endian"] = message, cameras.grey(picture), 0
    kinds["png"] = compressed(bags, "PNG", picture), picture, 0
    kinds["jpeg"] = compressed(bags, "JPEG", picture, quality=95), picture, 16
    return kinds


def read(bags, path, messages, storage=StoragePlugin.MCAP):
    """Write messages to the topic of their type, and read them as `videollm-evaluate bag` does."""
    topics = {"sensor_msgs/msg/Image": "/camera", "sensor_msgs/msg/CompressedImage": "/camera/compressed"}
    listed = [(topics[each.__msgtype__], bags.START + i, each) for i, each in enumerate(messages)]
    bag = bags.write_bag(path, listed, storage)
    return [image for topic in dict.fromkeys(each[0] for each in listed) for image in BagRecording(bag, topic).images()]


def test_the_pictures_are_of_every_encoding_that_is_taken():
    assert set(cameras.ENCODINGS) == {*images._ENCODINGS, *images._SYNONYMS}


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
def test_a_bag_of_any_encoding_gives_the_picture_that_the_camera_saw(simulated_bags, picture, tmp_path, storage):
    kinds = shown(simulated_bags, picture)
    found = read(simulated_bags, tmp_path / "bag", [message for message, _, _ in kinds.values()], storage)
    for (kind, (_, seen, off)), image in zip(kinds.items(), found, strict=True):
        rgb = image.decode()
        assert rgb.shape == (H, W, 3) and rgb.dtype == np.uint8, kind
        where = INNER if off else np.s_[:]  # lossless: to the last pixel
        assert np.abs(rgb[where].astype(int) - seen[where]).max() <= off, kind


def test_an_encoding_that_is_not_taken_is_a_sentence(simulated_bags, picture, tmp_path):
    depth = raw(simulated_bags, "32FC1", np.ones((H, W), np.float32))
    webp = compressed(simulated_bags, "WEBP", picture)
    sentences = (
        "The image encoding '32FC1' is not supported: docs/ros.md lists the encodings that are.",
        "A CompressedImage of format 'rgb8; webp compressed bgr8' with [0-9]+ bytes cannot be decoded as one of JPEG",
    )
    for image, sentence in zip(read(simulated_bags, tmp_path / "bag", [depth, webp]), sentences, strict=True):
        with pytest.raises(ImageError, match=sentence):
            image.decode()
