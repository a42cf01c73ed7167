# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The set-up names what is missing, and the package says the same of itself everywhere."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

import videollm_ros

ROOT = Path(__file__).parent.parent
TOOLS = ("cmake", "cc", "c++")


def check_machine(folder: Path, tools: tuple[str, ...], python: str, **env: str) -> subprocess.CompletedProcess:
    """Run tools/check_machine.sh on a machine whose PATH holds `tools` and the given Python script alone."""
    for tool in ("uname", *tools):
        (folder / tool).symlink_to(shutil.which(tool) or "/bin/true")
    (folder / "python3").write_text(python)
    (folder / "python3").chmod(0o755)
    return subprocess.run(
        ["/bin/sh", ROOT / "tools" / "check_machine.sh", "python3"],
        env={"PATH": str(folder), **env},
        capture_output=True,
        text=True,
    )


THIS_PYTHON = f'#!/bin/sh\nexec {sys.executable} "$@"\n'


def test_a_machine_with_everything_passes(tmp_path):
    result = check_machine(tmp_path, TOOLS, THIS_PYTHON)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(("tool", "package"), [("cmake", "cmake"), ("cc", "gcc"), ("c++", "g++")])
def test_a_missing_tool_is_named_with_its_package(tmp_path, tool, package):
    result = check_machine(tmp_path, tuple(t for t in TOOLS if t != tool), THIS_PYTHON)
    assert result.returncode == 1
    assert re.search(rf"{re.escape(tool)}\)? is missing: install {re.escape(package)}\.", result.stderr)
    assert result.stderr.endswith(f"sudo apt-get install {package}\n")


def test_a_python_without_venv_is_named_with_its_package(tmp_path):
    no_venv = f"""#!/bin/sh
case "$2" in *ensurepip*) exit 1 ;; *) exec {sys.executable} "$@" ;; esac
"""
    result = check_machine(tmp_path, TOOLS, no_venv)
    assert result.returncode == 1
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"install python{version}-venv." in result.stderr


@pytest.mark.parametrize("version", ["3.9", "3.14", "2.7"])
def test_a_python_that_is_too_old_or_too_new_is_refused(tmp_path, version):
    result = check_machine(tmp_path, TOOLS, f"#!/bin/sh\necho {version}\n")
    assert result.returncode == 1
    assert f"python3 is Python {version}, and videollm_ros needs 3.10" in result.stderr


@pytest.mark.parametrize(
    ("lacks", "named"),
    [
        ("rclpy", "cannot import its rclpy: name the Python that it was built for"),
        ("cv2", "OpenCV is missing: install python3-opencv."),
        ("colcon", "colcon is missing: install python3-colcon-common-extensions."),
    ],
)
def test_what_a_sourced_distribution_lacks_is_named(tmp_path, lacks, named):
    python = f"""#!/bin/sh
case "$2" in *{lacks}*) exit 1 ;; *rclpy*|*cv2*) ;; *) exec {sys.executable} "$@" ;; esac
"""
    tools = TOOLS if lacks == "colcon" else (*TOOLS, "colcon")
    result = check_machine(tmp_path, tools, python, ROS_DISTRO="jazzy")
    assert result.returncode == 1
    assert named in result.stderr


def test_the_version_is_the_same_in_package_xml_and_in_python():
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == videollm_ros.__version__


def test_package_xml_is_valid():
    package = pytest.importorskip("catkin_pkg.package", reason="catkin_pkg comes with ROS")
    warnings = []
    parsed = package.parse_package(ROOT / "package.xml", warnings=warnings)
    parsed.validate(warnings=warnings)
    assert warnings == []
    assert [group.name for group in parsed.member_of_groups] == ["rosidl_interface_packages"]


def test_every_requirement_has_its_tested_version_in_the_constraints():
    def names(path: Path) -> set[str]:
        found = re.findall(r"^[A-Za-z0-9][A-Za-z0-9._-]*", path.read_text(), flags=re.MULTILINE)
        return {re.sub(r"[._-]+", "-", name).lower() for name in found}

    asked = set().union(*(names(path) for path in (ROOT / "requirements").glob("*.txt")))
    assert asked <= names(ROOT / "constraints.txt")


@pytest.mark.slow
def test_pip_installs_the_library_and_the_demo_checkpoint_without_the_node(tmp_path):
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("goldens", "__pycache__")
    shutil.copytree(ROOT / "videollm_ros", source / "videollm_ros", ignore=ignored)
    for folder in ("msg", "requirements"):
        shutil.copytree(ROOT / folder, source / folder)
    shutil.copytree(ROOT / "checkpoints", source / "checkpoints")
    for name in ("setup.py", "pyproject.toml", "package.xml", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*pip, tmp_path, source], check=True, env=dict(os.environ, PYTHONPATH=""))
    (wheel,) = tmp_path.glob("videollm_ros-*.whl")
    files = zipfile.ZipFile(wheel).namelist()
    assert "videollm_ros/live/model.py" in files
    assert not [name for name in files if name.startswith("videollm_ros/node/")]
    assert any(name.endswith("data/share/videollm_ros/checkpoints/demo/llm/model.safetensors") for name in files)


@pytest.fixture
def set_up():
    """Runs a bash line in this repository, after make setup has run there."""
    if not (ROOT / "build" / "interfaces-built").exists():
        pytest.skip("make setup has not run in this folder")
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "VIRTUAL_ENV")
    }

    def run(line: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
        return subprocess.run(["bash", "-c", line], cwd=cwd, env=clean, capture_output=True, text=True)

    return run


@pytest.mark.ros
@pytest.mark.parametrize(("cwd", "module"), [("/", "live"), (ROOT, "media.images")])
def test_an_activated_shell_has_the_messages_and_the_library_in_any_folder(set_up, cwd, module):
    code = f"import videollm_ros.{module}; from videollm_ros.msg import AssistantUtterance"
    result = set_up(f"source {ROOT}/activate.sh && python -c '{code}'", cwd)
    assert result.returncode == 0, result.stderr


@pytest.mark.ros
@pytest.mark.parametrize(
    ("changed", "needs_make"),
    [("msg/SpeakProbability.msg", True), ("constraints.txt", True), ("videollm_ros/live/model.py", False)],
)
def test_only_what_the_build_depends_on_makes_it_run_again(set_up, changed, needs_make):
    assert set_up("make -q setup").returncode == 0, "something changed since make setup, or it never comes to an end"
    assert set_up(f"make -q -W {changed} setup").returncode == needs_make


@pytest.mark.ros
def test_the_set_up_ends_by_saying_how_to_go_on(set_up):
    recipe = set_up("make -n -W msg/SpeakProbability.msg setup").stdout
    said = [line for line in recipe.splitlines() if line.startswith('echo "setup: ')]  # make may say more after it
    assert "source ./activate.sh" in said[-2]
    assert "docs/setup.md" in said[-1] or "ros2 launch" in said[-1]


@pytest.mark.ros
def test_a_shell_of_another_ros_is_refused(set_up):
    result = set_up(f"ROS_DISTRO=rolling; source {ROOT}/activate.sh")
    assert result.returncode == 1
    assert "was not made for ROS 2 from rolling" in result.stderr
    result = set_up("ROS_DISTRO=rolling make setup")
    assert "make clean setup" in result.stderr
