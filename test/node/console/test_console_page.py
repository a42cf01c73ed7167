# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console in a real browser, beside a real assistant on a real graph."""

import contextlib
import json
import signal
import socket
import time
import urllib.request

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")
pytest.importorskip("starlette", reason="the console's packages are not installed: requirements/console.txt")

from sensor_msgs.msg import Image
from websockets.sync.client import connect

from videollm_ros.media.images import to_rgb
from videollm_ros.msg import AssistantUtterance
from videollm_ros.node.client import AssistantClient

TOKEN = "a-token-for-the-page-only"
NAME = "/demo/assistant"
QUESTION = "What is on the table?"
SECONDS = 60_000  # milliseconds a browser waits at most; a loaded machine may be slow
# Topics a console may subscribe to; ROS's own are not among them.
WATCHED = ("/demo/image", "/diagnostics", f"{NAME}/utterance", f"{NAME}/utterance_partial", f"{NAME}/speak_probability")


@pytest.fixture(scope="module")
def console(console_process, graph):
    with console_process(TOKEN) as port:
        yield port


@pytest.fixture(scope="module")
def client(graph, node):
    client = AssistantClient(node, NAME)
    assert client.wait_for_server(120.0), graph.log("assistant_node")
    yield client
    client.close()


@pytest.fixture
def open_page(browser, console):
    """Opens the console at a width. No error may appear in the browser's console."""
    errors, contexts = [], []

    def open_page(width=1280, height=800):
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(SECONDS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{console}/?token={TOKEN}")
        page.wait_for_selector('#state[data-level="ok"]')
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def holds(page, expression, arg=None):
    """Wait until an expression is true. Playwright's own way needs `eval`, which the page forbids later on."""
    deadline = time.monotonic() + SECONDS / 1000
    while not page.evaluate(expression, arg):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def says(page, sentence):
    holds(page, "text => document.body.innerText.includes(text)", sentence)


def last_answer(page, question):
    """The element of the newest complete answer to a question."""
    item = page.locator(".utterance.answer:not(.grows)", has_text=question).last
    item.wait_for()
    return item


def is_answered(page, question):
    page.fill("#question", question)
    page.click("#send")
    answers = page.locator(".utterance.answer:not(.grows)", has_text=question)
    deadline = time.monotonic() + 20
    while not answers.count() and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    return answers.count() > 0 and bool(answers.last.locator(".text").inner_text())


def watch(console):
    return connect(
        f"ws://127.0.0.1:{console}/ws", additional_headers={"Authorization": f"Bearer {TOKEN}"}, max_size=None
    )


def is_end(event):
    return event["type"] == "utterance" and event["final"]


def events_until(viewer, condition, timeout=60.0):
    """All events of a viewer until one fulfils the condition."""
    events, deadline = [], time.monotonic() + timeout
    while time.monotonic() < deadline:
        message = viewer.recv(timeout)
        if isinstance(message, str):
            events += json.loads(message)
            if any(condition(event) for event in events):
                return events
    raise AssertionError(events[-5:])


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (400, 860)])
def test_the_page_fits_its_width_and_the_image_moves(open_page, width, height):
    page = open_page(width, height)
    holds(page, "document.getElementById('image').naturalWidth > 0")
    first = page.locator("#image").screenshot()
    holds(page, "src => document.getElementById('image').src !== src", arg=page.get_attribute("#image", "src"))
    deadline = time.monotonic() + 60
    while page.locator("#image").screenshot() == first:
        assert time.monotonic() < deadline
        page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert "Waiting" not in page.inner_text("#no-image")
    for part in ("#question", "#chart canvas", "#figures", "#mute", "#reset"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_the_address_bar_does_not_keep_the_token(open_page):
    assert "token" not in open_page().url


def test_a_question_is_answered_with_its_frame_that_a_click_enlarges(open_page):
    page = open_page()
    page.fill("#question", QUESTION)
    page.press("#question", "Enter")
    item = last_answer(page, QUESTION)
    assert item.locator(".text").inner_text()
    assert "after the frame" in item.locator(".meta").inner_text()
    item.locator("button").click()
    holds(page, "document.getElementById('large').open && document.getElementById('large-image').naturalWidth")
    assert item.locator(".text").inner_text() in page.inner_text("#large-text")
    page.keyboard.press("Escape")
    holds(page, "!document.getElementById('large').open")
    holds(page, "document.getElementById('send').textContent === 'Ask'")


def test_proactive_speech_appears_with_its_mark(open_page):
    page = open_page()
    page.locator(".utterance:not(.answer)").first.wait_for()
    assert page.locator(".utterance:not(.answer) .text").first.inner_text()


def test_what_is_in_a_question_is_text(open_page):
    page = open_page()
    question = "<img src=x onerror=alert(1)>"
    page.fill("#question", question)
    page.click("#send")
    assert last_answer(page, question).locator(".query").inner_text() == question


def test_an_answer_grows_on_its_way_to_the_page(console, client):
    with watch(console) as viewer:
        events_until(viewer, lambda event: event["type"] == "probability")
        viewer.send(json.dumps({"do": "ask", "text": QUESTION}))
        events = events_until(viewer, lambda event: event["type"] == "result")
        if not any(map(is_end, events)):
            events += events_until(viewer, is_end)
    pieces = [event for event in events if event["type"] == "utterance" and event["query"] == QUESTION]
    assert [piece["final"] for piece in pieces].count(True) == 1
    assert not pieces[0]["final"]
    assert pieces[-1]["text"].startswith(pieces[0]["text"])


def test_the_frame_shown_is_the_image_with_the_stamp_of_the_utterance(console, client, node):
    images = {}

    def keep(message):
        images[message.header.stamp.sec * 10**9 + message.header.stamp.nanosec] = to_rgb(message)

    subscription = node.create_subscription(Image, "/demo/image", keep, 10)
    try:
        with watch(console) as viewer:
            events_until(viewer, lambda event: event["type"] == "probability")
            deadline = time.monotonic() + 60
            while len(images) < 30 and time.monotonic() < deadline:
                time.sleep(0.1)
            viewer.send(json.dumps({"do": "ask", "text": QUESTION}))
            events = events_until(
                viewer, lambda event: event["type"] == "utterance" and event["final"] and event["answer"]
            )
            said = events[-1] if events[-1]["type"] == "utterance" else next(e for e in events if e.get("answer"))
            stamp = int(said["frame"])
            assert said["frame_offset"] == 0
            request = urllib.request.Request(
                f"http://127.0.0.1:{console}/frame?assistant={NAME}&stamp={stamp}",
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
            jpeg = urllib.request.urlopen(request, timeout=20).read()
    finally:
        node.destroy_subscription(subscription)
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)
    errors = {at: np.abs(shown - image).mean() for at, image in images.items()}
    assert errors[stamp] < 6.0
    assert errors[stamp] <= min(errors.values()) + 0.2


def test_the_threshold_is_dragged_and_read_back(open_page, client):
    page = open_page()
    page.wait_for_selector(".threshold")
    holds(page, "document.getElementById('threshold').value !== ''")
    plot = page.locator("#chart .u-over").bounding_box()
    line = page.locator(".threshold").bounding_box()
    page.mouse.move(line["x"] + 200, line["y"] + line["height"] / 2)
    page.mouse.down()
    page.mouse.move(plot["x"] + 200, plot["y"] + 0.3 * plot["height"], steps=5)
    page.mouse.move(plot["x"] + 200, plot["y"] + 0.4 * plot["height"], steps=5)
    page.mouse.up()
    deadline = time.monotonic() + 60
    while abs(client.get_parameter("stream.threshold") - 0.4) > 0.02:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    held = client.get_parameter("stream.threshold")
    page.wait_for_timeout(3000)  # it stays there
    assert float(page.input_value("#threshold")) == pytest.approx(held, abs=6e-4)
    assert f"speaks above {1 - held:.2f}" in page.inner_text(".threshold")


def test_a_threshold_that_somebody_else_sets_is_shown_and_a_typed_one_is_set(open_page, client, until):
    page = open_page()
    client.set_parameter("stream.threshold", 0.6)
    says(page, "speaks above 0.400")
    page.fill("#threshold", "0.725")
    page.press("#threshold", "Enter")
    until(lambda: client.get_parameter("stream.threshold") == 0.725)
    page.locator("#threshold").fill("7")
    page.press("#threshold", "Enter")
    assert float(page.input_value("#threshold")) == 0.725


def test_mute_and_reset(open_page, client, until):
    page = open_page()
    page.click("#mute")
    page.wait_for_selector('#mute[aria-pressed="true"]')
    assert client.get_parameter("speech.muted") is True
    page.click("#mute")
    page.wait_for_selector('#mute[aria-pressed="false"]')
    assert client.get_parameter("speech.muted") is False
    page.click("#reset")
    page.wait_for_timeout(1000)
    assert page.locator(".notice.bad").count() == 0


def test_the_figures_of_the_diagnostics_are_all_there(open_page):
    page = open_page()
    holds(page, "![...document.querySelectorAll('#figures dd span')].some(each => each.textContent === '–')")


def test_a_console_that_nobody_looks_at_subscribes_to_nothing(open_page, node, until):
    page = open_page()

    def watched():
        return {topic for topic, _ in node.get_subscriber_names_and_types_by_node("console", "/")} & set(WATCHED)

    until(lambda: watched() == set(WATCHED))
    page.close()
    until(lambda: not watched())
    assert node.count_subscribers(f"{NAME}/utterance_partial") == 0


def test_the_images_go_to_a_page_at_most_five_times_a_second(console, client):
    with watch(console) as viewer:
        events_until(viewer, lambda event: event["type"] == "probability")
        count, end = 0, time.monotonic() + 4
        while time.monotonic() < end:
            count += isinstance(viewer.recv(60), bytes)
    assert 2 <= count <= 22


def test_what_was_held_back_is_told_as_such(console, node):
    said = node.create_publisher(AssistantUtterance, "/fake/assistant/utterance", 10)
    held = node.create_publisher(AssistantUtterance, "/fake/assistant/held_back", 10)
    message = AssistantUtterance(final=True, text="The cup moves.")
    message.header.stamp.sec = 5
    try:
        with watch(console) as viewer:
            events_until(viewer, lambda event: "/fake/assistant" in str(event.get("names")))
            viewer.send(json.dumps({"do": "choose", "assistant": "/fake/assistant"}))
            deadline = time.monotonic() + 60
            while not held.get_subscription_count():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            held.publish(message)
            events = events_until(viewer, lambda event: event["type"] == "utterance")
    finally:
        node.destroy_publisher(said)
        node.destroy_publisher(held)
    (event,) = [event for event in events if event["type"] == "utterance"]
    assert event["held_back"]
    assert event["final"]
    assert event["text"] == "The cup moves."


def test_another_assistant_can_be_chosen(open_page, graph, tmp_path_factory):
    other = type(graph)("/second", tmp_path_factory.mktemp("second"))
    other.start_assistant(remap=["image:=/demo/image"])
    try:
        page = open_page()
        page.wait_for_selector('#assistants option[value="/second/assistant"]', state="attached")
        page.select_option("#assistants", "/second/assistant")
        holds(page, "document.getElementById('topic').textContent === '/demo/image'")
        page.wait_for_selector('#state[data-level="ok"]')
        assert is_answered(page, "Which of the two are you?")
        page.select_option("#assistants", NAME)
        holds(page, "!document.getElementById('feed').innerText.includes('Which of the two')")
    finally:
        other.stop_all()
    says(page, "/second/assistant (gone)")


def test_an_attack_on_the_console_does_not_touch_the_assistant(console, client):
    errors = []
    for _ in range(3):
        opened = []
        for _ in range(300):
            with contextlib.suppress(OSError):
                opened.append(socket.create_connection(("127.0.0.1", console), 5))
        answer = client.ask(QUESTION, timeout=60)
        errors += [] if answer.text else ["no answer"]
        for connection in opened:
            connection.close()
    assert not errors


def test_a_camera_that_goes_and_comes_back_is_shown_as_such(open_page, graph):
    page = open_page()
    graph.stop("simulated_camera")
    says(page, "No camera: nobody publishes on /demo/image.")
    assert page.inner_text("#state") == "no camera"
    graph.start_camera()
    page.wait_for_selector('#state[data-level="ok"]')
    holds(page, "!document.querySelector('.camera.stale')")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_page_survives_the_restart_of_the_assistant(open_page, graph, end):
    page = open_page()
    graph.stop("assistant_node", end)
    page.wait_for_selector('#state[data-level="bad"]')
    assert page.inner_text("#state") in ("no assistant", "no sign of life")
    assert page.is_disabled("#question")
    graph.start_assistant()
    page.wait_for_selector('#state[data-level="ok"]')
    question = f"What is on the table after {end.name}?"
    page.fill("#question", question)
    page.click("#send")
    assert last_answer(page, question).locator(".text").inner_text()
    holds(page, "document.getElementById('send').textContent === 'Ask'")


def test_the_page_survives_the_restart_of_the_console_and_says_when_the_token_is_another(
    browser, console_process, client
):
    with contextlib.closing(browser.new_context()) as context:
        context.set_default_timeout(SECONDS)
        page = context.new_page()
        with console_process(TOKEN) as port:
            page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}")
            page.wait_for_selector('#state[data-level="ok"]')
        page.wait_for_selector('#state:not([data-level="ok"])')
        with console_process(TOKEN, port):
            page.wait_for_selector('#state[data-level="ok"]')
            asked = (f"What is on the table after the restart, {number}?" for number in range(3))
            assert any(is_answered(page, question) for question in asked)
        with console_process("another-token-altogether", port):
            says(page, "started again with another token")
