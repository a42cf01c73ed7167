# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follow utterances while they grow, on two topics at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from videollm_ros.msg import AssistantUtterance

UtteranceCallback = Callable[[AssistantUtterance], None]


def each_once(callback: UtteranceCallback) -> UtteranceCallback:
    """Wrap `callback` for both topics at once: the complete utterance is on both, and they are not in step."""
    finished: deque[tuple[int | str, ...]] = deque(maxlen=50)
    lock = threading.Lock()

    def heard(message: AssistantUtterance) -> None:
        stamp = message.header.stamp
        key = (message.id, stamp.sec, stamp.nanosec, message.query_id)
        with lock:
            if message.sequence > 0 or not message.final:  # otherwise it never grew, and is on one topic only
                if key in finished:
                    return
                if message.final:
                    finished.append(key)
        callback(message)

    return heard
