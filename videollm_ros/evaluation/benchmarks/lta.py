# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run `lta`: Ego4D's long-term anticipation, the twenty actions to come (edit distance over five predictions)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from videollm_ros.data.convert.ego4d_lta import NUM_ANTICIPATED, taxonomy
from videollm_ros.evaluation.benchmarks.benchmark import Item, ItemParts, Record, Scored
from videollm_ros.evaluation.benchmarks.converted import ConvertedBenchmark
from videollm_ros.evaluation.benchmarks.figures import ratios
from videollm_ros.evaluation.benchmarks.footage import Footage
from videollm_ros.evaluation.benchmarks.teacher_forced import EGO4D_NOTE
from videollm_ros.live import LiveModel

_NUMBERED = re.compile(r"\d+\.\s*(.*)")

Labels = tuple[int, int]
"""Numbers of a verb and of a noun in the taxonomy."""


class Actions:
    """The actions that can be said with a taxonomy: every verb with every noun."""

    def __init__(self, verbs: Sequence[str], nouns: Sequence[str]) -> None:
        """Take the words, in the order of their numbers."""
        names = [(f"{verb} {noun}", (v, n)) for v, verb in enumerate(verbs) for n, noun in enumerate(nouns)]
        self._labels: dict[str, Labels] = dict(names)
        self._names = sorted(self._labels)
        counted = Counter(name for name, _ in names)
        self._default = self._labels[max(counted, key=counted.__getitem__)]
        self.nearest = cache(self._nearest)

    def _nearest(self, text: str) -> Labels:
        """Return the action that a text means: of those with the fewest edits, the first in the alphabet."""
        if text in self._labels:
            return self._labels[text]
        return self._labels[process.extractOne(text, self._names, scorer=Levenshtein.distance, processor=None)[0]]

    def parse(self, reply: str, count: int = NUM_ANTICIPATED) -> list[Labels]:
        """Read a numbered list of actions. A list that is too short repeats its last action."""
        found = [_NUMBERED.search(line) for line in reply.strip(" \n").split("\n")]
        read = [self.nearest(match[1].lower().rstrip(".")) for match in found if match][:count]
        return read + [read[-1] if read else self._default] * (count - len(read))


def edit_distances(predicted: Sequence[Sequence[Any]], wanted: Sequence[Any]) -> list[float]:
    """Return the distance of the best prediction for each length z = 1, 2, ... of the sequence, divided by z.

    Edits are insertions, deletions and replacements. A transposition is two of them, as in the public code, which
    differs in that from the Damerau-Levenshtein distance that Ego4D's paper names.
    """
    return [
        min(Levenshtein.distance(list(each[:z]), list(wanted[:z])) for each in predicted) / z
        for z in range(1, len(wanted) + 1)
    ]


def score_lists(predicted: Sequence[Sequence[Labels]], wanted: Sequence[Labels]) -> ItemParts:
    """Count one item: ED@20 and AUED of verb, noun and action. Lower is better."""
    parts = {}
    compared: dict[str, tuple[Sequence[Sequence[Any]], Sequence[Any]]] = {
        "verb": ([[verb for verb, _ in each] for each in predicted], [verb for verb, _ in wanted]),
        "noun": ([[noun for _, noun in each] for each in predicted], [noun for _, noun in wanted]),
        "action": (predicted, wanted),
    }
    for name, (lists, right) in compared.items():
        distances = edit_distances(lists, right)
        area = sum((one + other) / 2 for one, other in pairwise(distances))
        parts[f"{name}_ed{len(wanted)}"] = (distances[-1], 1.0)
        parts[f"{name}_aued"] = (area / (len(distances) - 1), 1.0)
    return parts


class LtaBenchmark(ConvertedBenchmark):
    """Anticipate actions in the clips of Ego4D.

    Args:
        annotations: folder with fho_lta_SPLIT.json and fho_lta_taxonomy.json.
        footage: the frames.
        split: train, val or test. The public test split has no answers: it gives the submission alone.
        fps: frames per second.
        window: the model sees the last so many frames alone. 0: all.
    """

    name = "lta"
    num_beams = 5

    def __init__(self, annotations: Path, footage: Footage, split: str, fps: float, window: int = 0) -> None:
        super().__init__(annotations, footage, fps, window)
        self._split = split
        self._actions = Actions(*taxonomy(self.request("ego4d-lta", split)))

    def items(self) -> list[Item]:
        """Return the runs of actions, named as in a submission."""
        lines = self.lines("ego4d-lta", self._split)
        items = [Item(f"{line['clip_uid']}_{line['last_visible_action_idx']}", line["video"], line) for line in lines]
        return items + self.missing_items()

    def score(self, model: LiveModel, items: Sequence[Item], records: Sequence[Record]) -> Scored:
        """Compare with what came, and make the file that Ego4D's server takes."""
        predicted = [[self._actions.parse(reply) for reply in record.values["replies"]] for record in records]
        submission = {
            item.id: {
                "verb": [[v for v, _ in each] for each in lists],
                "noun": [[n for _, n in each] for each in lists],
            }
            for item, lists in zip(items, predicted, strict=True)
        }
        wanted = [_wanted(item) for item in items]
        parts = [score_lists(lists, right) if right else {} for lists, right in zip(predicted, wanted, strict=True)]
        common = Counter(action for right in wanted for action in right).most_common(1)
        trivial = [[common[0][0]] * NUM_ANTICIPATED] if common else []
        frequent = ratios([score_lists(trivial, right) if right else {} for right in wanted])
        silent = ratios([score_lists([self._actions.parse("")], right) if right else {} for right in wanted])
        baselines = {"the most frequent action": frequent, "silence": silent}
        return Scored(parts, baselines, files={"submission.json": submission}, notes=[EGO4D_NOTE])


def _wanted(item: Item) -> list[Labels]:
    verbs, nouns = item.content.get("verb_labels", []), item.content.get("noun_labels", [])
    return list(zip(verbs, nouns, strict=True))
