# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Annotation files of every source that are damaged: dialogues come of them, or none and a sentence in the log."""

import json
import logging
import tempfile
from pathlib import Path

from hypothesis import strategies as st

from fuzzing import Refused
from fuzzing.damage import VALUES, damaged
from fuzzing.dialogues import LINES
from videollm_ros.data.convert.request import Request, RequestError
from videollm_ros.data.convert.sources import dialogues, source_names
from videollm_ros.data.convert.writer import write_lines

logging.disable()  # the sentences that are asked for

_notes = st.fixed_dictionaries(
    {"recording": st.just("a") | VALUES, "start": st.floats(0, 6) | VALUES, "text": st.text(max_size=9) | VALUES},
    optional={"end": st.floats(0, 6) | VALUES, "role": st.sampled_from(["user", "assistant"]) | VALUES},
)
_sound_notes = st.fixed_dictionaries({"recording": st.just("a"), "start": st.floats(0, 4), "text": st.just("A cup.")})
FILES = ("all_narrations_redacted.json", "fho_lta_train.json", "n.json", "n.jsonl", "n.vtt", "n.csv")
TEXTS = (LINES | _notes | _sound_notes | VALUES).map(json.dumps) | st.text(max_size=200)
cases = st.tuples(st.sampled_from(["timed", "timed", *source_names()]), damaged(TEXTS))


def run(case: tuple[str, bytes]) -> int:
    """Convert a file. Returns 0: what is read of it takes next to nothing."""
    source, data = case
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "durations.json").write_text('{"a": 5.0}')
        (folder / "fho_lta_taxonomy.json").write_text('{"verbs": ["take"], "nouns": ["cup"]}')
        (folder / "narration_stream_video_uids_train.json").write_text('["a"]')
        for file in FILES:
            (folder / file).write_bytes(data)
        several = source in ("ego4d-narration", "ego4d-lta", "timed")
        request = Request(source, [str(folder if several else folder / "n.json")], split="train")
        request.store.add_durations(folder / "durations.json", request.tally)
        try:
            count = write_lines(dialogues(request), folder / "out", request.tally).dialogues
        except RequestError as error:  # a file that this source needs is not there
            raise Refused(str(error).replace("\n", " ")) from error
    if not count:
        raise Refused("No dialogue came of it. The log has the reason.")
    return 0
