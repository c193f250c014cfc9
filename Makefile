# One command for each job. Everything is installed into .venv, in the versions of constraints.txt.

PYTHON ?= python3
TORCH ?= 2.13.0
# A process takes tests of one file while it can, which share what is fitted for them.
PYTEST_ARGS ?= -n 2 --dist worksteal
BENCH_ARGS ?=

BIN := .venv/bin
# Two test processes share the processors: OpenMP's threads that wait take them from the other.
TEST_ENVIRONMENT := OMP_WAIT_POLICY=passive
# What an installation depends on; Python sources are read where they lie.
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/*.cpp native/*.hpp)
CHECKED_PYTHON = $(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("linnet needs \
Python 3.11 or later, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
# pip before 25.3 hands PIP_CONSTRAINT on to isolated builds, later ones read PIP_BUILD_CONSTRAINT.
PIP_INSTALL = PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs pictures native golden sanitize bench wheel constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed ## Install linnet into .venv and run the demonstration
	$(BIN)/linnet demo --force

test: lint ## Install the test tools too, check style and types, run the tests
	$(TEST_ENVIRONMENT) $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: .venv/installed-for-tests ## Check style, layout and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

format: .venv/installed-for-tests ## Mend style and layout where that can be done by machine
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/installed ## Renew what docs/ takes from docstrings, help texts and error messages
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_errors.py

pictures: .venv/installed ## Draw the pictures of docs/ anew
	$(BIN)/python docs/make_pictures.py

native: ## Build the native module anew and write its stub
	rm -f .venv/installed-for-tests
	@$(MAKE) --no-print-directory .venv/installed-for-tests
	$(BIN)/python -m nanobind.stubgen --quiet --module linnet._native \
		--output-file src/linnet/_native.pyi

golden: .venv/installed-for-tests ## Record anew what bits each instruction set gives (tests/golden.json)
	$(BIN)/python tests/golden.py --record

# Without Python, in a minute or two. The widest vectors are compiled for AVX2, which works them off in
# halves, so that their kernels are tested on processors without AVX-512 too.
NATIVE_FLAGS := -std=c++17 -O1 -g -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wall -Wextra \
	-Wno-psabi -DLINNET_HAS_X86_LEVELS -DLINNET_TEST_EVERY_LEVEL
NATIVE_SOURCES := native/level.cpp native/tests.cpp $(wildcard native/*.hpp)

build/%/tests: $(NATIVE_SOURCES)
	@mkdir -p $(@D)
	$(CXX) $(NATIVE_FLAGS) -fsanitize=$* -fno-sanitize-recover=all -c native/level.cpp \
		-DLINNET_LEVEL=plain -DLINNET_BYTES=16 -o $(@D)/plain.o
	$(CXX) $(NATIVE_FLAGS) -fsanitize=$* -fno-sanitize-recover=all -c native/level.cpp \
		-DLINNET_LEVEL=v2 -DLINNET_BYTES=16 -march=x86-64-v2 -o $(@D)/v2.o
	$(CXX) $(NATIVE_FLAGS) -fsanitize=$* -fno-sanitize-recover=all -c native/level.cpp \
		-DLINNET_LEVEL=v3 -DLINNET_BYTES=32 -march=x86-64-v3 -o $(@D)/v3.o
	$(CXX) $(NATIVE_FLAGS) -fsanitize=$* -fno-sanitize-recover=all -c native/level.cpp \
		-DLINNET_LEVEL=v4 -DLINNET_BYTES=64 -march=x86-64-v3 -o $(@D)/v4.o
	$(CXX) $(NATIVE_FLAGS) -fsanitize=$* -fno-sanitize-recover=all native/tests.cpp $(@D)/*.o \
		-pthread -o $@

sanitize: ## Test the C++ under the address, undefined-behaviour and thread sanitizers (x86-64)
	$(MAKE) --no-print-directory -j 2 build/address,undefined/tests build/thread/tests
	build/address,undefined/tests 40
	build/thread/tests 8

bench: .venv/installed-for-bench build/tensorflow-venv/installed ## Measure linnet beside others
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

# From the sdist, so that one that lacks a file is seen; and away from this folder, which holds another
# linnet.
wheel: .venv/installed-for-tests ## Build sdist and wheel, and run the demo from the wheel in an empty environment
	rm -rf dist build/empty
	LINNET_REQUIRE_NATIVE=1 PIP_CONSTRAINT=$(CURDIR)/constraints.txt \
		PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv build/empty
	PIP_CONSTRAINT=constraints.txt build/empty/bin/python -m pip install --quiet \
		--disable-pip-version-check dist/*.whl
	build/empty/bin/python -m pip check
	cd build/empty && bin/python -I -c 'import linnet._native' && bin/linnet demo --force
	rm -rf build/empty

constraints: ## Renew constraints.txt with today's versions (TORCH=... chooses that of torch)
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --disable-pip-version-check \
		torch==$(TORCH) scikit-build-core cmake ninja '.[bench,test]'
	sed -n '/^#/p' constraints.txt > build/constraints/new
	build/constraints/bin/python -m pip freeze --exclude linnet \
		| sed -E 's/\+[a-z0-9.]+$$//' >> build/constraints/new
	mv build/constraints/new constraints.txt
	rm -rf build/constraints

clean: ## Remove everything that the other targets made, .venv included
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis linnet-demo
	find src tests -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/pip:
	@$(CHECKED_PYTHON)
	$(PYTHON) -m venv .venv

.venv/installed: $(SOURCES) | .venv/bin/pip
	@echo "Installing linnet into .venv; the first time takes a few minutes."
	$(PIP_INSTALL) --editable .
	@touch $@

# Here a native module that does not compile is an error: the tests are to see it.
.venv/installed-for-tests: $(SOURCES) | .venv/bin/pip
	@echo "Installing linnet and its test tools into .venv; the first time takes a few minutes."
	LINNET_REQUIRE_NATIVE=1 $(PIP_INSTALL) --editable '.[test]'
	@touch $@ .venv/installed

# Peers that cannot be installed are skipped by name; linnet and its native module have to be there.
.venv/installed-for-bench: $(SOURCES) | .venv/bin/pip
	@echo "Installing linnet and its peers into .venv; the first time takes a few minutes."
	LINNET_REQUIRE_NATIVE=1 $(PIP_INSTALL) --editable '.[bench]' && touch $@ \
		|| LINNET_REQUIRE_NATIVE=1 $(PIP_INSTALL) --editable .
	@touch .venv/installed

# TensorFlow wants versions of its own.
build/tensorflow-venv/installed: benchmarks/constraints-tensorflow.txt
	@$(CHECKED_PYTHON)
	$(PYTHON) -m venv build/tensorflow-venv
	build/tensorflow-venv/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint benchmarks/constraints-tensorflow.txt tensorflow-cpu \
		&& touch $@ || echo "TensorFlow cannot be installed here: Keras will be skipped."
