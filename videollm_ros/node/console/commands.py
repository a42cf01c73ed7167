# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a page may do: choose an assistant, ask, stop the answer, mute, reset and set the threshold. No more."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from videollm_ros.node.client import AssistantClient, AssistantError, Conversation
from videollm_ros.node.console.hub import MAX_VIEWERS, Hub, Viewer, encode

THRESHOLD = "stream.threshold"

# Calls wait for the assistant, so each viewer has two threads: one for a question and one for the rest.
_CALLS = ThreadPoolExecutor(2 * MAX_VIEWERS, thread_name_prefix="call")


class CommandError(ValueError):
    """Report a command that cannot be carried out, as a sentence."""


class Commands:
    """Carries out the commands of one viewer, one after another. A question does not keep the others waiting."""

    def __init__(self, hub: Hub, viewer: Viewer) -> None:
        self._hub, self._viewer = hub, viewer
        self._question: asyncio.Future[None] | None = None
        self._conversation: Conversation | None = None

    def close(self) -> None:
        """Stop the answer that is being given to this viewer."""
        if self._conversation is not None:
            self._conversation.close()

    async def do(self, command: dict[str, Any]) -> None:
        """Carry out a command and tell the viewer what became of it."""
        what = command.get("do")
        steps: dict[str, Callable[[dict[str, Any]], Any]] = {
            "choose": self._choose,
            "ask": self._ask,
            "stop": self._stop,
            "mute": self._mute,
            "reset": self._reset,
            "threshold": self._threshold,
        }
        try:
            if not isinstance(what, str) or what not in steps:
                raise CommandError(f"There is no such command. There are {', '.join(steps)}.")
            await steps[what](command)
        except (CommandError, AssistantError) as error:
            self._tell(what, str(error))
        else:
            if what != "ask":
                self._tell(what)

    def _tell(self, what: Any, problem: str = "") -> None:
        do = what if isinstance(what, str) and len(what) < 20 else ""
        self._viewer.tell(encode({"type": "result", "do": do, "ok": not problem, "message": problem}))

    def _client(self) -> AssistantClient:
        name = self._viewer.assistant
        client = self._hub.node.client(name) if name is not None else None
        if client is None or name not in self._hub.present:
            raise CommandError(f"The assistant {name} is not here." if name else "There is no assistant.")
        return client

    async def _call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(_CALLS, call, *arguments)

    async def _choose(self, command: dict[str, Any]) -> None:
        name = command.get("assistant")
        if not isinstance(name, str) or not self._hub.choose(self._viewer, name):
            raise CommandError("There is no such assistant.")

    async def _threshold(self, command: dict[str, Any]) -> None:
        value = command.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise CommandError("A threshold is a number from 0 to 1.")
        client = self._client()
        await self._call(client.set_parameter, THRESHOLD, float(value))
        held = await self._call(client.get_parameter, THRESHOLD)
        self._hub.node.sink(client.name, {"type": "threshold", "value": held})

    async def _mute(self, command: dict[str, Any]) -> None:
        value = command.get("value")
        if not isinstance(value, bool):
            raise CommandError("To mute takes true or false.")
        await self._call(self._client().mute, value)

    async def _reset(self, command: dict[str, Any]) -> None:
        await self._call(self._client().reset)

    async def _stop(self, command: dict[str, Any]) -> None:
        self.close()

    async def _ask(self, command: dict[str, Any]) -> None:
        text = command.get("text")
        if not isinstance(text, str):
            raise CommandError("A question is a text.")
        if self._question is not None and not self._question.done():
            raise CommandError("Your last question is still being answered.")
        client = self._client()
        self._question = asyncio.ensure_future(self._answer(client, text))

    async def _answer(self, client: AssistantClient, text: str) -> None:
        """Follow the answer to its end. The pages see it grow on ~/utterance_partial."""

        def follow() -> None:
            with client.converse(text, query_id=f"console-{secrets.token_hex(4)}") as self._conversation:
                for _ in self._conversation:
                    pass

        try:
            await self._call(follow)
        except AssistantError as error:
            self._tell("ask", str(error))
        else:
            self._tell("ask")
        finally:
            self._conversation = None
