# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The converters give what the public implementation makes of the same files, message by message, frame by frame."""

import json
from pathlib import Path

import pytest

from videollm_ros.data.convert.ego4d_narration import INSTRUCTION, REFINED_INSTRUCTIONS, clean_text
from videollm_ros.data.convert.grid import FrameGrid
from videollm_ros.data.dialogues import read_dialogues

GOLDENS = Path(__file__).parents[1] / "goldens" / "datasets"
EXPECTED = json.loads((GOLDENS / "expected.json").read_text())
TASKS = {f"coin-{task.replace('_', '-')}": each["samples"] for task, each in EXPECTED["coin"].items()}
STREAMS = {
    "ego4d-narration": EXPECTED["narration"],
    "ego4d-goalstep-livechat": [s for s in EXPECTED["livechat"] if s["frames"][0][1] < s["frames"][0][2]],
    "ego4d-nlq": EXPECTED["nlq"],
}


def found(lines):
    return [(line["conversation"], [[line["video"], *line["frames"]]]) for line in lines]


def wanted(samples):
    return [(sample["conversation"], sample["frames"]) for sample in samples]


@pytest.mark.parametrize("source", STREAMS)
def test_an_ego4d_source_equals_the_public_samples(convert, source):
    made = convert(
        source,
        GOLDENS / "ego4d",
        durations=EXPECTED["durations"],
        options=["--split", "val", "--fps", 2, "--no-instruction"],
    )
    assert made.code == 0
    assert found(made.lines) == wanted(STREAMS[source])


@pytest.mark.parametrize("source", TASKS)
def test_a_coin_task_equals_the_public_samples(convert, source):
    made = convert(source, GOLDENS / "coin.json", durations=EXPECTED["coin_durations"], options=["--split", "test"])
    assert made.code == 0
    assert found(made.lines) == wanted(TASKS[source])
    assert "notindisk: it has no duration" in made.said


def test_lta_equals_the_public_samples_and_ends_with_the_actions(convert):
    made = convert("ego4d-lta", GOLDENS / "ego4d", durations=EXPECTED["durations"], options=["--split", "val"])
    samples = EXPECTED["lta"]
    assert [line["conversation"][:-1] for line in made.lines] == [sample["conversation"] for sample in samples]
    assert [[[line["video"], *line["frames"]]] for line in made.lines] == [sample["frames"] for sample in samples]
    assert [line["conversation"][-1]["content"] for line in made.lines] == [sample["answer"] for sample in samples]
    for key in ("verb_labels", "noun_labels", "clip_uid", "last_visible_action_idx"):
        assert [line[key] for line in made.lines] == [sample[key] for sample in samples]


def test_cleaned_narrations_are_equal():
    assert [clean_text(raw) for raw, _ in EXPECTED["narration_clean_text"]] == [
        clean for _, clean in EXPECTED["narration_clean_text"]
    ]


def test_narration_puts_its_instruction_after_an_unlearned_first_frame(convert):
    made = convert("ego4d-narration", GOLDENS / "ego4d", durations=EXPECTED["durations"], options=["--split", "val"])
    for line, sample in zip(made.lines, EXPECTED["narration"], strict=True):
        first, instruction, *rest = line["conversation"]
        assert first == {"role": "stream", "num_frames": 1, "learn": False}
        assert instruction == {"role": "user", "content": INSTRUCTION}
        assert rest == sample["conversation"][1:]


def test_nlq_begins_with_an_instruction_that_quotes_the_query_and_is_drawn_by_the_seed(convert):
    options = ["--split", "val", "--seed"]
    first, again, other = (
        convert("ego4d-nlq", GOLDENS / "ego4d", durations=EXPECTED["durations"], options=[*options, seed]).lines
        for seed in (1, 1, 2)
    )
    assert first == again != other
    for line, sample in zip(first, EXPECTED["nlq"], strict=True):
        assert f'"{sample["query"]}"' in line["conversation"][0]["content"]
        assert line["conversation"][0]["answer"] is False
        assert line["conversation"][1:] == sample["conversation"]
    assert len({line["conversation"][0]["content"].replace(line["query"], "") for line in first}) > 3


def test_refined_narrations_take_one_of_ten_instructions(convert, tmp_path):
    passes = {"v": {f"pass{n}": [{"time": 1.2, "text": "You look around."}] for n in range(30)}}
    (tmp_path / "refined_narration_stream_train.json").write_text(json.dumps(passes))
    made = convert("ego4d-refined-narration", tmp_path, durations={"v": 5.0}, options=["--split", "train"])
    assert {line["conversation"][1]["content"] for line in made.lines} <= set(REFINED_INSTRUCTIONS)
    assert len({line["conversation"][1]["content"] for line in made.lines}) > 5
    assert made.lines[0]["frames"] == [3, 4]


def test_livechat_waits_some_unlearned_frames_when_asked_to(convert):
    options = ["--waiting-frames", 20]
    made = convert("ego4d-goalstep-livechat", GOLDENS / "ego4d", durations=EXPECTED["durations"], options=options)
    samples = [(s["conversation"], *s["frames"][0]) for s in EXPECTED["livechat"]]
    waited = [line for line in made.lines if line["conversation"][0]["role"] == "stream"]
    assert len(waited) > len(made.lines) // 2
    for line in waited:
        waiting, *rest = line["conversation"]
        start, stop = line["frames"]
        assert waiting["learn"] == waiting["num_frames"] - 1 < 20
        assert (rest, line["video"], start + waiting["num_frames"], stop) in samples


def test_livechat_filters_on_request(convert):
    durations = EXPECTED["durations"]
    made = convert("ego4d-goalstep-livechat", GOLDENS / "ego4d", durations=durations, options=["--filter"])
    assert (made.code, made.lines) == (1, [])
    assert "conversations under a minute or over an hour" in made.said


def test_everything_that_is_written_can_be_trained_on(convert, tmp_path):
    for source in STREAMS:
        convert(source, GOLDENS / "ego4d", durations=EXPECTED["durations"], options=["--split", "val"])
        assert read_dialogues(tmp_path / "out.jsonl")


def test_the_public_test_split_of_lta_has_no_answers(convert, tmp_path):
    clips = json.loads((GOLDENS / "ego4d" / "fho_lta_val.json").read_text())["clips"]
    hidden = [{k: v for k, v in clip.items() if k not in ("verb_label", "noun_label")} for clip in clips]
    (tmp_path / "fho_lta_test_unannotated.json").write_text(json.dumps({"clips": hidden}))
    (tmp_path / "fho_lta_taxonomy.json").write_text((GOLDENS / "ego4d" / "fho_lta_taxonomy.json").read_text())
    made = convert("ego4d-lta", tmp_path, durations=EXPECTED["durations"], options=["--split", "test"])
    assert len(made.lines) == len(EXPECTED["lta"])
    assert all(line["conversation"][-1]["role"] == "stream" for line in made.lines)


@pytest.mark.parametrize(("time", "fps", "after", "before"), [(1.1, 10, 11, 11), (1.2, 2, 3, 2), (0.7, 30, 21, 21)])
def test_floating_point_does_not_move_a_time_to_a_later_frame(time, fps, after, before):
    grid = FrameGrid.over(60.0, fps)
    assert (grid.after(time), grid.before(time)) == (after, before)


def test_a_duration_off_the_grid_ends_at_the_frame_before():
    assert FrameGrid.over(10.3, 2).last == 20
