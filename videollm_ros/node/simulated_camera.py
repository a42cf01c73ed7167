# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera without hardware: the tabletop simulator on the topic `image`, and what happens in it on `~/events`.

Image i of a stream is stamped with the stream's beginning plus i / fps, and is the simulator's frame at exactly that
time; images that would leave late are left out, as a camera's are. Time is the node's clock, simulated or not.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Empty, Header

from videollm_ros.msg import SimEvent
from videollm_ros.node.node_parameters import NodeParameters
from videollm_ros.node.parameter_schema import parameter
from videollm_ros.node.run_node import leave, run_node
from videollm_ros.sim import Event, Tabletop

EARLY = 0.1  # share of a period by which an image may leave early: the timer's period is cut to whole nanoseconds


@dataclass(frozen=True)
class SimulatedCameraParameters:
    """Which stream is shown, and how."""

    seed: int = parameter(0, "Which stream: the same seed and seconds show the same.", bounds=(0, 2**31 - 1))
    seconds: float = parameter(600.0, "Length of a stream.", bounds=(1.0, 86400.0))
    loop: bool = parameter(True, "Go on with the stream of the next seed at the end; the stamps go on.")
    fps: float = parameter(30.0, "Images per second.", bounds=(0.1, 240.0))
    resolution: int = parameter(96, "Side of the images in pixels.", bounds=(32, 2048))
    frame_id: str = parameter("camera", "frame_id of the images.")
    reliability: str = parameter("reliable", "Reliability that is offered.", choices=("reliable", "best_effort"))
    wait_for_subscriber: bool = parameter(False, "Begin when somebody listens to image.")
    exit_at_end: bool = parameter(False, "End the process after the last image.")


class SimulatedCamera(Node):
    """The node `simulated_camera`. Without `loop` it publishes `~/ended` (transient local) after the last image."""

    def __init__(self) -> None:
        super().__init__("simulated_camera")
        self.ending, self.exit_code, self.is_loading = threading.Event(), 0, False  # for run_node
        self._settings = parameters = NodeParameters(self, SimulatedCameraParameters).current
        reliability = ReliabilityPolicy[parameters.reliability.upper()]
        self._images = self.create_publisher(Image, "image", QoSProfile(depth=1, reliability=reliability))
        self._events = self.create_publisher(SimEvent, "~/events", 10)
        once = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._ended = self.create_publisher(Empty, "~/ended", once)
        self._begin(parameters.seed, None)
        self._timer = self.create_timer(1 / parameters.fps, self._tick)

    def _begin(self, seed: int, start: Time | None) -> None:
        """Show the stream of `seed` from `start` on; None: from the next tick on."""
        self._tabletop = Tabletop(seed, self._settings.seconds, self._settings.resolution)
        self._pending = deque(self._tabletop.events)
        self._start, self._next = start, 0

    def _tick(self) -> None:
        now = self.get_clock().now()
        if self._start is None:
            if self._settings.wait_for_subscriber and not self._images.get_subscription_count():
                return
            # When this tick was due, so that the ticks to come never find their image a moment too early.
            self._start = now + Duration(nanoseconds=self._timer.time_until_next_call() - self._timer.timer_period_ns)
        elapsed = (now - self._start).nanoseconds * 1e-9
        if elapsed < 0:  # simulated time was set back
            self._begin(self._tabletop.seed, now)
            elapsed = 0.0
        if elapsed >= self._tabletop.seconds:
            self._publish_events(self._tabletop.seconds)
            if not self._settings.loop:
                self._end()
                return
            self._begin(self._tabletop.seed + 1, self._start + _duration(self._tabletop.seconds))
            elapsed -= self._settings.seconds
        index = int(elapsed * self._settings.fps + EARLY)
        if self._next <= index < self._tabletop.num_frames(self._settings.fps):
            self._publish(index / self._settings.fps)
            self._next = index + 1

    def _publish(self, time: float) -> None:
        rgb = self._tabletop.render(time)
        height, width, _ = rgb.shape
        image = Image(header=self._header(time), height=height, width=width, encoding="rgb8", step=3 * width)
        image.data.frombytes(rgb.tobytes())
        self._images.publish(image)
        self._publish_events(time)

    def _publish_events(self, time: float) -> None:
        """All that has happened until `time` and was not told yet."""
        while self._pending and self._pending[0].time <= time:
            self._events.publish(self._message(self._pending.popleft()))

    def _message(self, event: Event) -> SimEvent:
        return SimEvent(
            header=self._header(event.time),
            kind=getattr(SimEvent, event.kind.upper()),
            colour=event.item.colour,
            shape=event.item.shape,
            text=event.text,
        )

    def _header(self, time: float) -> Header:
        return Header(stamp=(self._start + _duration(time)).to_msg(), frame_id=self._settings.frame_id)

    def _end(self) -> None:
        self._timer.cancel()
        self._ended.publish(Empty())
        self.get_logger().info(f"The end of stream {self._tabletop.seed}.")
        if self._settings.exit_at_end:
            self._images.wait_for_all_acked(Duration(seconds=1))
            self._ended.wait_for_all_acked(Duration(seconds=1))
            self.ending.set()

    def close(self) -> None:
        """Do nothing: the timer that publishes is destroyed before."""


def _duration(seconds: float) -> Duration:
    return Duration(nanoseconds=round(seconds * 1e9))


def main(args: list[str] | None = None) -> int:
    """Run until the end or an interrupt. Returns the exit code: 1 if a parameter cannot be used."""
    return run_node("simulated_camera", SimulatedCamera, args)


if __name__ == "__main__":
    leave(main())
