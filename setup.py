# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""pip install . of the library where there is no ROS: everything but videollm_ros.node.

With ROS 2, colcon builds the package from CMakeLists.txt and this file plays no part.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
DEMO = Path("checkpoints/demo")  # relative, as setuptools wants it
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()


def requirements(name: str) -> list[str]:
    """The ranges of requirements/NAME.txt, one string each."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


setup(
    name=PACKAGE.findtext("name"),
    version=PACKAGE.findtext("version"),
    description=" ".join(PACKAGE.findtext("description").split()),
    license=PACKAGE.findtext("license"),
    packages=find_packages(include=["videollm_ros*"], exclude=["videollm_ros.node*"]),
    package_data={
        "videollm_ros": ["py.typed"],
        "videollm_ros.data": ["maps/*.yaml", "templates/*.html", "generation/*.yaml"],
        "videollm_ros.evaluation.report": ["*.html", "*.css", "*.js", "vendor/*/*"],
    },
    data_files=[
        (f"share/videollm_ros/{folder}", [str(path) for path in folder.iterdir() if path.is_file()])
        for folder in [DEMO, *DEMO.glob("*/"), Path("msg")]
    ],
    python_requires=">=3.10",
    entry_points={
        "console_scripts": [
            "videollm-data = videollm_ros.data.__main__:main",
            "videollm-train = videollm_ros.training.__main__:main",
            "videollm-evaluate = videollm_ros.evaluation.__main__:main",
        ]
    },
    install_requires=requirements("library") + requirements("images"),
    extras_require={
        "benchmark": requirements("benchmark"),
        "evaluate": requirements("evaluation"),
        "generate": requirements("generation"),
        "judge": requirements("judge"),
        "quantization": requirements("quantization"),
        "ray": requirements("ray"),
        "similarity": requirements("similarity"),
        "test": requirements("test"),
        "train": requirements("training"),
    },
)
