# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read images and texts from rosbag2 recordings without ROS, on the library rosbags.

A bag is a folder (sqlite3 or mcap, split or not, compressed by file or by message) or a single .mcap or .db3 file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from videollm_ros.media.broken_bags import explain_unreadable

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
TEXT_TYPE = "std_msgs/msg/String"
NANOSECONDS = 10**9


class BagError(ValueError):
    """Say as a sentence why a bag cannot be read, and what it holds."""


@dataclass(frozen=True)
class BagTopic:
    """Describe one topic of a bag."""

    name: str
    type: str
    """For example sensor_msgs/msg/Image."""
    messages: int

    def __str__(self) -> str:
        return f"{self.name} ({self.type}, {self.messages} messages)"


@dataclass(frozen=True)
class BagImage:
    """Hold one image message with its times."""

    stamp: int
    """The stamp of its header, in nanoseconds."""
    recorded: int
    """When it was recorded, in nanoseconds on the recorder's clock."""
    message: Any
    """As sensor_msgs/Image or CompressedImage, for `media.images.to_rgb`."""


@dataclass(frozen=True)
class BagText:
    """Hold one std_msgs/String message."""

    stamp: int | None
    """The header's stamp of the newest image recorded before it, in nanoseconds. None when no image came before."""
    recorded: int
    """When it was recorded, in nanoseconds on the recorder's clock."""
    text: str


def to_seconds(stamp: int) -> float:
    """Convert nanoseconds to seconds exactly as the node converts a message's stamp."""
    seconds, nanoseconds = divmod(stamp, NANOSECONDS)
    return seconds + nanoseconds * 1e-9


class Bag:
    """Read one recording. Use it as a context manager.

    Args:
        path: the folder of a rosbag2 recording, or its only .mcap or .db3 file.
        tolerant: leave out messages that cannot be read, and end where the recording breaks off, as long as anything
            can be read. `faults` then says so.

    Raises:
        BagError: nothing is there, or it cannot be read as a bag.
    """

    def __init__(self, path: str | Path, tolerant: bool = False) -> None:
        self.path, self._tolerant = Path(path), tolerant
        self.unreadable = 0
        """Messages that were left out."""
        self.breaks_off = ""
        """Where and why the recording ends before its end. Empty when it does not."""
        self._first_unreadable = ""
        if not self.path.exists():
            raise BagError(f"There is no {self.path}: the folder of a rosbag2 recording or its file is expected.")
        try:
            self._reader = AnyReader([self.path], default_typestore=get_typestore(Stores.LATEST))
            self._reader.open()
        except Exception as error:  # broken files make rosbags raise errors of every kind
            raise BagError(explain_unreadable(self.path, _reason(error))) from error

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    @property
    def seconds(self) -> float:
        """Return how long the recording took, in seconds."""
        return max(0.0, self._reader.duration / NANOSECONDS)

    @property
    def faults(self) -> list[str]:
        """Return sentences about what a tolerant reading has left out so far."""
        said = []
        if self.unreadable:
            many = f"{self.unreadable} message{'s' * (self.unreadable != 1)}"
            said.append(
                f"{many} of the recording cannot be read, and the others were taken. "
                f"The first is {self._first_unreadable}."
            )
        if self.breaks_off:
            said.append(f"The recording breaks off {self.breaks_off}. What came before was watched.")
        return said

    @property
    def topics(self) -> list[BagTopic]:
        """List the topics of the bag by name."""
        return [
            BagTopic(name, info.msgtype or "several types", info.msgcount)
            for name, info in sorted(self._reader.topics.items())
        ]

    def image_topic(self, wanted: str = "") -> str:
        """Return the topic to read images from.

        Args:
            wanted: the topic that was asked for. Empty takes the only image topic there is.

        Raises:
            BagError: the topic is not there, carries no images, is empty, or must be chosen from several.
        """
        return self._topic(wanted, IMAGE_TYPES, "image")

    def text_topic(self, wanted: str = "") -> str:
        """Return the std_msgs/String topic to read texts from. Arguments and errors are those of `image_topic`."""
        return self._topic(wanted, (TEXT_TYPE,), "std_msgs/String")

    def images(self, topic: str) -> Iterator[BagImage]:
        """Yield the images of a topic in the order in which they were recorded.

        Raises:
            BagError: the recording breaks off or holds a message that cannot be read.
        """
        connections = self._connections(topic)
        for _, recorded, message in self._messages(connections):
            yield BagImage(_stamp(message), recorded, message)

    def texts(self, topic: str, image_topic: str) -> Iterator[BagText]:
        """Yield the texts of a std_msgs/String topic, each with the stamp of the newest image before it.

        A std_msgs/String carries no stamp. Its place among the recorded images gives it one on the images' clock.

        Raises:
            BagError: the recording breaks off or holds a message that cannot be read.
        """
        newest = None
        for connection, recorded, message in self._messages(self._connections(topic) + self._connections(image_topic)):
            if connection.topic == topic:
                yield BagText(newest, recorded, message.data)
            else:
                newest = _stamp(message)

    def _topic(self, wanted: str, types: tuple[str, ...], kind: str) -> str:
        fitting = [topic for topic in self.topics if topic.type in types]
        there = f"Its {kind} topics: {', '.join(map(str, fitting)) or 'none'}."
        if not fitting:
            everything = ", ".join(map(str, self.topics)) or "none"
            there += f" All topics: {everything}."
        if not wanted:
            filled = [topic for topic in fitting if topic.messages]
            if len(filled) == 1:
                return filled[0].name
            reason = "several topics to choose from, so name one" if filled else f"no {kind} to read"
            raise BagError(f"{self.path} has {reason}. {there}")
        found = next((topic for topic in self.topics if topic.name == "/" + wanted.lstrip("/")), None)
        if found is None:
            raise BagError(f"{self.path} has no topic {wanted}. {there}")
        if found.type not in types:
            raise BagError(f"The topic {found.name} of {self.path} carries {found.type}, not {kind}. {there}")
        if not found.messages:
            raise BagError(f"The topic {found.name} of {self.path} is empty. {there}")
        return found.name

    def _connections(self, topic: str) -> list[Connection]:
        return [connection for connection in self._reader.connections if connection.topic == topic]

    def _messages(self, connections: list[Connection]) -> Iterator[tuple[Connection, int, Any]]:
        read = 0
        messages = self._reader.messages(connections)
        while True:
            try:
                found = next(messages, None)
            except Exception as error:  # broken files make rosbags raise errors of every kind
                if not read or not self._tolerant:
                    raise self._error(read, connections, error) from error
                self.breaks_off = f"after message {read} of {connections[0].topic}: {_reason(error)}"
                return
            if found is None:
                if read and self.unreadable == read:
                    raise BagError(f"{self.path} gives nothing. {' '.join(self.faults)}")
                return
            connection, recorded, data = found
            try:
                message = self._reader.deserialize(data, connection.msgtype)
            except Exception as error:  # likewise
                if not self._tolerant:
                    raise self._error(read, connections, error) from error
                self.unreadable += 1
                self._first_unreadable = (
                    self._first_unreadable or f"number {read} of {connection.topic}: {_reason(error)}"
                )
            else:
                yield connection, recorded, message
            read += 1

    def _error(self, read: int, connections: list[Connection], error: Exception) -> BagError:
        return BagError(f"{self.path} cannot be read past message {read} of {connections[0].topic}: {_reason(error)}.")


def _stamp(message: Any) -> int:
    stamp = message.header.stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
