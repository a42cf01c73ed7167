# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An LLM on a real HTTP server writes dialogues: nothing is lost or doubled, whatever it answers, killed or not."""

import json
import multiprocessing
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from videollm_ros.data.__main__ import main
from videollm_ros.data.dialogues import read_dialogues

DEMO_LLM = Path(__file__).parents[2] / "checkpoints/demo/llm"
KEY = "sk-a-secret-of-the-test"
FORK = multiprocessing.get_context("fork")
"""Begins a process at once: it has all that this one has imported."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Ten recordings of 100 s with three steps each."""
    names = [f"run{number}" for number in range(10)]
    (tmp_path / "durations.json").write_text(json.dumps(dict.fromkeys(names, 100.0)))
    steps = [(5, 30, "Open the box."), (30, 60, "Take the screw."), (65, 95, "Close the box.")]
    lines = [{"recording": name, "start": a, "end": b, "text": text} for name in names for a, b, text in steps]
    (tmp_path / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return tmp_path


def arguments(project, url, *options, command="generate"):
    given = [command, "timed", "--annotations", project / "steps.jsonl", "--durations", project / "durations.json"]
    given += ["--output", project / "out.jsonl", "--model", "tester", "--url", url]
    given += ["--shortest", 0] if command == "generate" else []
    return [str(each) for each in [*given, *options]]


def keys(path):
    return [json.loads(line)["key"] for line in path.read_text().splitlines()] if path.is_file() else []


def rejected(project):
    return [json.loads(line) for line in (project / "out.rejected.jsonl").read_text().splitlines()]


def test_a_dialogue_has_a_reply_at_each_query_and_at_each_later_step_boundary(project, chat_server):
    with chat_server() as server:
        assert main(arguments(project, server.url, "--dialogues", 3)) == 0
    dialogues = read_dialogues(project / "out.jsonl")
    assert len(dialogues) == 30
    boundaries = {10, 60, 120, 130, 190}  # frames at 2 Hz; one step begins as another ends
    users = {json.loads(line)["generated"]["user"] for line in (project / "out.jsonl").read_text().splitlines()}
    assert users == {"silent", "some", "many"}
    for dialogue in dialogues:
        frame, replies, queries = dialogue.frames[0], set(), set()
        for message in dialogue.conversation:
            frame += message.get("num_frames", 0)
            if message["role"] == "assistant":
                replies.add(frame - 1)
            elif message["role"] == "user" and message.get("answer", True):
                queries.add(frame - 1)
        first = min(queries, default=0)
        assert replies == queries | {frame for frame in boundaries if frame >= first}


@pytest.mark.slow
def test_one_seed_draws_the_same_requests_and_another_one_others(project, chat_server):
    asked = []
    for seed in (1, 1, 2):
        with chat_server() as server:
            main(arguments(project, server.url, "--seed", seed, "--output", project / f"{len(asked)}.jsonl"))
        asked.append(sorted(request["messages"][1]["content"] for request in server.requests))
    assert asked[0] == asked[1]
    assert asked[0] != asked[2]


def test_answers_of_another_form_are_asked_for_again_and_then_put_aside_with_the_reason(project, chat_server, capsys):
    bad = ["no JSON", '{"replies": []}', '{"replies": [{"turn": 1, "text": ""}]}', '{"replies": 3}', '{"score": 1}']

    def behave(number, request):
        return ("text", bad[number % len(bad)]) if number % 4 else None

    with chat_server(behave) as server:
        assert main(arguments(project, server.url, "--attempts", 2, "--concurrency", 1)) == 0
    good = keys(project / "out.jsonl")
    assert good
    assert all(line["kind"] == "malformed answers" and line["reason"].endswith(".") for line in rejected(project))
    assert sorted(good + [line["key"] for line in rejected(project)]) == sorted(f"run{n}//0/0" for n in range(10))
    assert "malformed answers put aside" in capsys.readouterr().out


@pytest.mark.slow
def test_429_and_500_and_dropped_connections_lose_nothing(project, chat_server):
    trouble = [("status", 429), ("status", 500), ("drop", None)]

    def behave(number, request):
        return trouble[number % 3] if number % 5 in (0, 1) else None

    with chat_server(behave) as server:
        code = main(arguments(project, server.url, "--concurrency", 2))
        for _ in range(5):
            code = code and main(arguments(project, server.url, "--concurrency", 2))
    assert code == 0
    assert sorted(keys(project / "out.jsonl")) == sorted(f"run{number}//0/0" for number in range(10))
    assert len(server.requests) > 10


def test_a_server_that_is_down_ends_the_run_and_a_later_run_makes_the_rest(project, chat_server, capsys, monkeypatch):
    monkeypatch.setattr("videollm_ros.data.generation.chat._RETRIES", 0)
    with chat_server(lambda number, request: ("status", 503) if number >= 4 else None) as server:
        assert main(arguments(project, server.url, "--concurrency", 1)) == 2
    assert "failed" in capsys.readouterr().err
    assert len(keys(project / "out.jsonl")) == 4
    with chat_server() as server:
        assert main(arguments(project, server.url)) == 0
    assert len(server.requests) == 6
    assert sorted(keys(project / "out.jsonl")) == sorted(f"run{number}//0/0" for number in range(10))


def test_a_refused_key_ends_the_run_at_once_and_the_key_is_nowhere(project, chat_server, capsys):
    with chat_server(lambda number, request: ("status", 401)) as server:
        assert main(arguments(project, server.url, "--concurrency", 1)) == 2
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert len(server.requests) == 1
    captured = capsys.readouterr()
    assert "refuses" in captured.err
    assert KEY not in captured.err + captured.out
    assert "HTTP Request" not in captured.err  # a URL may have a key in it
    assert all(KEY not in path.read_text() for path in project.glob("*.jsonl"))


@pytest.mark.slow
def test_a_slow_server_is_asked_as_often_at_once_as_was_said(project, chat_server):
    with chat_server(seconds=0.1) as server:
        main(arguments(project, server.url, "--concurrency", 3))
    assert server.most_at_once == 3


def test_requests_begin_no_faster_than_the_rate(project, chat_server):
    with chat_server() as server:
        main(arguments(project, server.url, "--requests-per-minute", 600))
    assert server.starts[-1] - server.starts[0] >= 0.6  # nine gaps of 0.1 s


def test_the_budget_ends_a_run_and_counts_earlier_runs(project, chat_server, capsys):
    options = ("--prices", 1000, 10_000, "--budget", 0.75, "--concurrency", 1)  # 0.2 a request
    with chat_server() as server:
        assert main(arguments(project, server.url, *options)) == 1
        assert "6 the budget is used up" in capsys.readouterr().out
        assert main(arguments(project, server.url, *options)) == 1
    assert len(server.requests) == len(keys(project / "out.jsonl")) == 4
    assert "400 tokens were sent and 40 were received, which cost 0.8000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reply", "kind"),
    [("Wait 30 seconds.", "quotes times"), ("It was 1:30.", "quotes times"), ("The second step is next.", "")],
)
def test_replies_that_quote_times_are_put_aside_and_orders_are_not(project, chat_server, reply, kind):
    with chat_server(reply=reply) as server:
        main(arguments(project, server.url))
    assert {line["kind"] for line in rejected(project)} == ({kind} if kind else set())
    assert len(keys(project / "out.jsonl")) == (0 if kind else 10)


