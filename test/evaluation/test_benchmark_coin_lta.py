# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands `coin` and `lta`: scores of the public implementation, and a run of the golden model."""

import json
from pathlib import Path

import pytest
import torch

from videollm_ros.data.convert.ego4d_lta import NUM_ANTICIPATED
from videollm_ros.data.features import FeatureFolder
from videollm_ros.evaluation.benchmarks.coin import Labels, label_of, labels_of, score_procedure, score_sentence
from videollm_ros.evaluation.benchmarks.lta import Actions, edit_distances, score_lists
from videollm_ros.evaluation.replies import decode_replies
from videollm_ros.live import StreamSession

GOLDENS = Path(__file__).parents[1] / "goldens" / "datasets"
EXPECTED = json.loads((GOLDENS / "expected.json").read_text())
COIN, LTA = EXPECTED["coin"], EXPECTED["lta_score"]


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize("task", ["step", "next", "task"])
def test_the_accuracy_of_a_sentence_is_the_public_implementations(task):
    golden = COIN[task]
    labels = Labels(golden["categories"])
    pairs = zip(golden["predictions"], golden["labels"], strict=True)
    right = [score_sentence(reply, label, labels)[0] for reply, label in pairs]
    assert 100 * sum(right) / len(right) == pytest.approx(golden["accuracy"], abs=1e-6)


@pytest.mark.parametrize("task", ["procedure", "task_procedure"])
def test_the_accuracy_of_a_procedure_is_the_public_implementations_and_the_strict_one_is_lower(task):
    golden = COIN[task]
    labels = Labels(golden["categories"])
    pairs = zip(golden["predictions"], golden["labels"], strict=True)
    counted = [score_procedure(reply, wanted, labels) for reply, wanted in pairs]
    public, strict = ([sum(column) for column in zip(*each, strict=True)] for each in zip(*counted, strict=True))
    assert 100 * public[0] / public[1] == pytest.approx(golden["accuracy"], abs=1e-6)
    assert strict[0] == public[0] and strict[1] == 16 >= public[1]


@pytest.mark.parametrize("task", COIN)
def test_labels_are_read_back_from_the_replies_that_were_made_of_them(task):
    replies = [sample["conversation"][-1]["content"] for sample in COIN[task]["samples"]]
    read = [labels_of(reply) if isinstance(COIN[task]["labels"][0], list) else label_of(reply) for reply in replies]
    assert read == COIN[task]["labels"]


def test_lists_of_actions_are_read_and_scored_as_by_the_public_implementation():
    actions = Actions(**EXPECTED["lta_words"])
    predicted = [[actions.parse(reply) for reply in replies] for replies in LTA["predictions"]]
    assert [[[verb for verb, _ in each] for each in lists] for lists in predicted] == LTA["verb_ids"]
    assert [[[noun for _, noun in each] for each in lists] for lists in predicted] == LTA["noun_ids"]
    wanted = [list(zip(s["verb_labels"], s["noun_labels"], strict=True)) for s in EXPECTED["lta"][: len(predicted)]]
    parts = [score_lists(lists, right) for lists, right in zip(predicted, wanted, strict=True)]
    for name in ("verb_AUED", "noun_AUED", "verb_ED20", "noun_ED20"):
        mean = sum(each[name.lower()][0] for each in parts) / len(parts)
        assert mean == pytest.approx(LTA[name], abs=1e-6)
    for each in parts:
        assert each["action_ed20"][0] >= max(each["verb_ed20"][0], each["noun_ed20"][0])


def test_a_transposition_is_two_edits():
    assert edit_distances([[2, 1, 3]], [1, 2, 3])[-1] == pytest.approx(2 / 3)


def test_of_five_predictions_the_best_one_counts_at_each_length():
    assert edit_distances([[1, 9], [9, 9]], [1, 2]) == [0.0, 0.5]


