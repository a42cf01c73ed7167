# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of every storage give the same images, and what cannot be read is a sentence that lists what is there."""

from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from videollm_ros.media.bags import Bag, BagError, to_seconds
from videollm_ros.media.images import to_rgb

TYPES = get_typestore(Stores.ROS2_JAZZY)
START = 1_700_000_000 * 10**9
STORAGES = {
    "sqlite3": (StoragePlugin.SQLITE3, CompressionMode.NONE),
    "mcap": (StoragePlugin.MCAP, CompressionMode.NONE),
    "sqlite3 compressed by file": (StoragePlugin.SQLITE3, CompressionMode.FILE),
    "sqlite3 compressed by message": (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    "mcap compressed by file": (StoragePlugin.MCAP, CompressionMode.FILE),
    "mcap compressed by message": (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    "mcap compressed by chunk": (StoragePlugin.MCAP, CompressionMode.STORAGE),
}


def header(stamp: int):
    time = TYPES.types["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9)
    return TYPES.types["std_msgs/msg/Header"](time, "camera")


def image(stamp: int, level: int):
    pixels = np.full((4, 6, 3), level % 256, np.uint8)
    return TYPES.types["sensor_msgs/msg/Image"](header(stamp), 4, 6, "rgb8", 0, 18, pixels.reshape(-1))


def text(words: str):
    return TYPES.types["std_msgs/msg/String"](words)


def write(path: Path, messages, storage="mcap") -> Path:
    """Write (topic, recorded time, message) as a bag."""
    plugin, mode = STORAGES[storage]
    writer = Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    connections = {}
    with writer:
        for topic, recorded, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, message.__msgtype__, typestore=TYPES)
            writer.write(connections[topic], recorded, TYPES.serialize_cdr(message, message.__msgtype__))
    return path


def camera(count=5, topic="/camera"):
    return [(topic, START + i * 10**8 + 7, image(START + i * 10**8, 10 * i)) for i in range(count)]


@pytest.mark.parametrize("storage", STORAGES)
def test_every_storage_gives_the_same_images_at_the_headers_stamps(tmp_path, storage):
    with Bag(write(tmp_path / "bag", camera(), storage)) as bag:
        images = list(bag.images(bag.image_topic()))
    assert [each.stamp for each in images] == [START + i * 10**8 for i in range(5)]
    assert [each.recorded - each.stamp for each in images] == [7] * 5
    assert [int(to_rgb(each.message).mean()) for each in images] == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(("storage", "suffix"), [("sqlite3", ".db3"), ("mcap", ".mcap")])
def test_a_single_file_is_a_bag_too(tmp_path, storage, suffix):
    folder = write(tmp_path / "bag", camera(), storage)
    (file,) = folder.glob(f"*{suffix}")
    with Bag(file) as bag:
        assert len(list(bag.images("/camera"))) == 5


def test_a_split_bag_is_read_to_its_end(tmp_path):
    """Two recordings joined under one metadata.yaml, as `ros2 bag record --max-bag-size` leaves them."""
    first = write(tmp_path / "first", camera(3))
    second = write(tmp_path / "second", camera(6)[3:])
    (second / "second.mcap").rename(first / "second.mcap")
    metadata = (first / "metadata.yaml").read_text()
    metadata = metadata.replace("- first.mcap", "- first.mcap\n  - second.mcap").replace(
        "message_count: 3", "message_count: 6"
    )
    (first / "metadata.yaml").write_text(metadata)
    with Bag(first) as bag:
        assert [each.stamp for each in bag.images("/camera")] == [START + i * 10**8 for i in range(6)]


def test_a_text_takes_the_stamp_of_the_newest_image_before_it(tmp_path):
    messages = [("/query", START - 5, text("early")), *camera(3), ("/query", START + 10**9, text("late"))]
    with Bag(write(tmp_path / "bag", messages)) as bag:
        texts = list(bag.texts(bag.text_topic(), "/camera"))
    assert [(each.stamp, each.text) for each in texts] == [(None, "early"), (START + 2 * 10**8, "late")]


def test_the_only_image_topic_is_taken_and_one_of_several_must_be_named(tmp_path):
    with Bag(write(tmp_path / "one", [*camera(), ("/chat", START, text("x"))])) as bag:
        assert bag.image_topic() == "/camera"
        assert bag.image_topic("camera") == "/camera"
    with Bag(write(tmp_path / "two", [*camera(), *camera(2, "/left")])) as bag, pytest.raises(BagError) as caught:
        bag.image_topic()
    assert "/camera (sensor_msgs/msg/Image, 5 messages), /left (sensor_msgs/msg/Image, 2 messages)" in str(caught.value)


def test_a_topic_that_cannot_be_read_is_a_sentence_that_lists_the_image_topics(tmp_path):
    with Bag(write(tmp_path / "bag", [*camera(), ("/chat", START, text("x"))])) as bag:
        for wanted, sentence in [("/kamera", "has no topic /kamera"), ("/chat", "carries std_msgs/msg/String")]:
            with pytest.raises(BagError, match=sentence) as caught:
                bag.image_topic(wanted)
            assert "/camera (sensor_msgs/msg/Image, 5 messages)" in str(caught.value)
    with Bag(write(tmp_path / "texts", [("/chat", START, text("x"))])) as bag, pytest.raises(BagError) as caught:
        bag.image_topic()
    assert "/chat" in str(caught.value)


def test_an_empty_bag_is_a_sentence(tmp_path):
    with Bag(write(tmp_path / "bag", [])) as bag, pytest.raises(BagError, match="no image to read"):
        bag.image_topic()


def broken_folder(tmp_path):
    (tmp_path / "broken").mkdir()
    return tmp_path / "broken"


def cut(tmp_path, storage):
    (file,) = [each for each in write(tmp_path / "bag", camera(200), storage).iterdir() if each.suffix != ".yaml"]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return file.parent


def other_file(tmp_path):
    (tmp_path / "notes.txt").write_text("no bag")
    return tmp_path / "notes.txt"


def empty_file(tmp_path):
    (tmp_path / "empty.mcap").touch()
    return tmp_path / "empty.mcap"


@pytest.mark.parametrize(
    "make",
    [
        lambda tmp_path: tmp_path / "missing",
        broken_folder,
        other_file,
        empty_file,
        lambda tmp_path: cut(tmp_path, "mcap"),
        lambda tmp_path: cut(tmp_path, "sqlite3"),
        lambda tmp_path: cut(tmp_path, "sqlite3 compressed by file"),
    ],
)
def test_what_is_no_whole_bag_is_a_sentence_with_its_path(tmp_path, make):
    path = make(tmp_path)
    with pytest.raises(BagError) as caught, Bag(path) as bag:
        list(bag.images(bag.image_topic("/camera")))
    assert str(path) in str(caught.value) and str(caught.value).endswith(".")


def test_seconds_are_those_of_the_node():
    assert to_seconds(1_700_000_000_123_456_789) == 1_700_000_000 + 123_456_789 * 1e-9
