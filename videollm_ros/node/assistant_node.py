# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The assistant: a lifecycle node that watches a camera topic, speaks by itself and answers queries.

configure loads the model and makes an AssistantStream, activate subscribes and publishes, deactivate pauses, cleanup
drops the stream and gives the memory back. Callbacks only hand over to the stream and never wait for the model. Only
~/ask and ~/converse wait for their answers, each on a thread of its own.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import cast

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool, Trigger

from videollm_ros.assistant.queries import MAX_OUTSTANDING, PendingQuery, QueryError
from videollm_ros.assistant.stream import AssistantStream
from videollm_ros.demo_checkpoint import KNOWS_THE_TABLE, is_demo_checkpoint
from videollm_ros.live import CheckpointError
from videollm_ros.media.images import to_rgb
from videollm_ros.node.autostart import NOT_LOADED, Autostart
from videollm_ros.node.debug_image import DebugImage
from videollm_ros.node.diagnostics import CameraDiagnostics, diagnostic_array, model_status, speech_status
from videollm_ros.node.error_log import ErrorLog
from videollm_ros.node.image_stamps import ImageStamps
from videollm_ros.node.image_subscriber import ImageSubscriber
from videollm_ros.node.messages import seconds
from videollm_ros.node.model_memory import describe_device, give_memory_back, keep_out_of_collections, load_model
from videollm_ros.node.node_parameters import NodeParameters
from videollm_ros.node.outputs import LogToRos, TopicOutputs
from videollm_ros.node.parameters import Parameters
from videollm_ros.node.query_interfaces import Partial, QueryInterfaces
from videollm_ros.node.run_node import leave, run_node
from videollm_ros.node.transitions import always_answer, reports_failure

EXECUTOR_THREADS = MAX_OUTSTANDING + 4  # every waiting query may hold one; images, parameters and timers need others
SWITCH_INTERVAL = 0.0005  # seconds a thread may keep the interpreter from others; 0.005 loses images of a 30 Hz camera
PAUSE_TIMEOUT = 10.0  # seconds for the inference thread to finish the step it is at
EXIT_FATAL = 3
"""Exit code of a node whose stream cannot go on, so that whoever supervises it starts it again."""


