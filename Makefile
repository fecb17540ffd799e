PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
LAYOUT := build/layout

.DEFAULT_GOAL := help
.PHONY: help demo test lint format flights shop bench soak proto stubs dashboard simulate endless mutants fuzz nemesis picture clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: $(READY) ## run the scripted demonstration
	@$(BIN)/gossamer demo --script

test: $(READY) ## run the tests
	$(BIN)/pytest -n 2 --dist worksteal

lint: $(READY) ## check style, types and which module imports which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@rm -rf $(LAYOUT) && mkdir -p $(LAYOUT)
	@cp -R node $(LAYOUT)/gossamer && cp -R crdt proto $(LAYOUT)/gossamer
	cd $(LAYOUT) && $(CURDIR)/$(BIN)/lint-imports --no-cache --config $(CURDIR)/pyproject.toml

flights: $(READY) ## take 336,776 flights through three nodes and compare them with the file
	$(BIN)/python bench/flights.py

shop: $(READY) ## run the shop of examples/shop, break it, and report: make shop RATE=5
	$(BIN)/python -m examples.shop $(if $(RATE),--orders-per-s $(RATE))

bench: .venv/bench ## measure, beside what is installed, into docs/performance.md: make bench ONLY="reads writes"
	$(BIN)/python bench/run.py --json build/bench.json --page docs/performance.md $(if $(ONLY),--only $(ONLY))

soak: $(READY) ## load three nodes for long, and see that nothing grows: make soak MINUTES=30
	$(BIN)/python bench/soak.py --minutes $(or $(MINUTES),30)

format: $(READY) ## rewrite the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

proto: $(READY) ## generate the code in proto/ from its .proto files
	@rm -rf build/gen && mkdir -p build/gen
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Igossamer/proto=proto \
		--python_out=build/gen --grpc_python_out=build/gen \
		--mypy_out=build/gen --mypy_grpc_out=build/gen proto/*.proto
	mv build/gen/gossamer/proto/* proto/
	$(BIN)/python tools/stubs.py

dashboard: $(READY) ## write Grafana's dashboard from its panels
	$(BIN)/python tools/dashboard.py

picture: $(READY) ## make the picture of the status page anew
	$(BIN)/python -m tests.web.picture docs/status-page.png

stubs: $(READY) ## tell type checkers of new modules
	$(BIN)/python tools/stubs.py

simulate: $(READY) ## run random schedules: make simulate SEEDS=10000 FROM=0
	$(BIN)/python -m tests.simulation.run --seeds $(or $(SEEDS),2000) --start $(or $(FROM),0)

fuzz: $(READY) ## give every decoder and method bad input: make fuzz INPUTS=1000000 SEED=1
	$(BIN)/python -m tests.fuzz.run --inputs $(or $(INPUTS),1000000) --seed $(or $(SEED),1)

endless: $(READY) ## run random schedules of every kind in turn, without end: make endless FROM=1000000
	$(BIN)/python -m tests.simulation.run --endless --start $(or $(FROM),1000000)

mutants: $(READY) ## plant each seeded bug and print who noticed it
	$(BIN)/python -m tests.mutants

nemesis: $(READY) ## break real nodes in every way (as root): make nemesis FAULTS=200 SEED=1 NODES=4
	$(BIN)/python -m tests.processes.nemesis --faults $(or $(FAULTS),200) --seed $(or $(SEED),1) \
		--nodes $(or $(NODES),4) --report $(or $(REPORT),build/nemesis.json)

clean: ## remove the environment and everything built
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bench: $(READY)
	@echo 'Installing what stands beside us ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Gossamer needs Python 3.11 or newer; name one with make PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo 'This Python cannot make virtual environments; on Debian: apt install python3-venv' >&2; exit 1; }
	@echo 'Installing into .venv ...'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@
