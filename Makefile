# make reproduce [SCALE=quick|laptop|paper] [WEIGHTS=train|shipped] [TARGETS="figure_3 ..."]
#                                                                      install what is needed, then compute and draw
# make report [SCALE=...]                                              the same, then results/<scale>/report.html, for any browser
# make test                                                            install what is needed, then run all fast tests
# make test-faults                                                     kills, full disks, damaged files: at most an hour
# make check                                                           layout, lint, types, order of folders, measures, names of systems, spelling
# make test-cluster                                                    run the tests on a private SLURM, brought up for them
# make archive [SCALE=...] | restore ARCHIVE=FILE | verify [SCALE=...] [WEIGHTS=...]   results in one file, and back; a sample of jobs again (docs/archive.md)
# make plan [SCALE=paper]                                              what a run of everything takes, before it is started
# make costs [SCALE=laptop]                                            after a run: note what it took, for `make plan`
# make canonical [SCALE=laptop]                                          expected scores of the field: the table, and its page docs/results/canonical.md
# make paper-scores [CONFIG="experiments=[ks]"]                          what the shipped weights score, to docs/results/paper.csv
# make rulegraph                                                       draw docs/rulegraph.svg (graphviz)
# make tutorial                                                        run the notebooks in docs/ and keep their outputs
# make docs                                                            the documentation as a site in build/docs/; a broken link is an error
# make gallery | animation | flow                                      draw the pictures of docs/gallery/, docs/animation.gif, and docs/kolmogorov.png and .gif, all with shipped weights
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

# Snakemake needs a cache folder that can be written before it reads anything.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
ifneq ($(shell mkdir -p "$(CACHE)" 2>/dev/null && test -w "$(CACHE)" && echo yes),yes)
export XDG_CACHE_HOME := $(or $(TMPDIR),/tmp)/mnmef-cache-$(shell id -u)
$(info $(CACHE) cannot be written: caches go to $(XDG_CACHE_HOME))
endif

.PHONY: reproduce report install test test-faults test-cluster check archive restore verify plan costs canonical paper-scores rulegraph tutorial docs gallery animation flow benchmark format unlock clean

reproduce: $(STAMP)
	@$(BIN)/python -m mnmef.config.given $(SNAKEMAKE_ARGS)
	$(BIN)/snakemake $(TARGETS) --cores $(CORES) $(SNAKEMAKE_ARGS) --config scale=$(SCALE) weights=$(WEIGHTS)

# One file that needs no network. Snakemake describes what `all` has made, and so makes what is missing first.
report: $(STAMP)
	@$(BIN)/python -m mnmef.config.given $(SNAKEMAKE_ARGS)
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

test-faults: $(STAMP)
	$(BIN)/python -m pytest -m faults -s tests/faults $(PYTEST_ARGS)

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

archive: $(STAMP)
	$(BIN)/python -m benchmarks.archive pack $(SCALE)

restore: $(STAMP)
	$(BIN)/python -m benchmarks.archive restore "$(ARCHIVE)"

verify: $(STAMP)
	$(BIN)/python -m benchmarks.archive verify $(SCALE) --config weights=$(WEIGHTS)

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

$(VENV)/.docs: docs/requirements.lock $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c requirements.lock -r docs/requirements.lock
	@touch $@

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# With LETKF as the only classical filter, but for figure 7. A few minutes on two cores.
GALLERY = $(BIN)/snakemake --cores $(CORES) $(SNAKEMAKE_ARGS) --config scale=$(SCALE) weights=shipped 'noise_levels=[1.0]' \
	'ensemble_sizes=[5, 10, 20, 40]' 'training_seeds={count: 1}' 'reference={in_figures: false}'
gallery: $(STAMP)
	$(GALLERY) 'experiments=[lorenz96, ks]' 'baselines=[letkf]'
	mkdir -p docs/gallery
	cp results/$(SCALE)/figures/figure_*.png results/$(SCALE)/figures/calibration_*.png docs/gallery/
	$(GALLERY) 'experiments=[lorenz63]' 'baselines=[esrf, ienkf_sqrt]' benchmark=ienkf_sqrt --until figure_7
	cp results/$(SCALE)/figures/figure_7.png docs/gallery/
	$(BIN)/python -m docs.site.gallery

animation: $(STAMP)
	$(BIN)/python -m docs.site.animate

flow: $(STAMP)
	$(BIN)/python -m docs.site.flow

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
