# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ask a language model: one on an OpenAI-compatible server, or one of Hugging Face in this process."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import Any, Protocol

from openai import (
    APIError,
    AsyncOpenAI,
    AuthenticationError,
    NotFoundError,
    OpenAIError,
    PermissionDeniedError,
)
from pydantic import BaseModel

from videollm_ros.data.convert.request import RequestError
from videollm_ros.data.generation.answers import Messages, response_format

_MAX_NEW_TOKENS = 4096
_RETRIES = 4
"""Of one request after 429, 500 or a broken connection. The client library waits longer each time."""


class UnavailableError(RuntimeError):
    """The model could not be asked now. Another run may succeed."""


@dataclass(frozen=True)
class Answer:
    """What a model wrote, and how many tokens the prompt and the answer had."""

    text: str
    tokens: tuple[int, int]
    cut_off: bool = False
    """Whether it was cut off at the most tokens."""


class Chat(Protocol):
    """A language model."""

    async def ask(self, messages: Messages, kind: type[BaseModel]) -> Answer:
        """Return the answer to messages in the form of `kind`.

        Raises:
            UnavailableError: it cannot be asked now.
            RequestError: it can never be asked like this.
        """


class ServerChat:
    """A model on an OpenAI-compatible server. The key is read from OPENAI_API_KEY, and never written or logged.

    Args:
        model: its name on the server.
        url: base URL, such as http://localhost:8000/v1. None takes OPENAI_BASE_URL.
        timeout: seconds that one request may take.
        temperature: of the sampling.

    Raises:
        RequestError: there is no key. A local server that needs none takes any.
    """

    def __init__(self, model: str, url: str | None, timeout: float, temperature: float) -> None:
        """Open the client."""
        for name in ("httpx", "httpx2", "openai"):  # a URL may have a key in it
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            self._client = AsyncOpenAI(base_url=url, timeout=timeout, max_retries=_RETRIES)
        except OpenAIError as error:
            raise RequestError(f"Set OPENAI_API_KEY. A server that needs none takes any: {error}") from error
        self._model, self._temperature = model, temperature

    async def ask(self, messages: Messages, kind: type[BaseModel]) -> Answer:
        """Ask the server; see `Chat`."""
        try:
            create: Any = self._client.chat.completions.create  # its overloads know no plain dictionaries
            reply = await create(
                model=self._model,
                messages=messages,
                response_format=response_format(kind),
                temperature=self._temperature,
                max_completion_tokens=_MAX_NEW_TOKENS,
            )
            choice, usage = reply.choices[0], reply.usage
        except (AuthenticationError, PermissionDeniedError, NotFoundError) as error:
            raise RequestError(f"The server refuses the model {self._model}: {hide_key(str(error))}") from error
        except APIError as error:
            raise UnavailableError(hide_key(str(error))) from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # an answer that is no completion
            raise UnavailableError(f"The server's answer is no chat completion: {error!r:.100}") from error
        tokens = (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)
        return Answer(hide_key(choice.message.content or ""), tokens, choice.finish_reason == "length")


class LocalChat:
    """A causal language model of Hugging Face in this process. It answers one request at a time.

    Args:
        source: folder or hub id.
        temperature: of the sampling. 0 takes the likeliest token each time.
    """

    def __init__(self, source: str, temperature: float) -> None:
        """Load the model, on the GPU if there is one."""
        import torch

        from videollm_ros.live.parts import load_llm, load_tokenizer

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer: Any = load_tokenizer(source)
        model: Any = load_llm(source, torch.bfloat16 if device == "cuda" else torch.float32)
        self._model = model.to(device)
        self._temperature, self._lock = temperature, asyncio.Lock()

    async def ask(self, messages: Messages, kind: type[BaseModel]) -> Answer:
        """Ask the model in a thread; see `Chat`. The form is asked for in words only."""
        async with self._lock:
            return await asyncio.to_thread(self._generate, messages)

    def _generate(self, messages: Messages) -> Answer:
        tokenizer = self._tokenizer
        if tokenizer.chat_template:
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        else:
            text = "\n\n".join(message["content"] for message in messages) + "\n\nJSON:\n"
        given = tokenizer(text, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)
        given = given.to(self._model.device)
        length = given["input_ids"].shape[1]
        positions = self._model.config.get_text_config().max_position_embeddings
        if length >= positions:
            raise UnavailableError(f"The request has {length} tokens, and the model reads fewer than {positions}")
        sampling = {"do_sample": True, "temperature": self._temperature} if self._temperature else {"do_sample": False}
        most = min(_MAX_NEW_TOKENS, positions - length)
        written = self._model.generate(**given, max_new_tokens=most, **sampling)[0, length:]
        return Answer(tokenizer.decode(written, skip_special_tokens=True), (length, len(written)), len(written) == most)


def hide_key(text: str) -> str:
    """Return a text without the key, should a server repeat it."""
    key = os.environ.get("OPENAI_API_KEY", "")
    return text.replace(key, "[key]") if len(key) > 7 else text