def test_a_greedy_reply_is_the_one_of_the_session(golden_model, golden_tensors):
    """The session speaks by itself at that frame. Here the reply is forced."""
    session = StreamSession(golden_model, threshold=0.0)
    features = golden_tensors["vision_features"]
    said = []
    for index, frame in enumerate(golden_model.project(features)):
        said += [(index, u.text) for u in session.observe_embeds(frame[None], [index / 2]) if hasattr(u, "truncated")]
        if said:
            break
    index, text = said[0]
    conversation = [{"role": "stream", "num_frames": index + 1}]
    assert decode_replies(golden_model, conversation, features[: index + 1], 100) == [text]
    beams = decode_replies(golden_model, conversation, features[: index + 1], 100, beams=5)
    assert len(beams) == 5


@pytest.fixture(scope="module")
def features(tmp_path_factory, golden_tensors):
    """Features of all videos but one, as long as the annotations need them."""
    folder = FeatureFolder(tmp_path_factory.mktemp("features"))
    seconds = EXPECTED["durations"] | EXPECTED["coin_durations"]
    for video, lasts in seconds.items():
        frames = torch.arange(int(lasts * 2) + 1) % 24
        folder.write(video, golden_tensors["vision_features"][frames])
    return folder.folder


def run(evaluate, paths, features, output, *arguments):
    model = [part for name, path in paths.items() for part in (f"--{name}", path)]
    common = ["--features", features, *model, "--dtype", "float32", "--output", output]
    return evaluate(*arguments, *common)


def test_coin_asks_the_public_questions_and_lists_the_videos_that_are_not_there(
    evaluate, golden_paths, features, tmp_path, caplog
):
    code, _, said = run(evaluate, golden_paths, features, tmp_path, "coin", GOLDENS / "coin.json")
    assert code == 0 and "notindisk" in said
    assert caplog.text.count("notindisk: it has no duration") == 1, "once, though every task reads the annotations"
    found = metrics_of(tmp_path)
    assert "notindisk" in found["missing"]
    assert len(found["items"]) == sum(len(each["samples"]) for each in COIN.values()) == 32
    assert found["scored"] == 32 < found["of"] and found["frames"] > 32
    names = {"step_accuracy", "next_accuracy", "task_accuracy", "procedure_accuracy", "procedure_accuracy_strict"}
    assert names | {"task_procedure_accuracy", "task_procedure_accuracy_strict"} <= set(found)
    assert found["baselines"]["the most frequent label"]["task_accuracy"] == 1.0  # both test videos are of one task
    lines = [json.loads(line) for line in (tmp_path / "utterances.jsonl").read_text().splitlines()]
    assert lines[0]["item"] == "step c0 1" and lines[0]["query"].startswith("What is the action")


@pytest.mark.slow
def test_lta_writes_five_lists_for_the_server_and_says_what_the_published_weights_saw(
    evaluate, golden_paths, features, tmp_path
):
    code, out, said = run(evaluate, golden_paths, features, tmp_path, "lta", GOLDENS / "ego4d")
    assert code == 0, said
    assert "validation narrations" in out
    submission = json.loads((tmp_path / "submission.json").read_text())
    assert list(submission) == [f"{s['clip_uid']}_{s['last_visible_action_idx']}" for s in EXPECTED["lta"]]
    for lists in submission.values():
        assert [len(each) for each in lists["verb"]] == [NUM_ANTICIPATED] * 5 == [len(each) for each in lists["noun"]]
    assert 0 < metrics_of(tmp_path)["action_ed20"] <= 1


def test_the_public_test_split_of_lta_gives_the_submission_alone(evaluate, golden_paths, features, tmp_path):
    clips = json.loads((GOLDENS / "ego4d" / "fho_lta_val.json").read_text())["clips"]
    hidden = [{k: v for k, v in clip.items() if k not in ("verb_label", "noun_label")} for clip in clips]
    (tmp_path / "fho_lta_test_unannotated.json").write_text(json.dumps({"clips": hidden}))
    (tmp_path / "fho_lta_taxonomy.json").write_text((GOLDENS / "ego4d" / "fho_lta_taxonomy.json").read_text())
    arguments = ["lta", tmp_path, "--split", "test", "--limit", 2, "--window", 4]
    code, _, said = run(evaluate, golden_paths, features, tmp_path / "out", *arguments)
    assert code == 0, said
    assert len(json.loads((tmp_path / "out" / "submission.json").read_text())) == 2
    assert "action_ed20" not in metrics_of(tmp_path / "out")
