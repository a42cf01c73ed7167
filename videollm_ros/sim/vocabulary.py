# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that is ever said in a simulated stream: the text from which a small tokenizer is made."""

import re
from itertools import permutations

from videollm_ros.sim import answers
from videollm_ros.sim.sentences import REQUESTS, STYLES, event_text
from videollm_ros.sim.world import COLOURS, KINDS, SHAPES, Item


def sentences() -> list[str]:
    """Every request, question, event sentence and answer, each once; of lists of items those of up to two."""
    items = [Item(colour, shape) for colour in COLOURS for shape in SHAPES]
    said = [request for requests in REQUESTS.values() for request in requests]
    said += [event_text(kind, item, style) for kind in KINDS for item in items for style in (*STYLES, "past")]
    said += ["What is on the table?", "What is the gripper holding?", "What did the gripper do last?"]
    said += ["What happened last?", "How many objects are on the table?"]
    said += [f"How many {colour} objects are there?" for colour in COLOURS]
    said += [f"What colour is the {shape}?" for shape in SHAPES]
    said += [f"{question} {item}?" for item in items for question in ("Is there a", "Where is the")]
    lists = [(), *((item,) for item in items), *permutations(items, 2)]
    for full in (False, True):
        said += [answers.answer_table(several, full) for several in lists]
        said += [answers.answer_holding(item, full) for item in (None, *items)]
        said += [answers.answer_last(None, full)]
        said += [answers.answer_count(n, colour, full) for n in range(4) for colour in (None, *COLOURS)]
        said += [answers.answer_check(item, seen, full) for item in items for seen in (True, False)]
        said += [answers.answer_colour(item, full) for item in items]
        said += [answers.answer_where(place, full) for place in answers.WHERE]
    return list(dict.fromkeys(said))


def vocabulary() -> list[str]:
    """Every word and punctuation mark of `sentences()`, sorted."""
    return sorted({word for sentence in sentences() for word in re.findall(r"\w+|[^\w\s]", sentence)})
