# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The assistant: a lifecycle node that watches a camera topic, speaks unasked and answers queries.

configure loads the model, activate subscribes and publishes, deactivate pauses, cleanup gives the memory back.
Callbacks only hand over to the inference thread and never wait for it; only ~/ask and ~/converse wait for their
answers, each on a thread of its own.
"""

from __future__ import annotations

import functools
import gc
import sys
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError

import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool, Trigger

from videollm_ros.assistant.queries import MAX_OUTSTANDING, Query, QueryDesk, QueryError
from videollm_ros.assistant.scheduler import Frame, Inbox
from videollm_ros.assistant.speech import Speech
from videollm_ros.assistant.speech_policy import Manners
from videollm_ros.assistant.worker import Inference
from videollm_ros.live import CheckpointError, ContextLimits, FrameDecision, LiveModel, StreamSession
from videollm_ros.media.images import to_rgb
from videollm_ros.media.sampling import Sample, StampSampler
from videollm_ros.msg import AssistantUtterance, SpeakProbability
from videollm_ros.node.autostart import NOT_LOADED, Autostart
from videollm_ros.node.diagnostics import CameraDiagnostics, LastError, diagnostic_array, model_status, speech_status
from videollm_ros.node.image_subscriber import ImageSubscriber
from videollm_ros.node.messages import probability_message, seconds, utterance_message
from videollm_ros.node.node_parameters import NodeParameters
from videollm_ros.node.parameters import Parameters
from videollm_ros.node.query_interfaces import QueryInterfaces
from videollm_ros.node.run_node import run_node
from videollm_ros.node.transitions import always_answer, reports_failure

EXECUTOR_THREADS = MAX_OUTSTANDING + 4  # every waiting query may hold one; images, parameters and timers need others
SWITCH_INTERVAL = 0.0005  # seconds a thread may keep the interpreter from others; 0.005 loses images of a 30 Hz camera
REST_TIMEOUT = 10.0  # seconds for the inference thread to finish the step it is at
LOADING = "loading the model"
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


class AssistantNode(LifecycleNodeMixin, Node):
    """The node `assistant`; its interface is described in docs/ros.md."""

    def __init__(self) -> None:
        Node.__init__(self, "assistant")
        # Transitions in a group of their own: while a model loads, everything else stays responsive.
        self._transitions = MutuallyExclusiveCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self._transitions)
        always_answer(self)
        self.ending, self.exit_code = threading.Event(), 0  # for run_node
        self._node_parameters = NodeParameters(
            self, Parameters, self._parameters_changed, self._problem_now, self._locked
        )
        self._model_error, self._image_error, self._query_error = LastError(), LastError(), LastError()
        self._desk = QueryDesk()
        self._state = "unconfigured"
        self._inference: Inference | None = None  # from configure to cleanup
        self._inbox: Inbox | None = None
        self._manners: Manners | None = None
        parameters = self.parameters
        self._camera = ImageSubscriber(self, self._image_received)
        self._camera_diagnostics = CameraDiagnostics()

        self._utterances = self._lifecycle_publisher(AssistantUtterance, "~/utterance")
        self._partials = self._lifecycle_publisher(AssistantUtterance, "~/utterance_partial")
        self._probabilities = self._lifecycle_publisher(SpeakProbability, "~/speak_probability")
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "~/reset", self._reset, callback_group=MutuallyExclusiveCallbackGroup())
        self.create_service(SetBool, "~/mute", self._mute)
        self._queries = QueryInterfaces(self)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # runs without /clock, and while a bag is paused
        self.create_timer(1.0, self._publish_diagnostics, MutuallyExclusiveCallbackGroup(), steady)
        if parameters.autostart:
            Autostart(
                self,
                self._transitions,
                retries=lambda: self.parameters.model.load_retries,
                give_up=lambda: self.end(NOT_LOADED),
            )

    @property
    def parameters(self) -> Parameters:
        return self._node_parameters.current

    @property
    def is_loading(self) -> bool:
        return self._state == LOADING

    # Lifecycle.

    @reports_failure
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._state = LOADING
        self._model_error.clear()
        try:
            self._load()
        except (CheckpointError, OSError, ValueError, RuntimeError, ImportError) as error:
            self._state = "unconfigured"
            self.failed(f"The model was not loaded: {error}", lasting=True)
            self._free()
            return TransitionCallbackReturn.FAILURE
        self._state = "inactive"
        return super().on_configure(state)

    @reports_failure
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        self._state = "active"
        self._camera.open(self.parameters.image_transport, self.parameters.image.qos)
        return result

    @reports_failure
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._state = "inactive"
        self._camera.close()
        try:
            self._inference.pause("The assistant was deactivated.").result(REST_TIMEOUT)
        except FutureTimeoutError:
            self.get_logger().warning(f"The model did not come to rest within {REST_TIMEOUT:g} s; it does later.")
        return super().on_deactivate(state)

    @reports_failure
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._free()
        self._state = "unconfigured"
        return super().on_cleanup(state)

    @reports_failure
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.close()
        self._state = "finalized"
        return super().on_shutdown(state)

    @reports_failure
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.get_logger().error("A lifecycle transition failed; the node is unconfigured again.")
        self.close()
        self._state = "unconfigured"
        return super().on_error(state)

    def close(self) -> None:
        """Stop the camera and the inference thread, and give the model's memory back."""
        self._camera.close()
        self._free()

    def end(self, exit_code: int) -> None:
        """End the process in good order."""
        self.exit_code = exit_code
        self.ending.set()

    def _locked(self) -> str:
        """Return why only dynamic parameters may change now."""
        return "" if self._state == "unconfigured" else "Deactivate and clean up first."

    def _load(self) -> None:
        parameters = self.parameters
        wanted = parameters.model
        if not wanted.checkpoint:
            raise ValueError("model.checkpoint is empty: set it to a hub id or a folder, or load a file of config/.")
        self.get_logger().info(f"Loading {wanted.checkpoint} ...")
        if wanted.cpu_threads:
            torch.set_num_threads(wanted.cpu_threads)  # of the threads that are started after this
        started = time.monotonic()
        model = LiveModel.from_pretrained(
            wanted.checkpoint,
            llm=wanted.llm or None,
            vision=wanted.vision or None,
            device=wanted.device,
            dtype=wanted.dtype,
            quantization=None if wanted.quantization == "none" else wanted.quantization,
        )
        context = parameters.context
        session = StreamSession(
            model,
            threshold=parameters.stream.threshold,
            max_new_tokens=parameters.stream.max_new_tokens,
            context=ContextLimits(context.max_tokens or None, context.vision_seconds, context.text_tokens or None),
            frame_gate=parameters.stream.frame_gate or None,
        )
        fps = parameters.stream.fps or model.config.frame_fps
        self._inbox = Inbox(StampSampler(fps, parameters.stream.max_gap), parameters.stream.backlog)
        self._manners = Manners(parameters.speech)
        convert = functools.partial(to_rgb, formats=parameters.image.formats)
        self._inference = Inference(session, self._inbox, self._manners, self, convert)
        gc.collect()
        gc.freeze()  # or a full collection would stop every thread for some 0.1 s, again and again
        self._parameters_changed(self.parameters)  # which may have changed meanwhile
        where = f"cpu ({torch.get_num_threads()} threads)" if model.device.type == "cpu" else model.device
        took = time.monotonic() - started
        self.get_logger().info(f"Loaded on {where} in {took:.1f} s; reads {fps:g} frames per second.")

    def _free(self) -> None:
        inference, self._inference = self._inference, None
        if inference is None:
            return
        inference.close("The assistant was shut down.")
        del inference
        self._inbox = self._manners = None
        gc.unfreeze()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    # Images and queries in.

    def _image_received(self, message: Image | CompressedImage) -> None:
        inbox = self._inbox
        if inbox is None or self._state != "active":
            return
        stamp = seconds(message.header.stamp)
        if stamp == 0.0:
            self.get_logger().warning("The images have no stamp: the time of their arrival is used.", once=True)
            message.header.stamp = self.get_clock().now().to_msg()
            stamp = seconds(message.header.stamp)
        if inbox.offer(message, stamp, time.monotonic()) is Sample.NEW_STREAM:
            self.get_logger().debug(f"A stream begins at {stamp:.3f} s.")

    def ask(self, text: str, query_id: str, on_partial=None) -> Query:
        """Put a query into the queue.

        Raises:
            QueryError: it is empty or too long, too many are waiting, or the assistant is not active.
        """
        inference = self._inference
        if self._state != "active" or inference is None:
            raise QueryError(f"The assistant does not answer: it is {self._state}, and must be active.")
        query = self._desk.accept(text, query_id, on_partial)
        inference.ask(query)
        return query

    def cancel(self, query: Query, reason: str) -> None:
        """Take a query back or stop its answer; `reason` is what the asker is told when there is none yet."""
        inference = self._inference
        if inference is not None:
            inference.cancel(query, reason)
        else:
            query.fail(reason)

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        inference = self._inference
        if inference is None:
            response.message = f"There is no stream to forget: the assistant is {self._state}."
            return response
        try:
            inference.reset("~/reset was called").result(REST_TIMEOUT)
        except FutureTimeoutError:
            response.message = f"The model did not come to rest within {REST_TIMEOUT:g} s; it resets when it does."
            return response
        response.success, response.message = True, "The stream is forgotten."
        return response

    def _mute(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        result = self.set_parameters([Parameter("speech.muted", value=request.data)])[0]
        response.success = result.successful
        response.message = result.reason or ("muted" if request.data else "may speak")
        return response

    def _parameters_changed(self, parameters: Parameters) -> None:
        inference = self._inference
        if inference is not None:
            inference.apply(parameters.stream, parameters.speech)

    def _problem_now(self, name: str, value: object) -> str | None:
        inference = self._inference
        if name == "stream.max_new_tokens" and inference is not None and value > inference.max_new_tokens_limit:
            limit, context = inference.max_new_tokens_limit, inference.state.max_tokens
            return f"{name} is at most {limit} with a context of {context} tokens, and was given {value}."
        return None

    # Outputs: called by the inference thread.

    def frame_read(self, frame: Frame, decision: FrameDecision) -> None:
        self._probabilities.publish(probability_message(frame.message.header, decision))

    def wants_partial(self) -> bool:
        return self._partials.get_subscription_count() > 0

    def partial(self, speech: Speech) -> None:
        self._partials.publish(utterance_message(speech, self.get_clock().now()))

    def utterance(self, speech: Speech) -> None:
        message = utterance_message(speech, self.get_clock().now())
        self._utterances.publish(message)
        if speech.sequence > 0:  # whoever follows the partial ones sees it end there
            self._partials.publish(message)

    def stream_began(self, reason: str) -> None:
        self.get_logger().info(f"A new stream begins: {reason}.")

    def failed(self, sentence: str, *, lasting: bool = False) -> None:
        if self._model_error.note(sentence, lasting=lasting):
            self.get_logger().error(sentence)

    def image_refused(self, sentence: str) -> None:
        self._image_error.note(sentence)
        self.get_logger().warning(sentence, throttle_duration_sec=1.0)

    def query_refused(self, sentence: str) -> None:
        self._query_error.note(sentence)
        self.get_logger().warning(sentence, throttle_duration_sec=1.0)

    def _lifecycle_publisher(self, message_type: type, topic: str) -> LifecyclePublisher:
        return self.create_lifecycle_publisher(message_type, topic, RELIABLE)

    # Diagnostics.

    def _publish_diagnostics(self) -> None:
        inference, inbox, manners = self._inference, self._inbox, self._manners
        statuses = [model_status(self._state, self.parameters.model.checkpoint, self._model_error, inference)]
        if inference is not None and inbox is not None and manners is not None:
            statuses.append(speech_status(manners, self._desk, inference, self._query_error))
            if self._state == "active":
                status = self._camera_diagnostics.status(self._camera, inbox, inference, self._image_error)
                statuses.append(status)
        self._diagnostics.publish(diagnostic_array(self.get_fully_qualified_name(), self.get_clock().now(), statuses))


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted. Returns the exit code."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    return run_node("assistant", AssistantNode, args, EXECUTOR_THREADS)


if __name__ == "__main__":
    sys.exit(main())
