# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the model's replies to what is published: numbered, and held back where manners ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from videollm_ros.assistant.queries import Query
from videollm_ros.assistant.scheduler import Frame
from videollm_ros.assistant.speech import Speech
from videollm_ros.assistant.speech_policy import Manners
from videollm_ros.live import FrameDecision, PartialReply, Utterance


class Outputs(Protocol):
    """What becomes of the stream's events. Called from the inference thread, the last two from the encoder's too."""

    def frame_read(self, frame: Frame, decision: FrameDecision) -> None: ...

    def wants_partial(self) -> bool: ...

    def partial(self, speech: Speech) -> None: ...

    def utterance(self, speech: Speech) -> None: ...

    def stream_began(self, reason: str) -> None: ...

    def failed(self, sentence: str) -> None: ...

    def image_refused(self, sentence: str) -> None: ...


@dataclass
class Reply:
    """From the first token to the last. A reply that publishes nothing has no id."""

    query: Query | None  # None: unasked
    header: Any  # std_msgs/Header of the newest image read when it began; None before any
    speak_probability: float  # at that image
    stamp: float  # seconds of stream time at which it began
    id: int = 0
    silenced: bool = False  # muted or paused meanwhile: nothing more of it is published, except to close it
    _sequence: int = 0
    _text: str = ""

    @property
    def begun(self) -> bool:
        """Whether any of it has been published."""
        return self._sequence > 0

    @property
    def is_followed(self) -> bool:
        """Whether the asker wants to see the answer grow."""
        return self.query is not None and self.query.on_partial is not None

    def say(self, text: str, *, final: bool, truncated: bool = False) -> Speech:
        """The next message of this reply."""
        speech = Speech(
            id=self.id,
            sequence=self._sequence,
            final=final,
            text=text,
            header=self.header,
            speak_probability=self.speak_probability,
            query=self.query.text if self.query else None,
            query_id=self.query.query_id if self.query else "",
            truncated=truncated,
        )
        self._sequence += 1
        self._text = text
        return speech

    def break_off(self) -> Speech:
        """The last message of a reply that will not be completed."""
        return self.say(self._text, final=True, truncated=True)


class Speaker:
    """Publishes the replies of one stream. Belongs to the inference thread."""

    def __init__(self, manners: Manners, outputs: Outputs):
        self._manners, self._outputs = manners, outputs
        self._header: Any = None  # of the newest image read
        self._speak_probability = 0.0  # at that image
        self._utterances = 0
        self.reply: Reply | None = None  # being decoded
        self.held_back = 0  # unasked utterances that were not published

    def saw(self, header: Any, speak_probability: float) -> None:
        """This image has been read; what is said from now on carries its header."""
        self._header, self._speak_probability = header, speak_probability

    def grew(self, event: PartialReply, query: Query | None) -> None:
        """The reply has one more token. Its text is decoded only where somebody wants to read it."""
        reply = self._reply_to(event, query)
        listener = self._outputs.wants_partial()
        if reply.silenced or not (listener or reply.is_followed):
            return
        text = event.text
        if query is None and self._manners.may_become_repeat(text, reply.stamp):
            return
        speech = self._say(reply, text, final=False)
        if listener:
            self._outputs.partial(speech)
        if reply.is_followed:
            query.on_partial(speech)

    def finished(self, event: Utterance, query: Query | None) -> Speech | None:
        """The reply is complete. Returns what was published of it, None when it was held back."""
        reply, self.reply = self._reply_to(event, query), None
        unwanted = reply.silenced or not event.text or self._manners.is_repeat(event.text, reply.stamp)
        if query is None and unwanted and not reply.begun:
            self.held_back += 1
            return None
        self._manners.said(event.text, reply.stamp, asked=query is not None)
        speech = self._say(reply, event.text, final=True, truncated=event.truncated)
        self._outputs.utterance(speech)
        return speech

    def forget(self) -> None:
        """The stream is over: close the reply in progress for whoever follows it."""
        if self.reply is not None and self.reply.begun:
            self._outputs.utterance(self.reply.break_off())
        self.reply, self._header, self._speak_probability = None, None, 0.0
        self._manners.forget()

    def _reply_to(self, event: PartialReply | Utterance, query: Query | None) -> Reply:
        if self.reply is None:
            muted = query is None and self._manners.rules.muted  # since the decision to speak
            self.reply = Reply(query, self._header, self._speak_probability, event.stamp, silenced=muted)
        return self.reply

    def _say(self, reply: Reply, text: str, *, final: bool, truncated: bool = False) -> Speech:
        if not reply.begun:
            self._utterances += 1
            reply.id = self._utterances
        return reply.say(text, final=final, truncated=truncated)
