# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Strangers at the console: refused or bounded, with the console and the assistant untouched."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")
pytest.importorskip("starlette", reason="the console's packages are not installed: requirements/console.txt")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from videollm_ros.node.console.hub import MAX_VIEWERS
from videollm_ros.node.console.server import MAX_CONNECTIONS, MAX_MESSAGE

TOKEN = "a-token-for-the-tests-only"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def console(console_process):
    with console_process(TOKEN) as port:
        yield port


def get(port, path, headers=None, method="GET"):
    """Status, headers and body. Redirects are not followed."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    with connection:
        head = {"Host": f"127.0.0.1:{port}", "Connection": "close", **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    top, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = top.decode().split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, v in (each.split(": ", 1) for each in rest)}, body


def look(port, **headers):
    return connect(
        f"ws://127.0.0.1:{port}/ws", additional_headers={**BEARER, **headers}, open_timeout=20, max_size=None
    )


def is_well(port):
    return get(port, "/", BEARER)[0] == 200


def test_without_the_token_nothing_is_served(console):
    for path in ("/", "/main.js", "/frame?assistant=/demo/assistant&stamp=1", "/ws", "/?token=", "/?token=wrong"):
        status, headers, body = get(console, path)
        assert status == 401, path
        assert b"needs its token" in body
        assert "set-cookie" not in headers


def test_a_wrong_token_is_refused_wherever_it_is_given(console):
    for headers in (
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"videollm_console_{console}=wrong"},
        {"Cookie": "videollm_console_1=" + TOKEN},
        {"Cookie": '"; =\x7f;'},
        {"Authorization": "Bearer \u00e9".encode().decode("latin-1")},
    ):
        assert get(console, "/", headers)[0] == 401


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address(console):
    status, headers, _ = get(console, f"/?token={TOKEN}")
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert get(console, "/", {"Cookie": cookie.split(";")[0]})[0] == 200


def test_every_response_forbids_foreign_content_and_frames(console):
    for headers in (get(console, "/", BEARER)[1], get(console, "/")[1]):
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", "https://localhost"]
)
def test_a_page_of_another_site_is_refused_even_with_the_token(console, origin):
    assert get(console, "/", {**BEARER, "Origin": origin})[0] == 403
    with pytest.raises(InvalidStatus) as refusal:
        look(console, Origin=origin)
    assert refusal.value.response.status_code == 403


def test_the_console_s_own_page_is_let_in(console):
    with look(console, Origin=f"http://127.0.0.1:{console}") as viewer:
        assert json.loads(viewer.recv(10))[0]["type"] == "assistants"


def test_a_name_that_was_made_to_point_here_is_refused(console):
    assert get(console, "/", {**BEARER, "Host": f"rebound.example:{console}"})[0] == 403
    assert get(console, "/", {**BEARER, "Host": "["})[0] == 403
    assert get(console, "/", {**BEARER, "Host": f"localhost:{console}"})[0] == 200


def test_a_viewer_without_the_token_is_refused(console):
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"ws://127.0.0.1:{console}/ws", open_timeout=20)
    assert refusal.value.response.status_code in (401, 403)


@pytest.mark.parametrize(
    "path",
    [
        "/../../package.xml",
        "/..%2f..%2fpackage.xml",
        "/%2e%2e/%2e%2e/package.xml",
        "/vendor/../../../package.xml",
        "//etc/passwd",
        "/..%5c..%5cpackage.xml",
        "/%00",
        "/frame?assistant=../../x&stamp=../../etc/passwd",
        "/frame?assistant=/demo/assistant&stamp=" + "9" * 5000,
        "/frame?assistant=/demo/assistant&stamp=%D9%A1",
    ],
)
def test_no_path_leads_out_of_the_page(console, path):
    status, _, body = get(console, path, BEARER)
    assert status in (404, 400), path
    assert b"<package" not in body
    assert b"root:" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_reading_is_possible_over_http(console, method):
    assert get(console, "/", BEARER, method)[0] == 405


def test_a_body_of_100_mb_is_not_read(console):
    with socket.create_connection(("127.0.0.1", console), 10) as connection:
        connection.sendall(
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{console}\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Length: 104857600\r\n\r\n".encode()
        )
        sent = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(bytes(2**20))
                sent += 1
        assert sent < 50
    assert is_well(console)


def test_headers_of_100_mb_are_not_read(console):
    with socket.create_connection(("127.0.0.1", console), 10) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{console}\r\nX: ".encode())
        sent = 0
        for _ in range(100):
            connection.sendall(b"x" * 2**20)
            sent += 1
        pytest.fail(f"{sent} MB were taken")
    assert is_well(console)


def test_a_message_of_100_mb_ends_its_sender_alone(console):
    with look(console) as other, look(console) as viewer:
        with pytest.raises(ConnectionClosed):
            viewer.send("x" * 100 * 2**20)
            read_on(viewer)
        assert viewer.close_code in (1009, 1006)
        other.send(json.dumps({"do": "nothing of the kind"}))
        assert "There is no such command" in until_result(other)["message"]
    assert is_well(console)


def read_on(viewer):
    """Read until the connection ends, for a while."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        viewer.recv(20)


