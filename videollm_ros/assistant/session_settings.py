# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From settings to a session: the one place that knows which setting is which argument of the library."""

from __future__ import annotations

from typing import cast

from videollm_ros.assistant.settings import AssistantSettings, ContextSettings, StreamSettings
from videollm_ros.live import ContextLimits, LiveModel, SpeakRule, StreamSession
from videollm_ros.live.speak_rule import Form


def make_session(model: LiveModel, settings: AssistantSettings) -> StreamSession:
    """Make the session that these settings describe.

    Raises:
        ValueError: A setting is out of its range, or the context is too small.
    """
    stream = settings.stream
    session = StreamSession(
        model,
        rule=_rule(stream),
        max_new_tokens=stream.max_new_tokens,
        context=context_limits(settings.context),
        frame_gate=stream.frame_gate or None,
    )
    session.instruct(stream.instruction or None)
    return session


def context_limits(context: ContextSettings) -> ContextLimits:
    """Return how much of the stream is remembered; 0 leaves a limit to the library."""
    return ContextLimits(context.max_tokens or None, context.vision_seconds, context.text_tokens or None)


def apply_settings(session: StreamSession, stream: StreamSettings) -> list[str]:
    """Take over the settings that may change while the stream runs. Returns sentences about those that cannot be."""
    problems = []
    try:
        session.rule = _rule(stream)
    except ValueError as error:
        problems.append(f"stream.threshold and stream.rule stay as they are: {error}.")
    try:
        session.max_new_tokens = stream.max_new_tokens
    except ValueError as error:
        problems.append(f"stream.max_new_tokens stays {session.max_new_tokens}: {error}.")
    try:
        session.instruct(stream.instruction or None)
    except ValueError as error:
        problems.append(f"stream.instruction stays as it is: {error}.")
    return problems


def _rule(stream: StreamSettings) -> SpeakRule:
    return SpeakRule(stream.threshold, cast(Form, stream.rule))