def test_dialogues_that_are_too_short_are_put_aside_without_asking(project, chat_server, capsys):
    with chat_server() as server:
        main(arguments(project, server.url, "--shortest", 500, "--longest", 900))
    assert not server.requests
    assert "10 too short put aside" in capsys.readouterr().out


def test_a_judge_grades_and_says_why_it_drops(project, chat_server, capsys):
    def behave(number, request):
        if request["model"] == "strict":
            return "text", json.dumps({"reason": "It talks nonsense.", "score": 3})
        return None

    with chat_server(behave) as server:
        main(arguments(project, server.url, "--judge", "strict"))
    assert "10 graded too low put aside" in capsys.readouterr().out
    assert all("nonsense" in line["reason"] and line["tokens"] == [200, 20] for line in rejected(project))


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_over_kill_9_and_a_resume(project, chat_server):
    options = ("--dialogues", 4, "--concurrency", 3)
    out, seen = project / "out.jsonl", 0
    with chat_server(seconds=0.15) as server:
        for _ in range(2):
            run = FORK.Process(target=main, args=(arguments(project, server.url, *options),))
            run.start()
            until = time.monotonic() + 100
            while len(keys_of_whole_lines(out)) < seen + 5 and run.is_alive() and time.monotonic() < until:
                time.sleep(0.02)
            run.kill()
            run.join(10)
            seen = len(keys_of_whole_lines(out))
            assert 5 <= seen < 40
            with out.open("a") as file:
                file.write('{"video": "run1", "fra')  # the kill came in the middle of a line
        assert main(arguments(project, server.url, *options)) == 0
        made = len(server.requests)
        assert main(arguments(project, server.url, *options)) == 0
    assert len(server.requests) == made
    assert sorted(keys(out)) == sorted(f"run{number}//{index}/0" for number in range(10) for index in range(4))
    assert len(read_dialogues(out)) == 40