def until_result(viewer):
    for _ in range(500):
        message = viewer.recv(20)
        if isinstance(message, str):
            for event in json.loads(message):
                if event["type"] == "result":
                    return event
    raise AssertionError("there was no result")


@pytest.mark.parametrize(
    "message", ["", "not json", "[]", "1", "null", '"x"', "[" * (MAX_MESSAGE - 100), b"\x00\x01", '{"do": ' * 1000]
)
def test_what_is_no_command_ends_its_sender(console, message):
    with look(console) as viewer:
        viewer.send(message)
        with pytest.raises(ConnectionClosed):
            read_on(viewer)
        assert viewer.close_code == 1007
    assert is_well(console)


@pytest.mark.parametrize(
    "command",
    [
        {},
        {"do": None},
        {"do": ["ask"]},
        {"do": "__init__"},
        {"do": "choose", "assistant": "/etc"},
        {"do": "choose", "assistant": {"a": 1}},
        {"do": "threshold", "value": "0.5"},
        {"do": "threshold", "value": True},
        {"do": "threshold"},
        {"do": "mute", "value": 1},
        {"do": "ask", "text": 5},
    ],
)
def test_a_wrong_command_is_answered_with_a_sentence(console, command):
    with look(console) as viewer:
        viewer.send(json.dumps(command))
        result = until_result(viewer)
    assert not result["ok"]
    assert result["message"].endswith(".")


def test_not_a_number_is_no_threshold(console):
    with look(console) as viewer:
        viewer.send('{"do": "threshold", "value": NaN}')
        assert until_result(viewer)["message"] == "A threshold is a number from 0 to 1."


def test_of_a_thousand_connections_a_bounded_number_is_kept(console):
    opened = []
    try:
        for _ in range(1000):
            with contextlib.suppress(OSError):
                opened.append(socket.create_connection(("127.0.0.1", console), 5))
        time.sleep(1.0)
        alive = 0
        for connection in opened:
            connection.setblocking(False)
            try:
                alive += connection.recv(1) != b""
            except BlockingIOError:
                alive += 1
            except OSError:
                pass
        assert alive <= MAX_CONNECTIONS
    finally:
        for connection in opened:
            connection.close()
    recovers(console)


def recovers(port):
    """Whether the page is served within a while."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError, IndexError):
            if is_well(port):
                return
        assert time.monotonic() < deadline, "the console did not recover"
        time.sleep(0.1)


def test_connections_that_say_nothing_are_closed_and_make_room(console):
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", console), 5))
        recovers(console)


def test_one_viewer_too_many_is_told_so(console):
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_VIEWERS):
            stack.enter_context(look(console))
        late = stack.enter_context(look(console))
        with pytest.raises(ConnectionClosed):
            late.recv(20)
        assert late.close_code == 1013
        assert "viewers are here already" in late.close_reason
    time.sleep(0.5)
    with look(console) as viewer:
        assert viewer.recv(20)


def start_badly(arguments, **environment):
    command = [sys.executable, "-m", "videollm_ros.node.console", "--ros-args", *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)


def test_a_port_that_is_taken_is_a_sentence_and_an_exit_code(console):
    ended = start_badly(["-p", f"port:={console}"])
    assert ended.returncode == 1
    assert "console: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_short_token_is_a_sentence_and_an_exit_code(console):
    ended = start_badly([], VIDEOLLM_CONSOLE_TOKEN="short")
    assert ended.returncode == 1
    assert "give at least 16" in ended.stderr


def test_the_token_is_in_no_parameter_and_in_no_log(console_process, tmp_path, node):
    logs = []
    from rcl_interfaces.msg import Log

    subscription = node.create_subscription(Log, "/rosout", lambda message: logs.append(message.msg), 100)
    with console_process("another-token-of-the-tests") as port:
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/?token=another-token-of-the-tests", timeout=10)
        time.sleep(1.0)
    node.destroy_subscription(subscription)
    assert not any("another-token" in line for line in logs)
