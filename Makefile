# The newcomer's two commands are `make up` and `make test`.
# Everything lands in this folder: .venv (Python), .lab (containerd, runc, …), .node (the node).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := .node
PLUGINS := gvisor nvidia dockerd mirrors
SETTINGS := examples/first-node/config.toml
# Tests that run beside each other; many of them wait for k0s's debounce and respawn.
JOBS ?= 5
GALAXY = $(BIN)/ansible-galaxy collection
export PATH := $(CURDIR)/.lab/bin:$(PATH)

.PHONY: help setup lab lab-all up down test test-pure lint format docs man screenshots bench clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## Make .venv with the host and all four providers.

$(VENV)/.ready: pyproject.toml $(PLUGINS:%=plugins/%/pyproject.toml) k0sruntime/__about__.py lab/venv.py
	$(PYTHON) -m lab.venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable . $(PLUGINS:%=--editable plugins/%)
	touch $@

# The tests build the site, so that its parts are among theirs.
$(VENV)/.dev: $(VENV)/.ready $(VENV)/.docs
	$(BIN)/python -m pip install --quiet --group test --group lint --group build --group bench --group fleet
	touch $@

lab:  ## Bring containerd 2.x, runc, crun and a probe image into .lab.
	$(PYTHON) -m lab

lab-all:  ## Bring all parts that the tests use into .lab.
	$(PYTHON) -m lab all

up: setup lab  ## Run a first node in .node and prove it.
	mkdir -p $(NODE)/var/lib/k0s/images
	cp -u .lab/images/probe.tar $(NODE)/var/lib/k0s/images/
	mkdir -p $(NODE)/etc/k0sruntime
	test -e $(NODE)/etc/k0sruntime/config.toml || cp $(SETTINGS) $(NODE)/etc/k0sruntime/config.toml
	$(BIN)/k0sruntime up --sandbox $(NODE)

down: setup  ## Take the first node away.
	$(BIN)/k0sruntime down --sandbox $(NODE) --pods --purge

test: $(VENV)/.dev lab-all  ## Run all tests, those of the real parts included.
	K0SRUNTIME_REAL=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-pure: $(VENV)/.dev  ## Run the tests that need neither root nor the real parts.
	$(BIN)/python -m pytest -m "not real"

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

docs: $(VENV)/.docs  ## Build the site into site/; a link to nowhere fails.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Ansible's own folder, and the collection as it is installed, for ansible-lint alone: an installation
# in the path of `make test` would keep the tests from making their own.
lint: export ANSIBLE_HOME := $(CURDIR)/$(VENV)/ansible
lint: export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/$(VENV)/ansible
lint: $(VENV)/.dev  ## Check style and types.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy k0sruntime lab bench docs/generate/texts.py docs/generate/links.py
	$(foreach plugin,$(PLUGINS),$(BIN)/mypy plugins/$(plugin)/k0sruntime_$(plugin) &&) true
	$(GALAXY) build deploy/ansible --force --output-path $(VENV)/ansible
	$(GALAXY) install --offline --force -p $(VENV)/ansible $(VENV)/ansible/k0sruntime-node-*.tar.gz
	cd deploy/ansible && $(CURDIR)/$(BIN)/ansible-lint --offline --strict --profile production -q

format: $(VENV)/.dev  ## Format the code.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

man: $(VENV)/.ready  ## Write the man pages into build/man.
	$(BIN)/python -m k0sruntime man build/man

screenshots: $(VENV)/.dev  ## Make the pictures in docs/images anew.
	$(PYTHON) -m lab browser
	$(BIN)/python -m lab.screenshots

bench: $(VENV)/.dev lab-all  ## Measure speed as ratios in one run.
	$(BIN)/python -m bench

clean:  ## Remove everything that make has made here; run `make down` first.
	rm -rf $(VENV) .lab dist build site
