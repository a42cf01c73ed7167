# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A session computed the slow way: one whole forward per decision and word, no cache, the text between turns as text.

Written from the docstrings of the session, the template and the eviction policy; shares no code with them.
"""

import math
from dataclasses import dataclass, field

import torch

from videollm_ros.live import NonFiniteError

CLOSE = 1e-3
"""Two values nearer than this may be ordered otherwise by another sum of the same numbers."""


class TooClose(Exception):
    """What comes next hangs on rounding."""


@dataclass(eq=False)
class Part:
    """Tokens that stay or go as a whole."""

    kind: str
    stamp: float
    embeds: list = field(default_factory=list)


class Oracle:
    """What the docstrings of the session and of the eviction promise, computed the slow way."""

    def __init__(self, model, threshold, form, limit, limits):
        self.model, self.tokenizer, self.limits = model, model.tokenizer, limits
        self.threshold, self.form, self.limit = threshold, form, limit
        self.instruction, self.queue = None, []
        self.frame_tokens = model.config.frame_num_tokens
        self.begin()

    def begin(self):
        self.parts, self.pending, self.turn, self.stamp = [], [], "system", None
        self.to_read = self.instruction
        self.reply = None

    # The context.

    def tokens(self):
        return sum(len(part.embeds) for part in self.parts)

    def embed_ids(self, ids):
        return list(self.model.embed_ids(torch.tensor(ids, dtype=torch.long)))

    def fitted(self, pieces):
        """Texts [(text, part)] as embeddings [(embedding, part)], tokenized as one."""
        text = "".join(piece for piece, _ in pieces)
        owners = [part for piece, part in pieces for _ in piece]
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        owned = [owners[start] for start, _ in encoded["offset_mapping"]]
        return list(zip(self.embed_ids(encoded["input_ids"]), owned, strict=True)) if text else []

    def read(self, read, new):
        """Take embeddings into the parts that own them; the probabilities of what follows."""
        self.parts += new
        for embeds, part in read:
            part.embeds.append(embeds)
        embeds = torch.stack([one for part in self.parts for one in part.embeds])
        logits = self.model.llm(inputs_embeds=embeds[None], use_cache=False).logits[0, -1].float()
        if not torch.isfinite(logits).all():
            raise NonFiniteError
        return logits

    def opening(self, part, instruct):
        """What stands between the newest turn and a part: embeddings, and texts, both with their owners; new parts."""
        before, pieces, new, turn = self.embed_ids([]), [], [], self.turn
        instruct = instruct and self.to_read is not None
        if turn == "system":
            new.append(Part("system", -math.inf))
            before = self.embed_ids([self.tokenizer.bos_token_id])
            pieces.append((self.model.config.system_prompt + "\n\n", new[0]))
        elif turn == "assistant":
            before = self.pending + self.embed_ids([self.tokenizer.eos_token_id])
        self.pending = []
        # What closes a turn belongs to it, unless a reply follows a reply.
        owner = new[0] if new else part if part.kind == "text" and not instruct else self.parts[-1]
        before = [(one, owner) for one in before]
        newline = {"system": "", "stream": "]\n"}.get(turn, "\n")
        if instruct:
            owner = Part("instruction", part.stamp)
            new.append(owner)
            pieces.append((newline + "User: " + self.to_read, owner))
            turn, newline, self.to_read = "user", "\n", None
        if part.kind == "frame":
            pieces.append((self.model.config.frame_token_interval if turn == "stream" else newline + "[", owner))
        return before, pieces, new, newline

    def make_room(self, needed, now):
        size = self.limits.max_tokens
        if self.tokens() + needed <= size:
            return
        if self.model.llm.config.num_hidden_layers > 1:
            raise TooClose  # a key of a deeper layer depends on tokens that are gone
        frames, texts = ([p for p in self.parts[:-1] if p.kind == kind] for kind in ("frame", "text"))
        gone = [part for part in frames if part.stamp < now - self.limits.vision_seconds]
        most = size // 4 if self.limits.text_tokens is None else self.limits.text_tokens
        gone += [p for i, p in enumerate(texts) if sum(len(q.embeds) for q in texts[i:]) > most]
        for candidates, block in ((frames, max(needed, size // 8)), (texts, needed)):
            for part in candidates:
                if self.tokens() - sum(len(p.embeds) for p in gone) > size - block and part not in gone:
                    gone.append(part)
        self.parts = [part for part in self.parts if not any(part is other for other in gone)]

    # What happens.

    def observe(self, frames, stamps):
        for frame, stamp in zip(frames, stamps, strict=True):
            while self.queue and self.queue[0][0] < stamp:
                yield from self.answer_next()
            p_silence, best = self.frame(frame, stamp)
            self.stamp = stamp
            asked = bool(self.queue) and self.queue[0][0] <= stamp
            if abs(p_silence - self.threshold) < CLOSE:
                raise TooClose
            silent = p_silence > self.threshold and (best or self.form == "plain")
            speaks = not asked and not silent
            mine = self.reply = {"stopped": False}
            yield "decision", stamp, 1 - p_silence, speaks
            if self.reply is not mine:
                continue
            if speaks:
                yield from self.decode(None, 1 - p_silence, mine)
            elif asked and self.queue and self.queue[0][0] <= stamp:
                yield from self.answer_next(mine)
                yield from self.answer(stamp)

    def answer(self, stamp):
        while self.queue and self.queue[0][0] <= stamp:
            yield from self.answer_next()

    def answer_next(self, mine=None):
        yield from self.decode(self.queue.pop(0), 1.0, mine or {"stopped": False})

    def frame(self, frame, stamp):
        part = Part("frame", stamp)
        before, pieces, new, _ = self.opening(part, instruct=True)
        read = before + self.fitted(pieces)
        self.make_room(len(read) + len(frame), stamp)
        logits = self.read([*read, *((one, part) for one in frame)], [*new, part])
        self.turn = "stream"
        top = logits.topk(2)
        silence = self.model.template.silence_token_id
        if silence in top.indices and top.values[0] - top.values[1] < CLOSE:
            raise TooClose
        return float(logits.softmax(-1)[silence]), int(top.indices[0]) == silence

    def decode(self, query, p_speak, mine):
        self.reply = mine
        _, text, name = query or (None, None, "")
        stamp = query[0] if self.stamp is None else self.stamp
        said, truncated = [], mine["stopped"]
        if not truncated:
            part = Part("text", stamp)
            before, pieces, new, newline = self.opening(part, instruct=query is not None)
            asked = newline + "User: " + text + "\n" if text else "]\n"
            read = before + self.fitted([*pieces, (asked + "Assistant:", part)])
            limit = max(1, min(self.limit, self.longest() - sum(owner is part for _, owner in read)))
            self.make_room(len(read) + limit + 4, stamp)
            logits, self.turn = self.read(read, [*new, part]), "assistant"
            while not truncated:
                top = logits.topk(2)
                if top.values[0] - top.values[1] < CLOSE:
                    raise TooClose
                token = int(top.indices[0])
                if token == self.tokenizer.eos_token_id:
                    break
                said.append(token)
                self.pending = self.embed_ids([token])
                yield "partial", stamp, text, name, tuple(said)
                truncated = mine["stopped"] or self.reply is not mine or len(said) >= limit
                if not truncated:
                    logits = self.read([(self.pending.pop(), part)], [])
        if self.reply is mine:
            self.reply = None
        yield "utterance", stamp, text, name, tuple(said), truncated, p_speak

    def longest(self):
        fixed = self.model.template.num_system_tokens + self.frame_tokens + 4
        if self.instruction is not None:
            text = "\nUser: " + self.instruction + "\n["
            fixed += 1 + len(self.fitted([(text, None)]))
        return (self.limits.max_tokens - fixed) // 2 - 4
