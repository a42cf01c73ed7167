# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the model's replies to what listeners and askers get: numbered, and held back where the policy says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from videollm_ros.assistant.frames import Frame
from videollm_ros.assistant.listeners import Listeners
from videollm_ros.assistant.queries import PendingQuery
from videollm_ros.assistant.speech_policy import SpeechPolicy
from videollm_ros.assistant.updates import HoldReason, UtteranceUpdate
from videollm_ros.live import FrameDecision, PartialReply, Utterance


@dataclass
class Reply:
    """A reply from the decision to give it to its last token. One of which nothing is published has no id."""

    query: PendingQuery | None
    stamp: float
    tag: Any
    speak_probability: float
    id: int = 0
    sequence: int = 0
    text: str = ""
    muted: bool = False
    """Muted meanwhile: nothing more of it is published, except to close it."""

    @property
    def has_begun(self) -> bool:
        """Whether any of it has been published."""
        return self.sequence > 0

    def update(self, text: str, *, final: bool, truncated: bool = False) -> UtteranceUpdate:
        """Make the next update of this reply."""
        update = UtteranceUpdate(
            self.id, self.sequence, final, text, self.stamp, self.tag, self.speak_probability, self.query, truncated
        )
        self.sequence += 1
        self.text = text
        return update


class UtterancePublisher:
    """Tells listeners and askers what one stream says. Belongs to the inference thread."""

    def __init__(self, policy: SpeechPolicy, listeners: Listeners) -> None:
        """Begin with utterance 1."""
        self._policy, self._listeners = policy, listeners
        self._tag: Any = None  # of the newest image read
        self._speak_probability = 0.0  # at that image
        self.reply: Reply | None = None
        """The reply that is being decoded."""
        self.utterances = 0
        """Utterances that were said aloud so far, those of which only a part was said included."""
        self.held_back: Counter[HoldReason] = Counter()
        """Utterances that were not said aloud."""

    def on_frame(self, frame: Frame, decision: FrameDecision) -> None:
        """Take note of a frame. What is said from now on carries its tag."""
        self._tag, self._speak_probability = frame.tag, decision.speak_probability
        kept_silent = decision.wants_to_speak and not decision.speaks
        reason = self._policy.note_frame(frame.stamp, decision.speak_probability, kept_silent=kept_silent)
        if decision.speaks:
            self._begin(None, frame.stamp)
        elif reason is not None:
            self._hold_back(reason, self._make_reply(None, frame.stamp), "")

    def on_partial(self, event: PartialReply) -> None:
        """Take a reply that has one more token. Its text is decoded only if somebody wants to read it."""
        reply = self.reply or self._begin(event.request, event.stamp)
        follow = reply.query.on_partial if reply.query else None
        listened = self._listeners.any(lambda each: each.wants_partials())
        if reply.muted or not (listened or follow):
            return
        text = event.text
        if reply.query is None and self._policy.may_become_repeat(text, reply.stamp, reply.speak_probability):
            return
        update = self._update(reply, text, final=False)
        if listened:
            self._listeners.tell(lambda each: each.on_partial(update))
        if follow is not None:
            self._listeners.guard(lambda: follow(update), "The asker of a query")

    def on_utterance(self, event: Utterance) -> None:
        """Take a complete reply: say it aloud or hold it back, and answer its query."""
        reply = self.reply or self._begin(event.request, event.stamp)
        self.reply = None
        if reply.query is None and not reply.has_begun and (reason := self._hold_reason(reply, event.text)):
            self._hold_back(reason, reply, event.text)
            return
        proactive = reply.query is None
        self._policy.record(event.text, reply.stamp, reply.speak_probability, proactive=proactive)
        self._say(reply, event.text, truncated=event.truncated)

    def mute_reply(self) -> bool:
        """Publish nothing more of the reply in progress if it is proactive. Returns whether it is."""
        if self.reply is None or self.reply.query is not None:
            return False
        self.reply.muted = True
        return True

    def forget(self) -> None:
        """End the stream: close the reply in progress for those who follow it."""
        reply, self.reply = self.reply, None
        self._tag, self._speak_probability = None, 0.0
        self._policy.forget()
        if reply is not None and reply.has_begun:
            self._say(reply, reply.text, truncated=True, answer=False)

    def _hold_reason(self, reply: Reply, text: str) -> HoldReason | None:
        if reply.muted:
            return HoldReason.MUTED
        if not text:
            return HoldReason.EMPTY
        if self._policy.is_repeat(text, reply.stamp, reply.speak_probability):
            return HoldReason.REPEAT
        return None

    def _hold_back(self, reason: HoldReason, reply: Reply, text: str) -> None:
        if reason is HoldReason.REPEAT:
            self._policy.record_repeat(text, reply.stamp, reply.speak_probability)
        self.held_back[reason] += 1
        update = reply.update(text, final=True)
        update.held_back = reason
        self._listeners.tell(lambda each: each.on_held_back(update))

    def _say(self, reply: Reply, text: str, *, truncated: bool, answer: bool = True) -> None:
        update = self._update(reply, text, final=True, truncated=truncated)
        self._listeners.tell(lambda each: each.on_utterance(update))
        if answer and reply.query is not None:
            reply.query.resolve(update)

    def _begin(self, query: PendingQuery | None, stamp: float) -> Reply:
        self.reply = self._make_reply(query, stamp)
        return self.reply

    def _make_reply(self, query: PendingQuery | None, stamp: float) -> Reply:
        return Reply(query, stamp, self._tag, self._speak_probability)

    def _update(self, reply: Reply, text: str, *, final: bool, truncated: bool = False) -> UtteranceUpdate:
        if not reply.has_begun:
            self.utterances += 1
            reply.id = self.utterances
        return reply.update(text, final=final, truncated=truncated)