class AssistantNode(LifecycleNodeMixin, Node):
    """The node `assistant`; its interface is described in docs/ros.md."""

    def __init__(self) -> None:
        """Declare the parameters and the interface. Nothing is loaded yet."""
        Node.__init__(self, "assistant")
        # Transitions in a group of their own: while a model loads, everything else stays responsive.
        self._transitions = MutuallyExclusiveCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self._transitions)
        always_answer(self)
        self.ending = threading.Event()
        """Set when the process should end."""
        self.exit_code = 0
        """Exit code of the process then."""
        self.stream: AssistantStream | None = None
        """From configure to cleanup."""
        self.errors = ErrorLog(self.get_logger(), self._end_fatally)
        self._node_parameters = NodeParameters(
            self, Parameters, self._parameters_changed, self._problem_now, self._locked
        )
        self._camera = ImageSubscriber(self, self._image_received, self._images_come)
        self._camera_diagnostics = CameraDiagnostics()
        self._stamps = ImageStamps(self, lambda: self.parameters.image.stamp)
        self._outputs = TopicOutputs(self, self._stamps)
        self._debug_image = DebugImage(self)
        self._queries = QueryInterfaces(self, self, self._outputs.message, self.errors.query_refused)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "~/reset", self._reset, callback_group=MutuallyExclusiveCallbackGroup())
        self.create_service(SetBool, "~/mute", self._mute)
        self._log_handler = LogToRos(self)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # runs without /clock, and while a bag is paused
        self.create_timer(1.0, self._publish_diagnostics, MutuallyExclusiveCallbackGroup(), steady)
        if self.parameters.autostart:
            Autostart(
                self,
                self._transitions,
                retries=lambda: self.parameters.model.load_retries,
                give_up=lambda: self.end(NOT_LOADED),
            )

    @property
    def parameters(self) -> Parameters:
        """The parameters as they are now."""
        return cast(Parameters, self._node_parameters.current)

    @property
    def state(self) -> str:
        """The lifecycle state: unconfigured, configuring, inactive, activating, active, ..."""
        return str(self._state_machine.current_state[1])  # nothing public gives it

    @property
    def is_loading(self) -> bool:
        """Whether a model is being loaded."""
        return self.state == "configuring"

    # Lifecycle.

    @reports_failure
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and make a stream."""
        self.errors.model.clear()
        try:
            self._load()
        except (CheckpointError, OSError, ValueError, RuntimeError, ImportError) as error:
            self.failed(f"The model was not loaded: {error}", lasting=True)
            self.close()
            give_memory_back()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    @reports_failure
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to publish, and subscribe to the camera."""
        result = super().on_activate(state)
        self._camera.open(self.parameters.image_transport, self.parameters.image.qos)
        return result

    @reports_failure
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and cut off what is being said."""
        self._camera.close()
        if self.stream is not None:
            self._wait_for(self.stream.pause("The assistant was deactivated."))
        return super().on_deactivate(state)

    @reports_failure
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the stream and the model, and give their memory back."""
        self.close()
        give_memory_back()
        return super().on_cleanup(state)

    @reports_failure
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop everything."""
        self.close()
        give_memory_back()
        return super().on_shutdown(state)

    @reports_failure
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop everything and be unconfigured again."""
        self.get_logger().error("A lifecycle transition failed; the node is unconfigured again.")
        self.close()
        give_memory_back()
        return super().on_error(state)

    def close(self) -> None:
        """Stop the camera and drop the stream with the model."""
        self._camera.close()
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close("The assistant was shut down.")
            logging.getLogger("videollm_ros").removeHandler(self._log_handler)

    def end(self, exit_code: int) -> None:
        """End the process in good order."""
        self.exit_code = exit_code
        self.ending.set()

    def _locked(self) -> str:
        """Return why only dynamic parameters may change now."""
        return "" if self.state == "unconfigured" else "Deactivate and clean up first."

    def _load(self) -> None:
        parameters, started = self.parameters, time.monotonic()
        self.get_logger().info(f"Loading {parameters.model.checkpoint} ...")
        model = load_model(parameters.model)
        logging.getLogger("videollm_ros").addHandler(self._log_handler)
        load_image = functools.partial(to_rgb, formats=parameters.image.formats)
        listeners = (self._outputs, self.errors, self._debug_image)
        self.stream = AssistantStream(model, parameters.assistant, listeners, load_image=load_image)
        keep_out_of_collections()
        self._parameters_changed(self.parameters)  # which may have changed meanwhile
        where, took = describe_device(model.device), time.monotonic() - started
        self.get_logger().info(f"Loaded on {where} in {took:.1f} s; reads {self.stream.fps:g} frames per second.")

    def _wait_for(self, done: Future[None]) -> bool:
        """Wait for the inference thread. Returns False if it is at a long step."""
        try:
            done.result(PAUSE_TIMEOUT)
        except FutureTimeoutError:
            self.get_logger().warning(f"The model is still busy after {PAUSE_TIMEOUT:g} s. It obeys after its step.")
            return False
        return True

    def _end_fatally(self) -> None:
        """End the process, because the stream cannot go on."""
        self._publish_diagnostics()
        self.end(EXIT_FATAL)

    # Images and queries in.

    def _image_received(self, message: Image | CompressedImage) -> None:
        stream, header = self.stream, message.header
        if stream is None:
            return
        self._stamps.stamp(header)
        stream.offer(message, seconds(header.stamp), header)

    def _images_come(self, publisher: str) -> None:
        is_table = not publisher or publisher.endswith("/simulated_camera")
        if not is_table and is_demo_checkpoint(self.parameters.model.checkpoint):
            self.get_logger().warning(KNOWS_THE_TABLE)

    def ask(self, text: str, query_id: str, on_partial: Partial | None = None) -> PendingQuery:
        """Put a query into the queue.

        Raises:
            QueryError: It is empty or too long, too many are waiting, or the assistant is not active.
        """
        stream, state = self.stream, self.state
        if state != "active" or stream is None:
            again = " Ask again in some seconds." if state == "configuring" else ""
            raise QueryError(f"The assistant does not answer: it is {state}, and must be active.{again}")
        return stream.ask(text, query_id, on_partial)

    def cancel(self, query: PendingQuery, reason: str) -> None:
        """Take a query back or stop its answer. `reason` is what the asker is told when there is none yet."""
        stream = self.stream
        if stream is not None:
            stream.cancel(query, reason)
        else:
            query.fail(reason)

    @property
    def ask_timeout(self) -> float:
        """Seconds after which ~/ask gives up."""
        return self.parameters.speech.ask_timeout

    def failed(self, sentence: str, *, lasting: bool = False) -> None:
        """Take note of an error of the model."""
        self.errors.failed(sentence, lasting=lasting)

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.stream is None:
            response.message = f"There is no stream to forget: the assistant is {self.state}."
        elif not self._wait_for(self.stream.reset("~/reset was called")):
            response.message = f"The model is still busy after {PAUSE_TIMEOUT:g} s. The stream is forgotten afterwards."
        else:
            response.success, response.message = True, "The stream is forgotten."
        return response

    def _mute(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        result = self.set_parameters([Parameter("speech.muted", value=request.data)])[0]
        response.success = result.successful
        response.message = result.reason or ("muted" if request.data else "may speak")
        return response

    def _parameters_changed(self, parameters: Parameters) -> None:
        if self.stream is not None:
            self.stream.apply(parameters.assistant)

    def _problem_now(self, name: str, value: object) -> str | None:
        stream = self.stream
        if name == "stream.max_new_tokens" and stream is not None and cast(int, value) > stream.max_new_tokens_limit:
            return f"{name} is at most {stream.max_new_tokens_limit} with this context, and was given {value}."
        return None

    # Diagnostics.

    def _publish_diagnostics(self) -> None:
        stream, state = self.stream, self.state
        snapshot = stream.snapshot() if stream is not None else None
        statuses = [model_status(state, self.parameters.model.checkpoint, self.errors.model, snapshot)]
        if snapshot is not None:
            statuses.append(speech_status(snapshot, self.errors.query))
            if state == "active":
                camera = self._camera_diagnostics.status(self._camera, snapshot, self.errors.image, self._stamps)
                statuses.append(camera)
        self._diagnostics.publish(diagnostic_array(self.get_fully_qualified_name(), self.get_clock().now(), statuses))


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted. Returns the exit code."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    return run_node("assistant", AssistantNode, args, EXECUTOR_THREADS)


if __name__ == "__main__":
    leave(main())
