# The project's commands. `make run` and `make test` set up what they need by themselves.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := packages/*/src services/*/src standalone/src sdk/src sdk/notebook/src
ARGS ?=
# Tests that load the whole machine or count what is on it; nothing else runs beside them.
APART := tests/attacks tests/browser tests/chaos tests/docker tests/system/test_live.py

.PHONY: run demo test test-cli test-quafu test-kipu test-browser test-docker test-compose test-upgrade attacks chaos live check format bench bench-live bench-executor bench-peers \
	bench-circuits bench-template simulate lock clean

run: .venv/ready  ## Start the runtime on this machine, run the examples, keep serving until Ctrl-C
	@$(BIN)/python -m qrt_standalone --demo $(ARGS)

demo: .venv/ready  ## The same on a throw-away data directory and a free port; exits
	@$(BIN)/python -m qrt_standalone --demo --exit --temporary $(ARGS)

test: .venv/ready-dev check  ## Everything: lint, types, imports, and all tests
	@scripts/system-packages rabbitmq-server bwrap chromium
	@[ "$$(id -u)" != 0 ] || scripts/system-packages --optional dockerd busybox ip debootstrap
	scripts/tests -n 4 --dist loadfile $(APART:%=--ignore=%) --ignore=tests/compose $(ARGS)
	scripts/tests $(APART) $(ARGS)

test-cli: .venv/ready-dev  ## The command line, at a real terminal against a real server; a part of `make test`
	@scripts/system-packages bwrap
	$(BIN)/python -m pytest -m cli $(ARGS)

test-quafu: .venv/ready-dev  ## The Quafu surface, task and backends; a part of `make test`
	@scripts/system-packages rabbitmq-server bwrap
	$(BIN)/python -m pytest -m quafu $(ARGS)

test-kipu: .venv/ready-dev  ## The Kipu surface, projects and their environments; a part of `make test`
	@scripts/system-packages rabbitmq-server bwrap
	$(BIN)/python -m pytest -m kipu $(ARGS)

test-browser: .venv/ready-dev  ## The web console in a real Chromium; screenshots in test-artifacts/; a part of `make test`
	@scripts/system-packages bwrap chromium
	CI=true $(BIN)/python -m pytest tests/browser $(ARGS)

test-upgrade: .venv/ready-dev  ## What earlier releases have stored and published is understood; a part of `make test`
	@scripts/system-packages rabbitmq-server bwrap
	$(BIN)/python -m pytest tests/upgrade $(ARGS)

test-docker: .venv/ready-dev  ## Container programs on an engine of their own (QRT_TEST_ENGINE=podman); a part of `make test` as root
	@scripts/system-packages bwrap $(if $(filter podman,$(QRT_TEST_ENGINE)),podman,dockerd) busybox ip debootstrap
	QRT_REQUIRE_ENGINE=1 $(BIN)/python -m pytest -m docker $(ARGS)

test-compose: .venv/ready-dev  ## compose.yaml on an engine of its own, with base images made here; SEED=n is another order of starts
	@scripts/system-packages bwrap dockerd ip debootstrap
	CI=true QRT_REQUIRE_ENGINE=1 $(if $(SEED),QRT_TEST_SEED=$(SEED)) $(BIN)/python -m pytest tests/compose --durations=5 -rP $(ARGS)

attacks: .venv/ready-dev  ## Hostile programs against the sandbox (also part of make test)
	@scripts/system-packages bwrap
	$(BIN)/python -m pytest tests/attacks $(ARGS)

check: .venv/ready-dev  ## Lint, formatting, types, import directions, file sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES) tests benchmarks
	$(BIN)/lint-imports --no-logo
	scripts/file-sizes

live: .venv/ready-dev  ## Live outputs at full size: kills, crowds, a flood; SEED=n repeats the kills' order
	@scripts/system-packages rabbitmq-server bwrap
	$(if $(SEED),QRT_TEST_SEED=$(SEED)) $(BIN)/python -m pytest tests/system/test_live.py --durations=5 $(ARGS)

chaos: .venv/ready-dev  ## Kill, stop, cut and restart everything under load; SEED=n repeats a run; last line is JSON
	@scripts/system-packages rabbitmq-server bwrap
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(ARGS)

format: .venv/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready-dev  ## Latency and throughput of the four services; last line is JSON
	@scripts/system-packages rabbitmq-server
	@$(BIN)/python -m benchmarks.jobs $(ARGS)

bench-live: .venv/ready-dev  ## Live outputs beside a bare fan-out; last line is JSON
	@scripts/system-packages rabbitmq-server bwrap
	@$(BIN)/python -m benchmarks.live $(ARGS)

bench-executor: .venv/ready-dev .venv/bench/ready  ## What starting a job costs, beside a floor and peers; last line is JSON
	@scripts/system-packages rabbitmq-server bwrap
	@$(BIN)/python -m benchmarks.executor $(ARGS)

bench-peers: .venv/ready-dev .venv/bench/ready-peers  ## Us beside Celery, Taskiq, Ray and bare floors, and how we grow; last line is JSON
	@scripts/system-packages rabbitmq-server bwrap
	@$(BIN)/python -m benchmarks.peers $(ARGS)

bench-circuits: .venv/ready-dev  ## 1,000 circuits of one program beside simulating them in a process; last line is JSON
	@scripts/system-packages bwrap
	@$(BIN)/python -m benchmarks.circuits $(ARGS)

bench-template: .venv/ready-dev  ## Later jobs of a project beside warm Quafu jobs; last line is JSON
	@scripts/system-packages rabbitmq-server bwrap
	@$(BIN)/python -m benchmarks.template $(ARGS)

simulate: .venv/ready-dev  ## Where a large installation is full first, by a simulation; SEED=n; last line is JSON
	@$(BIN)/python -m benchmarks.simulation $(if $(SEED),--seed $(SEED)) $(ARGS)

lock: .venv/ready-dev  ## Renew constraints.txt
	scripts/lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

MANIFESTS := constraints.txt $(wildcard requirements*.in packages/*/pyproject.toml services/*/pyproject.toml \
	standalone/pyproject.toml sdk/pyproject.toml sdk/*/pyproject.toml)

.venv/ready: $(MANIFESTS) scripts/setup
	@PYTHON=$(PYTHON) scripts/setup

.venv/bench/ready: .venv/ready constraints.txt requirements-bench.in
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv/bench
	@$(BIN)/uv pip install --quiet --compile-bytecode --python .venv/bench/bin/python -c constraints.txt \
		-r requirements-bench.in -r requirements-programs.in
	@touch $@

.venv/bench/ready-peers: .venv/bench/ready requirements-ray.in
	@$(BIN)/uv pip install --quiet --compile-bytecode --python .venv/bench/bin/python -c constraints.txt \
		-r requirements-ray.in || echo "Ray cannot be installed here; the others are measured"
	@touch $@

.venv/ready-dev: .venv/ready requirements-dev.in requirements-planqk.txt
	@PYTHON=$(PYTHON) scripts/setup dev
