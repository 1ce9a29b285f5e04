# make reproduce [SCALE=quick|laptop|paper] [WEIGHTS=train|shipped] [TARGETS="figure_3 ..."]
#                                                                      install what is needed, then compute and draw
# make report [SCALE=...]                                              the same, then results/<scale>/report.html, for any browser
# make test                                                            install what is needed, then run all fast tests
# make check                                                           layout, lint, types, order of folders, measures and spelling
# make test-cluster                                                    run the tests on a private SLURM, brought up for them
# make plan [SCALE=paper]                                              what a run of everything takes, before it is started
# make costs [SCALE=laptop]                                            after a run: note what it took, for `make plan`
# make canonical [SCALE=laptop]                                          expected scores of the field: the table, and its page docs/results/canonical.md
# make paper-scores [CONFIG="experiments=[ks]"]                          what the shipped weights score, to docs/results/paper.csv
# make rulegraph                                                       draw docs/rulegraph.svg (graphviz)
# make tutorial                                                        run the notebooks in docs/ and keep their outputs
# make benchmark [BENCHMARK_ARGS="--experiments ks --repeats 5"]           time filters and training on an idle machine
# make install | unlock | clean

# Python 3.11 or newer that makes the virtual environment.
PYTHON ?= python3
# Further arguments for pip, for example another index for a build of torch (docs/clusters.md, "GPU").
PIP_ARGS ?=
VENV ?= .venv
SCALE ?= laptop
WEIGHTS ?= train
CORES ?= all
TARGETS ?=
# Further arguments for Snakemake and for pytest.
SNAKEMAKE_ARGS ?=
PYTEST_ARGS ?=
# Further keys of the config, for the scores of shipped weights.
CONFIG ?=
# Further arguments for both benchmarks.
BENCHMARK_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: reproduce report install test test-cluster check plan costs canonical paper-scores rulegraph tutorial benchmark format unlock clean

reproduce: $(STAMP)
	$(BIN)/snakemake $(TARGETS) --cores $(CORES) $(SNAKEMAKE_ARGS) --config scale=$(SCALE) weights=$(WEIGHTS)

# One file that needs no network. Snakemake describes what `all` has made, and so makes what is missing first.
report: $(STAMP)
	$(BIN)/snakemake --cores $(CORES) $(SNAKEMAKE_ARGS) --config scale=$(SCALE) weights=$(WEIGHTS)
	$(BIN)/snakemake --report results/$(SCALE)/report.html --report-stylesheet docs/report.css --config scale=$(SCALE) weights=$(WEIGHTS)

install: $(STAMP)

# A second call finds the stamp, unless the lock has changed since.
$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
	"Python 3.11 or newer is needed, but $(PYTHON) is %d.%d; name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" % v[:2])'
	@echo "Installing into $(VENV); this takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -r requirements.lock
	@touch $@

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# Installs Debian's packages of SLURM if it may and they are missing.
test-cluster: $(STAMP)
	tests/cluster/install.sh
	$(BIN)/python -m pytest -m cluster --numprocesses 2 --dist loadfile --durations=10 tests/cluster $(PYTEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m benchmarks.measures
	$(BIN)/codespell

plan: $(STAMP)
	@$(BIN)/python -m benchmarks.plan $(SCALE)

costs: $(STAMP)
	$(BIN)/python -m benchmarks.costs $(SCALE)

canonical: $(STAMP)
	$(BIN)/snakemake canonical --cores $(CORES) $(SNAKEMAKE_ARGS) --config scale=$(SCALE)
	mkdir -p docs/results
	cp results/$(SCALE)/tables/canonical.csv docs/results/canonical_expected.csv
	cp results/$(SCALE)/tables/canonical.md docs/results/canonical.md

# On the full test split: hours of a core. Some filters alone: CONFIG="experiments=[ks] learned=[mnmef]".
paper-scores: $(STAMP)
	$(BIN)/snakemake evaluation --cores $(CORES) $(SNAKEMAKE_ARGS) --config scale=paper weights=shipped 'baselines=[]' 'training_seeds={count: 1}' $(CONFIG)
	$(BIN)/python -m mnmef.scores.shipped results/paper/evaluation/*.nc

rulegraph: $(STAMP)
	$(BIN)/snakemake --rulegraph --forceall --config scale=$(SCALE) | dot -Tsvg > docs/rulegraph.svg

tutorial: $(STAMP)
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False docs/*.ipynb

# No rule of the workflow: a timing needs the machine to itself. About 10 minutes on 2 cores.
benchmark: $(STAMP)
	$(BIN)/python -m benchmarks.baselines $(BENCHMARK_ARGS)
	$(BIN)/python -m benchmarks.training $(BENCHMARK_ARGS)

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

# After Snakemake itself was killed: releases its lock on this folder. Make sure that none of it runs any more.
unlock: $(STAMP)
	$(BIN)/snakemake --unlock --config scale=$(SCALE)

# Removes the environment and caches; results/ stays.
clean:
	rm -rf $(VENV) .snakemake .pytest_cache .mypy_cache .ruff_cache
