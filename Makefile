# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# make demo | console | test | test-fast | coverage | lint | format | docs | train-demo | setup | clean: each does the
# set-up it needs.
# docs/setup.md has the details.

SHELL := /bin/bash
.SHELLFLAGS := -e -o pipefail -c
.DELETE_ON_ERROR:

# Settings: make setup PYTHON=python3.12, make demo SECONDS=60 SEED=9007 VIDEO=clip.mp4, make test PYTEST_ARGS="-k cache -x" WORKERS=0
PYTHON ?= python3
SECONDS ?= 30
SEED ?=
VIDEO ?=
PYTEST_ARGS ?=
# Tests run in as many processes, and those of one file in one of them: a file shares nodes and models.
WORKERS ?= 2
IN_PARALLEL = -n $(WORKERS) --dist loadfile

# ROS_DISTRO is set where a ROS 2 distribution is sourced: it is used then, and the wheels otherwise.
ROS := $(or $(ROS_DISTRO),wheels)
MADE_FOR := .venv/made-for-$(ROS)
PACKAGES := .venv/packages-installed
INTERFACES := build/interfaces-built

pip_install := .venv/bin/python -m pip install --disable-pip-version-check --quiet --constraint .venv/constraints.txt
requirement_sets := library training evaluation test console
ifeq ($(ROS),wheels)
  requirement_sets += images ros
  # The wheels are a prefix to CMake and ament; the include file says what else they need.
  build_env := AMENT_PREFIX_PATH=$(CURDIR)/.venv CMAKE_PREFIX_PATH=$(CURDIR)/.venv
  build_args := -DCMAKE_PROJECT_videollm_ros_INCLUDE=$(CURDIR)/cmake/wheels.cmake
else
  venv_args := --system-site-packages
endif

.PHONY: setup demo console test test-fast coverage lint format docs train-demo clean

setup: $(INTERFACES)

demo: setup
	@source ./activate.sh; python -m videollm_ros.node.demo --seconds $(SECONDS) --video '$(VIDEO)' $(if $(SEED),--seed $(SEED))

# The operator's page with the demo camera and the demo checkpoint: PORT=8770, SEED, VIDEO.
console: setup
	@source ./activate.sh; VIDEO='$(VIDEO)' python -m videollm_ros.node.console.demo

test: setup
	@source ./activate.sh; python -m pytest $(IN_PARALLEL) $(PYTEST_ARGS)

# Without ROS, browsers, training runs and whatever else takes seconds. It says so at its end.
test-fast: setup
	@source ./activate.sh; python -m pytest -q $(IN_PARALLEL) --ignore test/node -m "not ros and not slow and not gpu" $(PYTEST_ARGS)
	@echo "Left out: nodes (test/node, -m ros), what trains or takes seconds (-m slow), a GPU (-m gpu). make test runs all."

coverage: setup
	@source ./activate.sh; python -m pytest -q $(IN_PARALLEL) --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

lint: $(PACKAGES)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@PYTHONPATH=. .venv/bin/lint-imports --no-cache > .venv/lint-imports.txt || { cat .venv/lint-imports.txt; exit 1; }
	@.venv/bin/mypy

format: $(PACKAGES)
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

# The site in build/site, from docs/ and the docstrings. It opens without a server and without a network.
docs: $(PACKAGES)
	@$(pip_install) -r requirements/docs.txt
	@.venv/bin/mkdocs build --quiet --strict

# The demo checkpoint, from nothing (docs/demo_checkpoint.md). A killed run goes on where it was.
train-demo: $(PACKAGES)
	@.venv/bin/python -m videollm_ros.training --config config/train/demo.yaml
	@mkdir -p checkpoints/demo
	@cp -r runs/demo/model/. checkpoints/demo/

clean:
	rm -rf .venv build install log .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(MADE_FOR):
	@if ls .venv/made-for-* >/dev/null 2>&1; then \
	  echo "setup: .venv was made for $$(ls .venv/made-for-* | sed 's/.*made-for-//'), and this shell has $(ROS):" \
	    "use a matching shell, or start again with make clean setup." >&2; \
	  exit 1; \
	fi
	@tools/check_machine.sh $(PYTHON)
	@echo "setup: making .venv with $$($(PYTHON) --version) for ROS 2 from $(ROS)"
	@$(PYTHON) -m venv --clear $(venv_args) .venv
	@touch $@

# torch goes first and exactly as pinned, so that nothing else can ask for another build of it.
# A distribution brings its own numpy, OpenCV and pytest, which its binary modules and plugins were made for.
$(PACKAGES): $(MADE_FOR) constraints.txt $(wildcard requirements/*.txt)
	@echo "setup: installing Python packages (minutes the first time)"
ifeq ($(ROS),wheels)
	@cp constraints.txt .venv/constraints.txt
else
	@grep -vE '^(numpy|opencv-python-headless|pytest)==' constraints.txt > .venv/constraints.txt
	@.venv/bin/python -c 'import numpy; print("numpy==" + numpy.__version__)' >> .venv/constraints.txt
endif
	@$(pip_install) $$(grep '^torch==' constraints.txt)
	@$(pip_install) $(requirement_sets:%=-r requirements/%.txt)
	@$(pip_install) --no-deps -r requirements/tokenizer.txt
	@touch $@

# Python modules, launch and configuration files are linked, not copied: only a new file of the latter two,
# or a change of the interfaces, needs a build.
$(INTERFACES): $(PACKAGES) $(wildcard msg/*.msg srv/*.srv action/*.action) CMakeLists.txt package.xml \
               $(wildcard cmake/*.cmake) \
               $(shell find scripts launch config checkpoints foxglove web -type d -not -name __pycache__ 2>/dev/null)
	@tools/check_machine.sh .venv/bin/python
	@echo "setup: building the ROS 2 interfaces"
	@mkdir -p build
	@source .venv/bin/activate; $(build_env) colcon --log-base build/log build --base-paths . \
	  --build-base build --install-base install --merge-install --symlink-install --cmake-force-configure \
	  --cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE=$(CURDIR)/.venv/bin/python $(build_args) \
	  > build/colcon.txt 2>&1 || { cat build/colcon.txt >&2; exit 1; }
	@touch $@
	@echo "setup: done. For a shell with ROS 2 and this package: source ./activate.sh"
ifeq ($(ROS),wheels)
	@echo "setup: make demo shows the assistant. What takes the place of the ros2 command: docs/setup.md"
else
	@echo "setup: then, for instance: ros2 launch videollm_ros assistant.launch.py camera:=simulated"
endif
