# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The doctor names what would spoil a training run."""

import json
from pathlib import Path

import pytest

from videollm_ros.data.__main__ import main
from videollm_ros.data.convert.tally import Tally
from videollm_ros.data.dialogues import Dialogue
from videollm_ros.data.statistics import Statistics, readable_dialogues
from videollm_ros.data.tokens import TokenCounter
from videollm_ros.live import DialogueTemplate

DEMO = Path(__file__).parents[2] / "checkpoints" / "demo"


def line(video="v", frames=40, reply="The red cup appears.", learn=True):
    conversation = [
        {"role": "stream", "num_frames": frames, "learn": learn},
        {"role": "assistant", "content": reply, "learn": learn},
    ]
    return {"video": video, "frames": [0, frames], "conversation": conversation}


@pytest.fixture
def check(tmp_path, capsys):
    def run(*files, options=()):
        paths = []
        for number, lines in enumerate(files):
            paths.append(tmp_path / f"{number}.jsonl")
            text = "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines)
            paths[-1].write_text(text)
        report = tmp_path / "report.json"
        code = main(["check", *map(str, paths), "--json", str(report), *map(str, options)])
        return code, json.loads(report.read_text()), capsys.readouterr()

    return run


def test_sound_dialogues_have_nothing_odd(check):
    code, report, said = check([line("a"), line("b", reply="The blue ball appears.")], options=["--checkpoint", DEMO])
    assert (code, report["findings"]) == (0, [])
    assert "Nothing is odd" in said.out
    (figures,) = report["files"].values()
    assert figures["dialogues"] == figures["recordings"] == figures["replies"] == 2
    assert figures["silence among learned decisions"] == pytest.approx(78 / 80)
    assert figures["replies per minute"] == pytest.approx(2 / (80 / 2 / 60))


@pytest.mark.parametrize(
    ("files", "options", "finding"),
    [
        ([[line("a")], [line("a", 30), line("b")]], [], "1 recordings are both in 0.jsonl and in 1.jsonl: a."),
        ([[line(frames=500)]], ["--checkpoint", DEMO], "1 dialogues have more tokens than the context of 1,536"),
        ([[line(reply="The xylophone appears.")]], ["--checkpoint", DEMO], "into letters: xylophone"),
        ([[line(reply="Die Größe.")]], ["--checkpoint", DEMO], "Größe"),
        ([[line(frames=5000)]], [], "silence is 99.98% of what is learned"),
        ([[line(frames=1)]], [], "the model speaks on 100% of the learned frames"),
        ([[line(learn=False)]], [], "no decision of a frame is learned"),
        ([[line("a"), line("a")]], [], "1 dialogues are there more than once"),
        ([[line(str(n)) for n in range(3)] + [line("x", reply="Else.")]], [], "75% of the replies are 'The red cup"),
        ([[line(), '{"video": 3}', "{"]], [], "2 lines that are no dialogue"),
    ],
)
def test_what_is_odd_is_named(check, files, options, finding):
    _, report, said = check(*files, options=options)
    assert any(finding in each for each in report["findings"]), report["findings"]
    assert finding.split()[0] in said.out


def test_recordings_without_a_dialogue_are_named(check, tmp_path):
    (tmp_path / "durations.json").write_text('{"v": 3.0, "quiet": 4.0}')
    _, report, _ = check([line()], options=["--durations", tmp_path / "durations.json"])
    assert report["findings"] == ["1 recordings of durations.json have no dialogue: quiet."]


def test_a_file_without_dialogues_is_an_error(check):
    assert check([])[0] == 1


def test_the_decision_before_a_query_is_nobodys():
    statistics = Statistics()
    conversation = [
        {"role": "stream", "num_frames": 4, "learn": True},
        {"role": "user", "content": "Now?"},
        {"role": "assistant", "content": "A cup.", "learn": True},
        {"role": "stream", "num_frames": 5, "learn": 3},
    ]
    statistics.add(Dialogue("v", (0, 9), conversation))
    assert (statistics.silent, statistics.speaking, statistics.queries) == (3 + 3, 0, 1)


def test_tokens_are_counted_as_the_template_makes_them(tmp_path):
    counter = TokenCounter.load(DEMO)
    template = DialogueTemplate(counter.config, counter.tokenizer, len(counter.tokenizer))
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(line()))
    (dialogue,) = readable_dialogues(path, Tally())
    conversation = [{"role": "user", "content": "Now?", "answer": False}, *dialogue.conversation]
    assert counter.count(conversation) == pytest.approx(len(template.encode(conversation)[0]), abs=6)
