# make demo: the whole loop on the embedded default. make test: the tests. make docs: the site. All install first.
PYTHON ?= python3
BIN := .venv/bin
export YOLO_OFFLINE = true
export YOLO_AUTOINSTALL = false
export HF_HUB_OFFLINE = 1

.PHONY: demo test tutorials fuzz docs check typecheck install clean

demo: install
	$(BIN)/sipo-loop --out runs/demo

test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

# What docs/tutorials say, done as it stands: about two minutes of a core.
tutorials: install
	$(BIN)/python -m pytest -m "slow or not slow" tests/test_tutorials.py

# The site, in build/site; a broken link ends it. In a venv of its own, for its libraries are others'.
docs: install build/docs/installed
	$(BIN)/python tests/cli_reference.py
	build/docs/bin/zensical build --clean --strict
	@echo "See build/site/index.html; with search: $(PYTHON) -m http.server -d build/site"

build/docs/installed: pyproject.toml
	$(PYTHON) -m venv build/docs
	build/docs/bin/pip install --quiet --disable-pip-version-check $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['docs'])")
	touch $@

# Every parser of what people hand in, 20,000 odd inputs each: about two hours of one core.
fuzz: install
	SIPO_FUZZ=20000 $(BIN)/python -m pytest tests/fuzz

check: install typecheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	HF_HUB_OFFLINE= $(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# mypy sees the package `sipo` through a tree of links.
ROOMS := common weights pages feedback backbones datagen train geneval loop mini recipes
typecheck: install
	mkdir -p build/typing/sipo
	for file in $(notdir $(wildcard sipo/*.py)) py.typed; do ln -sfn ../../../sipo/$$file build/typing/sipo/$$file; done
	for room in $(ROOMS); do ln -sfn ../../../$$room build/typing/sipo/$$room; done
	MYPYPATH=build/typing $(BIN)/mypy -p sipo

clean:
	rm -rf .venv build *.egg-info runs shards eval
