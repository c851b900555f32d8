# Two commands: `make repro` rebuilds everything, `make test` checks everything. Both set up .venv first.

PYTHON ?= python3
VENV := .venv
# DVC starts every stage with the `python` that it finds first.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Python compiles what is imported, once: a seventh of all files, which pip would compile one after the other.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: repro test soak fuzz lint

repro: $(VENV)/installed
	edsr-int8 check
	dvc repro
	edsr-int8 summary

test: $(VENV)/installed-for-tests lint
	pytest -n 2 --dist loadfile --no-loadscope-reorder

# What takes a quarter of an hour: by hand, and before a release.
soak: $(VENV)/installed-for-tests
	PYTHONPATH=tests/support python -m soak.kills
	pytest -s soak

fuzz: $(VENV)/installed-for-tests
	PYTHONPATH=tests/support python -m fuzz.run

lint: $(VENV)/installed-for-tests
	ruff check
	ruff format --check
	mypy
	lint-imports

# What the pipeline needs, and no more: the tools of the tests come with the first `make test`.
$(VENV)/installed: pyproject.toml constraints.txt
	@echo "installing into $(VENV) (a minute or two)"
	$(PYTHON) -m venv $(VENV)
	@# The pip that comes with Python 3.11 takes twice as long.
	pip install --quiet --no-compile --constraint constraints.txt --upgrade pip
	pip install --quiet --no-compile --constraint constraints.txt --editable '.[openvino]'
	touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev,openvino,litert,vela,qnn]'
	touch $@