def keys_of_whole_lines(path):
    text = path.read_text() if path.is_file() else ""
    return text.splitlines()[: text.count("\n")]


def test_two_runs_do_not_write_one_file(project, chat_server, capsys):
    from videollm_ros.data.generation.journal import Journal

    with Journal(project / "out.jsonl"), chat_server() as server:
        assert main(arguments(project, server.url)) == 2
    assert "Another process writes" in capsys.readouterr().err


def test_each_distinct_sentence_is_rewritten_once(project, chat_server):
    with chat_server() as server:
        options = ("--sentences", 2)
        assert main(arguments(project, server.url, *options, command="refine")) == 0
        assert main(arguments(project, server.url, *options, command="refine")) == 0
    assert len(server.requests) == 2  # three distinct sentences among thirty
    lines = [json.loads(line) for line in (project / "out.jsonl").read_text().splitlines()]
    assert len(lines) == 30
    assert {line["text"] for line in lines} == {"You do thing 1.", "You do thing 2."}


@pytest.fixture
def local_model(tmp_path):
    """Saves a tiny decoder with random weights and a chat template, and returns it with its tokenizer and folder."""
    tokenizer = AutoTokenizer.from_pretrained(DEMO_LLM)
    tokenizer.chat_template = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}> "
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=1536, **sizes, **ids)
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    for each in (model, tokenizer):
        each.save_pretrained(tmp_path / "local")
    return model, tokenizer, tmp_path / "local"


def locally(project, folder, *options):
    given = arguments(project, "", "--local", folder, "--attempts", 1, "--temperature", 0, *options)
    return main([each for each in given if each not in ("--model", "tester", "--url", "")])


def one_recording(project):
    """Leave one recording with one short step, so that there is little for a tiny model to learn."""
    (project / "steps.jsonl").write_text('{"recording": "run0", "start": 5, "end": 30, "text": "Open the box."}\n')


@pytest.mark.slow
def test_a_local_model_that_writes_the_asked_form_makes_a_dialogue(project, chat_server, local_model):
    one_recording(project)
    options = ("--users", "silent", "--output", project / "served.jsonl")
    with chat_server() as server:
        main(arguments(project, server.url, *options))
    (request,) = server.requests
    count = request["messages"][1]["content"].partition("Turns:")[2].count("\n")
    written = json.dumps({"replies": [{"turn": turn + 1, "text": "Now."} for turn in range(count)]})
    model, tokenizer, folder = local_model
    asked = tokenizer.apply_chat_template(request["messages"], tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(asked, add_special_tokens=False)["input_ids"]
    answer = [*tokenizer(written, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    learn_by_heart(model, prompt, answer)
    model.save_pretrained(folder)
    assert locally(project, folder, "--users", "silent") == 0
    (line,) = map(json.loads, (project / "out.jsonl").read_text().splitlines())
    assert {m["content"] for m in line["conversation"] if m["role"] == "assistant"} == {"Now."}
    assert line["tokens"] == [len(prompt), len(answer)]


def learn_by_heart(model, prompt, answer):
    """Train a model until it writes an answer after a prompt."""
    ids = torch.tensor([prompt + answer])
    labels = torch.tensor([[-100] * len(prompt) + answer])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        output = model(ids, labels=labels)
        if (output.logits[0, len(prompt) - 1 : -1].argmax(-1) == labels[0, len(prompt) :]).all():
            return
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    pytest.fail("the tiny model did not learn its answer")


def test_what_a_local_model_with_random_weights_writes_is_put_aside(project, local_model, monkeypatch):
    one_recording(project)
    monkeypatch.setattr("videollm_ros.data.generation.chat._MAX_NEW_TOKENS", 20)
    assert locally(project, local_model[2]) in (0, 1)
    assert not keys(project / "out.jsonl")
    assert {line["kind"] for line in rejected(project)} == {"malformed answers"}
    assert {line["reason"] for line in rejected(project)} == {"The answer was cut off, since it is too long."}


def test_a_request_that_a_local_model_cannot_read_is_left_for_another_run(project, local_model, capsys):
    model, _, folder = local_model
    model.config.max_position_embeddings = 100
    model.config.save_pretrained(folder)
    one_recording(project)
    assert locally(project, folder) == 1
    assert "the model reads fewer than 100" in capsys.readouterr().out
    assert not keys(project / "out.jsonl") + keys(project / "out.rejected.jsonl")
