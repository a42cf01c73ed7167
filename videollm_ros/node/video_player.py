# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera without hardware: plays a video file, a folder of images or a webcam on the topic `image`.

Every image is stamped with the time at which the player started plus its media time, so what the stamps say is
what the media says, however late a message leaves. With `loop` the stamps go on, as those of a camera would.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Empty

from videollm_ros.media.video import VideoError, VideoFrame, open_video
from videollm_ros.node.node_parameters import NodeParameters
from videollm_ros.node.parameter_schema import parameter
from videollm_ros.node.run_node import leave, run_node

SETTLED = 0.6  # seconds for which somebody must have listened: a subscriber may yet follow the reliability offered


@dataclass(frozen=True)
class PlayerParameters:
    """What is played, and how."""

    source: str = parameter("", "Video file, folder of images, or webcam (/dev/video0 or 0).")
    rate: float = parameter(0.0, "Images per second; 0: the media's own rate, of a folder 30.", bounds=(0.0, 1000.0))
    loop: bool = parameter(False, "Begin again at the end; the stamps go on.")
    frame_id: str = parameter("camera", "frame_id of the images.")
    image_transport: str = parameter(
        "raw",
        "raw: sensor_msgs/Image (rgb8); compressed: sensor_msgs/CompressedImage (jpeg).",
        choices=("raw", "compressed"),
    )
    reliability: str = parameter("reliable", "Reliability that is offered.", choices=("reliable", "best_effort"))
    wait_for_subscriber: bool = parameter(False, "Begin when somebody listens to image.")
    exit_at_end: bool = parameter(False, "End the process after the last image.")


class VideoPlayer(Node):
    """The node `video_player`. Publishes `image` and, once, `~/ended` after the last one (transient local).

    Raises:
        VideoError: the source cannot be played.
    """

    def __init__(self) -> None:
        super().__init__("video_player")
        self._settings = NodeParameters(self, PlayerParameters).current
        parameters = self._settings
        self._footage = open_video(parameters.source, parameters.rate)
        reliability = ReliabilityPolicy[parameters.reliability.upper()]
        message_type = Image if parameters.image_transport == "raw" else CompressedImage
        self._images = self.create_publisher(message_type, "image", QoSProfile(depth=10, reliability=reliability))
        once = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._ended = self.create_publisher(Empty, "~/ended", once)
        self.ending, self.exit_code, self.is_loading = threading.Event(), 0, False  # for run_node
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, name="playback")
        self._thread.start()

    def close(self) -> None:
        """Stop playing."""
        self._stop.set()
        self._thread.join()

    def _play(self) -> None:
        try:
            listened = 0.0 if self._settings.wait_for_subscriber else SETTLED
            while listened < SETTLED:
                if self._stop.wait(0.05):
                    return
                listened = listened + 0.05 if self._images.get_subscription_count() else 0.0
            self._publish_all()
        except VideoError as error:
            self.get_logger().error(str(error))
        if self._stop.is_set():
            return
        self._ended.publish(Empty())
        self.get_logger().info(f"The end of {self._settings.source}.")
        if self._settings.exit_at_end:
            self._images.wait_for_all_acked(Duration(seconds=1))
            self._ended.wait_for_all_acked(Duration(seconds=1))
            self.ending.set()

    def _publish_all(self) -> None:
        start, started = self.get_clock().now(), time.monotonic()
        for frame, media_time in self._endlessly() if self._settings.loop else self._once():
            if self._stop.wait(max(0.0, started + media_time - time.monotonic())):
                return
            self._images.publish(self._message(frame.rgb, start + Duration(seconds=media_time)))

    def _once(self) -> Iterator[tuple[VideoFrame, float]]:
        for frame in self._footage:
            yield frame, frame.time

    def _endlessly(self) -> Iterator[tuple[VideoFrame, float]]:
        """Each pass begins one frame's duration after the last image of the pass before it."""
        offset = media_time = duration = 0.0
        while True:
            for frame in self._footage:
                duration = offset + frame.time - media_time or duration
                media_time = offset + frame.time
                yield frame, media_time
            offset = media_time + (duration or 1.0)
            self._footage = open_video(self._settings.source, self._settings.rate)

    def _message(self, rgb: np.ndarray, stamp: Time) -> Image | CompressedImage:
        if self._settings.image_transport == "raw":
            height, width, _ = rgb.shape
            message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
            message.data.frombytes(rgb.tobytes())
        else:
            message = CompressedImage(format="rgb8; jpeg compressed bgr8")
            jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1]
            message.data.frombytes(jpeg.tobytes())
        message.header.stamp = stamp.to_msg()
        message.header.frame_id = self._settings.frame_id
        return message


def main(args: list[str] | None = None) -> int:
    """Play until the end or an interrupt. Returns the exit code: 1 if the source cannot be played."""
    return run_node("video_player", VideoPlayer, args)


if __name__ == "__main__":
    leave(main())
