# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at the console over its WebSocket, as its page does, and counts what arrives."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect


class Viewer(threading.Thread):
    """Looks at the console as a page does, and connects again when the connection has gone."""

    def __init__(self, address: str, token: str, assistant: str) -> None:
        """Look at one assistant, by its full name, from `start` on."""
        super().__init__(daemon=True)
        self._address, self._assistant = address, assistant
        self._headers = {"Authorization": f"Bearer {token}"}
        self.finals: Counter[str] = Counter()  # key of an utterance -> how often its end came
        self.texts: dict[str, str] = {}
        self.connections = 0
        self.images = 0
        self.ended = False

    def run(self) -> None:
        """Look until the end."""
        while not self.ended:
            try:
                with connect(self._address, additional_headers=self._headers, max_size=None) as socket_:
                    self.connections += 1
                    for message in socket_:
                        if self._take(message):
                            socket_.send(json.dumps({"do": "choose", "assistant": self._assistant}))
            except (OSError, WebSocketException):
                pass  # the console is not there
            time.sleep(0.5)

    def _take(self, message: str | bytes) -> bool:
        """Take a message. Returns whether the list of assistants in it has ours, which is to be chosen then."""
        if isinstance(message, bytes):
            self.images += 1
            return False
        found = False
        for event in json.loads(message):
            if event["type"] == "assistants":
                found = any(each["name"] == self._assistant and each["present"] for each in event["names"])
            if event["type"] == "utterance" and event["final"] and not event["held_back"]:
                self.finals[event["key"]] += 1
                self.texts[event["key"]] = event["text"]
        return found
