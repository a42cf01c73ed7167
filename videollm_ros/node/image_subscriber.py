# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscribe to the camera as its publisher offers, read one publisher only, and say what is wrong with the images."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

from videollm_ros.media.errors import quoted
from videollm_ros.node.one_publisher import OnePublisher

DEPTH = 5  # images; the callback only notes them, so none grows old here, and a busy machine loses none of 30 Hz
CHECK_PERIOD = 0.25  # seconds between two looks at the publishers
DISCOVERY = 2.0  # seconds that publishers and clock get to be found
LOG_AFTER = 1.0  # seconds for which something must be so before it is worth a line in the log
_TYPES = {"raw": (Image, "sensor_msgs/msg/Image"), "compressed": (CompressedImage, "sensor_msgs/msg/CompressedImage")}


_UNKNOWN = "_NODE_NAME_UNKNOWN_"  # what rmw gives in place of a name (rmw_dds_common)


class Trouble(Enum):
    """What can be wrong with the images."""

    NONE = "nothing"
    NO_PUBLISHER = "nobody publishes"
    WRONG_TYPE = "the topic carries another type"
    WRONG_RELIABILITY = "the reliability does not match"
    NO_CLOCK = "simulated time without a clock"
    SILENT = "no image comes"
    SEVERAL = "several publishers"


def reliability_for(qos: str, publishers: Sequence[TopicEndpointInfo]) -> ReliabilityPolicy:
    """Return what to subscribe with: `qos` itself, or for auto the least that any publisher offers.

    Reliable if all are: best effort loses large images even between two processes of one machine. Best effort if one is
    not, and while there is no publisher: it matches every publisher.
    """
    if qos != "auto":
        return ReliabilityPolicy.RELIABLE if qos == "reliable" else ReliabilityPolicy.BEST_EFFORT
    offered = [publisher.qos_profile.reliability for publisher in publishers]
    if offered and all(each == ReliabilityPolicy.RELIABLE for each in offered):
        return ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.BEST_EFFORT


