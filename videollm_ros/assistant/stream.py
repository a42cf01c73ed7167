# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One stream at work: a session with its threads. Images and queries in from any thread, listeners are told."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any

import numpy as np

from videollm_ros.assistant.encoder import FrameEncoder
from videollm_ros.assistant.faults import FaultCounter, describe_failure
from videollm_ros.assistant.listeners import Listeners, StreamListener
from videollm_ros.assistant.queries import PendingQuery, QueryAdmission, QueryError
from videollm_ros.assistant.scheduler import FrameScheduler
from videollm_ros.assistant.session_settings import make_session
from videollm_ros.assistant.settings import AssistantSettings
from videollm_ros.assistant.snapshot import StreamSnapshot
from videollm_ros.assistant.speech_policy import SpeechPolicy
from videollm_ros.assistant.updates import HoldReason, UtteranceUpdate
from videollm_ros.assistant.utterances import UtterancePublisher
from videollm_ros.assistant.worker import InferenceWorker
from videollm_ros.live import LiveModel, StreamSession
from videollm_ros.media.sampling import StampSampler

_CLOSED = "The assistant was shut down."


class AssistantStream:
    """Watches one camera with a shared model, speaks, and answers queries.

    Every method may be called from any thread, and none but `reset`, `pause` and `close` waits for the model.
    """

    def __init__(
        self,
        model: LiveModel,
        settings: AssistantSettings | None = None,
        listeners: Iterable[StreamListener] = (),
        *,
        load_image: Callable[[Any], Any] = np.asarray,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allocate the context, warm up and start two threads.

        Args:
            model: The model. Other streams may use it as well.
            settings: The settings; the defaults are the library's.
            listeners: They are told what happens.
            load_image: Turns what `offer` takes into uint8 RGB [H, W, 3]. Called in the encoder's thread.
            clock: Seconds on a clock that never goes back.

        Raises:
            ValueError: A setting is out of its range, or the context is too small.
            RuntimeError: The vision tower cannot encode, for instance because the GPU is out of memory.
        """
        settings = settings or AssistantSettings()
        self._listeners = Listeners(listeners)
        self._clock, self._model = clock, model
        self._policy = SpeechPolicy(settings.speech)
        self._publisher = UtterancePublisher(self._policy, self._listeners)
        self._admission, self._faults = QueryAdmission(), FaultCounter()
        self._images_refused = 0
        self.fatal = ""
        """Why the stream cannot go on, as a sentence. Empty if it can."""
        self._ending, self._failing, self._was_stalled = threading.Lock(), threading.Lock(), False
        session = make_session(model, settings)
        self._sampler = StampSampler(settings.stream.fps or model.config.frame_fps, settings.stream.max_gap)
        self._scheduler = FrameScheduler(self._sampler, settings.stream.backlog, self._is_replying, clock)
        self._encoder = self._start_encoder(load_image)
        self._worker = self._start_worker(session)
        self.max_new_tokens_limit = session.max_new_tokens_limit
        """The largest `stream.max_new_tokens` that the context has room for."""
        self._warn_of_the_rate()

    def _warn_of_the_rate(self) -> None:
        if warning := self._model.config.rate_warning(self.fps):
            self._listeners.tell(lambda each: each.on_warning(warning))

    def _start_encoder(self, load_image: Callable[[Any], Any]) -> FrameEncoder:
        return FrameEncoder(
            self._model,
            self._scheduler,
            load_image,
            self._on_image_refused,
            self._on_encoder_failure,
            self._on_encoder_death,
            lambda: self._listeners.any(lambda each: each.wants_pixels()),
        )

    def _start_worker(self, session: StreamSession) -> InferenceWorker:
        return InferenceWorker(
            session,
            self._scheduler,
            self._policy,
            self._publisher,
            self._listeners,
            self._faults,
            self._on_fatal,
            self._clock,
        )

    # Images.

    @property
    def fps(self) -> float:
        """Frames per second of image time that are read."""
        return self._sampler.fps

    def offer(self, image: Any, stamp: float, tag: Any = None, *, wait: bool = False) -> None:
        """Show an image. It is read if it is due and the model is not too slow.

        Args:
            image: uint8 RGB [H, W, 3], or whatever `load_image` takes.
            stamp: Seconds of image time, at least 0.
            tag: Any object, such as the image's header. It travels with the frame and its utterances.
            wait: Wait until there is room, and drop nothing: for footage that is read faster than it was filmed.

        Raises:
            StreamClosedError: `wait` is set and the stream was closed.
        """
        if not (math.isfinite(stamp) and stamp >= 0):
            self._refuse_image(f"An image stamped {stamp} s was refused: a stamp is a time in seconds, at least 0.")
            return
        self._scheduler.offer(image, stamp, tag, wait=wait)
        if self._scheduler.is_stalled != self._was_stalled:
            self._was_stalled = not self._was_stalled
            state = f"stand still at {stamp:.3f} s: no frame is read" if self._was_stalled else "move on again"
            sentence = f"The stamps of the images {state}."
            self._listeners.tell(lambda each: each.on_warning(sentence))

    def wait_until_idle(self, timeout: float | None = None) -> bool:
        """Wait until everything that was offered, asked and commanded has been dealt with.

        Returns:
            False if that took longer than `timeout` seconds, or the stream was closed.
        """
        return self._scheduler.wait_until_idle(timeout)

    # Queries.

    def ask(
        self, text: str, query_id: str = "", on_partial: Callable[[UtteranceUpdate], None] | None = None
    ) -> PendingQuery:
        """Ask about what has been seen. The returned query's `answer` is a future of the final update.

        Args:
            text: The query.
            query_id: Any name for it.
            on_partial: Follows the answer as it grows. Called from the inference thread.

        Raises:
            QueryError: The query is empty or too long, too many are waiting, or the stream has ended.
        """
        if self.fatal or self._worker.is_closing:
            raise QueryError(self.fatal or _CLOSED)
        query = self._admission.admit(text, query_id, on_partial)
        self._scheduler.submit(query)
        if self._worker.is_closing and self._scheduler.withdraw(query):  # it came too late for the thread to see it
            query.fail(self.fatal or _CLOSED)
        return query

    def cancel(self, query: PendingQuery, reason: str) -> None:
        """Take a query back, or stop its answer within one token. `reason` is what the asker is told."""
        if self._scheduler.withdraw(query):
            query.interrupted = reason
            query.fail(reason)
        else:
            self._worker.cancel(query, reason)

    # Commands.

    def apply(self, settings: AssistantSettings) -> None:
        """Take over the settings that are marked as dynamic. The others are ignored."""
        self._worker.apply(settings)

    def reset(self, reason: str) -> Future[None]:
        """Forget everything that was seen and said. The future is done when it is forgotten."""
        self._scheduler.end_stream()
        return self._worker.reset(reason)

    def pause(self, reason: str) -> Future[None]:
        """Drop the frames that wait, cut off the reply in progress, and fail the queries. The context is kept.

        The future is done when the last update has been published.
        """
        self._scheduler.drop_frames()
        return self._worker.pause(reason)

    def close(self, reason: str = _CLOSED) -> None:
        """End the threads after the step they are at. A reply in progress is cut off and published."""
        with self._ending:
            self._worker.close(reason)
            self._worker.join()
            self._scheduler.close()
            self._encoder.join()

    def __enter__(self) -> AssistantStream:
        """Return the stream."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the stream."""
        self.close()

    # How it is doing.

    def snapshot(self) -> StreamSnapshot:
        """Say how the stream is doing. The latencies are those since the last call."""
        scheduler, worker, context = self._scheduler, self._worker, self._worker.state
        threads = {"inference": worker.is_alive, "encoder": self._encoder.is_alive}
        if not all(threads.values()) and not self.fatal and not worker.is_closing:
            self._on_fatal(f"The {' and the '.join(n for n, alive in threads.items() if not alive)} thread has died.")
        last, oldest = scheduler.last_image_at, context.oldest_frame_stamp
        return StreamSnapshot(
            context=context,
            device=self._model.device,
            latency=worker.latency.take(),
            frames_due=scheduler.due,
            frames_used=worker.frames_used,
            frames_dropped=scheduler.dropped,
            frames_waiting=scheduler.waiting,
            images_refused=self._images_refused,
            lag=max(0.0, scheduler.newest - worker.newest_read),
            since_image=None if last is None else self._clock() - last,
            image_interval=self._sampler.interval,
            is_stalled=scheduler.is_stalled,
            video_held=0.0 if oldest is None else max(0.0, worker.newest_read - oldest),
            muted=self._policy.settings.muted,
            utterances=self._publisher.utterances,
            held_back={reason.name.lower(): self._publisher.held_back[reason] for reason in HoldReason},
            queries_waiting=self._admission.outstanding,
            queries_answered=self._admission.answered,
            queries_failed=self._admission.failed,
            queries_refused=self._admission.refused,
            faults=self._faults.total,
            recoveries=worker.recoveries,
            listener_failures=self._listeners.failures,
            last_listener_failure=self._listeners.last_failure,
            threads=threads,
            fatal=self.fatal,
        )

    # Called by the threads.

    def _is_replying(self) -> bool:
        return self._publisher.reply is not None

    def _on_image_refused(self, error: Exception) -> None:
        known = isinstance(error, ValueError)  # ImageError is one; its text is a sentence
        self._refuse_image(str(error) if known else f"An image was refused: {type(error).__name__}: {error}")

    def _refuse_image(self, sentence: str) -> None:
        self._images_refused += 1
        self._listeners.tell(lambda each: each.on_image_refused(sentence))

    def _on_encoder_failure(self, error: Exception) -> None:
        sentence = describe_failure("encoder", error)
        self._listeners.tell(lambda each: each.on_failure(sentence))
        if self._faults.record():
            self._on_fatal(f"The model does not recover: {self._faults.in_a_row} failures in a row. {sentence}")

    def _on_encoder_death(self, error: Exception) -> None:
        self._on_fatal(f"The encoder thread ended: {type(error).__name__}: {error}")

    def _on_fatal(self, sentence: str) -> None:
        """Take note that the stream cannot go on, once."""
        with self._failing:
            if self.fatal:
                return
            self.fatal = sentence
        self._worker.close(sentence)
        self._scheduler.close()
        self._listeners.tell(lambda each: each.on_fatal(sentence))