class ImageSubscriber:
    """Subscribes to `image` from `open` to `close`, and subscribes anew when the publisher's offer changes.

    Of several publishers on the topic one is read. The log has a line when images come, stop and come again, and one
    for everything that is wrong.

    Args:
        node: the node that subscribes.
        on_image: called with every image of the publisher that is read, in a callback group of its own.
        on_source: called once after `open` when images come, with the name of the publishing node ("": not known).
    """

    def __init__(
        self,
        node: Node,
        on_image: Callable[[Image | CompressedImage], None],
        on_source: Callable[[str], None] = lambda publisher: None,
    ):
        self._node, self._on_image, self._on_source = node, on_image, on_source
        self._group = MutuallyExclusiveCallbackGroup()
        self._lock = threading.Lock()  # a last call of the timer may meet `close`
        self._subscription: Subscription | None = None
        self._timer: Timer | None = None
        self.topic = node.resolve_topic_name("image")
        self.reliability: ReliabilityPolicy | None = None  # None while closed
        self._reset("raw", "auto")

    def _reset(self, transport: str, qos: str) -> None:
        self._type, self._type_name = _TYPES[transport]
        self._qos = qos
        self._open = False
        self._opened = time.monotonic()
        self._source = OnePublisher(self._opened)
        self._first: tuple[float, str] | None = None  # when the first image came, and what it is
        self._standing = (Trouble.NONE, self._opened)  # what is so now, and since when
        self._logged = Trouble.NONE
        self._announced = False
        self.received = 0  # images since it was opened
        self.ignored = 0  # images of other publishers since then
        self.publisher = ""  # name of the node that is read, if that is certain

    def open(self, transport: str, qos: str) -> None:
        """Subscribe.

        Args:
            transport: raw or compressed.
            qos: auto, reliable or best_effort.
        """
        with self._lock:
            self._reset(transport, qos)
            self._open = True
            self._subscribe(self._publishers())
            # In the images' own group: a subscription is never replaced while its callback runs. On a clock that
            # runs without /clock.
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self._node.create_timer(CHECK_PERIOD, self._follow_publishers, self._group, steady)

    def close(self) -> None:
        """Unsubscribe. The counts stay."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            if self._timer is not None and self._subscription is not None:
                self._node.destroy_timer(self._timer)
                self._node.destroy_subscription(self._subscription)
            self._timer = self._subscription = self.reliability = None

    def diagnose(self) -> str:
        """Return what is wrong with the images, as a sentence that says what to do; empty if nothing is."""
        return self._diagnose()[1]

    def _diagnose(self) -> tuple[Trouble, str]:
        now = time.monotonic()
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        discovered = now - self._opened >= DISCOVERY
        if self._node.get_clock().ros_time_is_active and not self._node.count_publishers("/clock") and discovered:
            sentence = "use_sim_time is true and nobody publishes /clock: play the bag with --clock, or unset it."
            return Trouble.NO_CLOCK, sentence
        if not publishers:
            sentence = f"Nobody publishes on {self.topic}: start the camera, or remap image to its topic."
            return (Trouble.NO_PUBLISHER, sentence) if discovered else (Trouble.NONE, "")
        types = sorted({each.topic_type for each in publishers})
        if self._type_name not in types:
            sentence = f"{self.topic} carries {' and '.join(types)}, not {self._type_name}: set image_transport."
            return Trouble.WRONG_TYPE, sentence
        if self._misses(publishers):
            sentence = f"{self.topic} is published best effort: set image.qos to auto or best_effort."
            return Trouble.WRONG_RELIABILITY, sentence
        silence = self._source.silence(now)
        if silence > (0 if self.received else DISCOVERY):
            names = ", ".join(sorted({_name(each) for each in publishers}))
            return Trouble.SILENT, f"No image has come on {self.topic} for {silence:.1f} s. {names} publishes there."
        return self._several(publishers)

    def _misses(self, publishers: Sequence[TopicEndpointInfo]) -> bool:
        """Return whether a reliability that was set by hand does not match a publisher."""
        best_effort = any(each.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for each in publishers)
        return self._qos == "reliable" and best_effort

    def _several(self, publishers: Sequence[TopicEndpointInfo]) -> tuple[Trouble, str]:
        names = sorted(_name(each) for each in publishers if each.topic_type == self._type_name)
        if len(names) < 2:
            return Trouble.NONE, ""
        if self.publisher in names:
            names.remove(self.publisher)
            what = f"the images of {self.publisher} are read, those of {', '.join(names)} are ignored"
        else:
            what = f"the images of one of {', '.join(names)} are read, the others are ignored"
        return Trouble.SEVERAL, f"{self.topic} has more than one publisher: {what}."

    # Called by the timer.

    def _follow_publishers(self) -> None:
        with self._lock:
            if not self._open:
                return
            publishers = self._publishers()
            self._subscribe(publishers)
            if len(publishers) == 1:
                self.publisher = _name(publishers[0])
            elif self.publisher not in map(_name, publishers):
                self.publisher = ""
            self._log_changes()

    def _publishers(self) -> list[TopicEndpointInfo]:
        """Return the publishers of the type that is subscribed to."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        return [each for each in publishers if each.topic_type == self._type_name]

    def _subscribe(self, publishers: Sequence[TopicEndpointInfo]) -> None:
        """Subscribe as the publishers offer, unless that is so already."""
        wanted = reliability_for(self._qos, publishers)
        if wanted == self.reliability or (self._subscription is not None and not publishers):
            return
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self.reliability = wanted
        qos = QoSProfile(depth=DEPTH, reliability=wanted)
        self._subscription = self._node.create_subscription(
            self._type,
            "image",
            self._received,
            qos,
            callback_group=self._group,
            # `diagnose` says it better, and rclpy cannot bear that such a callback goes while its executor waits.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _log_changes(self) -> None:
        """Log what has been so for a while: trouble, its end, and the first images."""
        now = time.monotonic()
        trouble, sentence = self._diagnose()
        if trouble is not self._standing[0]:
            self._standing = (trouble, now)
        if now - self._standing[1] < LOG_AFTER:
            return
        if self._first is not None and not self._announced and now - self._first[0] >= LOG_AFTER:
            self._announced = True
            self._node.get_logger().info(self._description(now))
            self._on_source(self.publisher)
        elif trouble is Trouble.NONE and self._logged not in (Trouble.NONE, Trouble.SEVERAL) and self.received:
            self._node.get_logger().info(f"Images come on {self.topic} again.")
        if trouble not in (self._logged, Trouble.NONE):
            self._node.get_logger().warning(sentence)
        self._logged = trouble

    def _description(self, now: float) -> str:
        """Return a sentence about the images: topic, size, encoding, rate and publisher."""
        first, what = self._first or (now, "")
        rate = f", about {(self.received - 1) / (now - first):.2g} Hz" if self.received > 1 else ""
        reliability = (self.reliability or ReliabilityPolicy.UNKNOWN).name.lower()
        return f"Images come on {self.topic}: {what}{rate}, from {self.publisher or 'a publisher'} ({reliability})."

    # Called by the subscription.

    def _received(self, message: Image | CompressedImage, info: dict[str, Any]) -> None:
        if not self._open:
            return
        number, now = info.get("publication_sequence_number"), time.monotonic()
        if not self._source.is_next(number, now) and len(self._publishers()) > 1:
            self.ignored += 1
            return
        if self.received and not self._source.is_certain(number, now):
            self.publisher = ""  # another one may have taken over; the timer finds out if there is only one
        self._source.follow(number, now)
        self.received += 1
        if self._first is None:
            self._first = (now, _describe(message))
        self._on_image(message)


def _name(publisher: TopicEndpointInfo) -> str:
    """Return the fully qualified name of a publisher's node, which discovery learns later than the publisher."""
    if publisher.node_name == _UNKNOWN:
        return "a node whose name is not known yet"
    return f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"


def _describe(message: Image | CompressedImage) -> str:
    if isinstance(message, CompressedImage):
        return f"{len(message.data)} bytes of format {quoted(message.format)}"
    return f"{message.width}x{message.height} {quoted(message.encoding)[1:-1]}"
