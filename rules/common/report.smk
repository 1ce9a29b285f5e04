# Functions of rules/report.smk: inputs and params of its rules; no rules.

SCORE_FIGURES = (1, 4, 7)
CALIBRATION_FIGURES = ("calibration_rank_histograms", "calibration_spread_skill")


# Inputs


def curve_files(wildcards):
    """Scores, published ones, and those of a very large ensemble, of the curves against ensemble size."""
    levels = NOISE if CONFIG.reference.in_figures else []
    return {
        "scores": rules.score_filters.output.scores,
        "improvements": rules.score_filters.output.improvements,
        "published": PUBLISHED_CURVES,
        "references": expand(rules.run_reference.output.best, experiment=wildcards.experiment, sigma_y=levels),
    }


def panel_files(wildcards):
    """Truth and observations of panels, and the evaluations that they compare."""
    cell = {"experiment": wildcards.experiment, "sigma_y": wildcards.sigma_y}
    benchmark = SETTINGS[wildcards.experiment]["benchmark"]
    return {
        "dataset": expand(split_file("test"), **cell)[0],
        "learned": expand(rules.evaluate_learned.output.scores, **cell, filter="mnmef", stage="pretrained")[0],
        "benchmark": expand(rules.evaluate_baseline.output.scores, **cell, method=benchmark)[0],
    }


def panel_cell(number):
    """The cell of a figure of the paper that shows panels."""
    return Cell(experiment=FIGURES[number], sigma_y=PANEL_NOISE)


def panel_settings(wildcards):
    """The methods that panels compare."""
    return {"methods": ["mnmef_pretrained", SETTINGS[wildcards.experiment]["benchmark"]]}


def allowed_panels(number):
    """The files of a figure with panels; none where the config does not run what it shows."""
    return panel_files(panel_cell(number)) if figure_is_allowed(number) else {}


def figure_is_allowed(number):
    """Whether the config runs what a figure shows: its experiment and, but for curves, LETKF's runs or search."""
    name = FIGURES[number]
    if name not in SETTINGS or number in SCORE_FIGURES:
        return name in SETTINGS
    panels = CONFIG.evaluation.traced.ensemble_size in CONFIG.ensemble_sizes and "mnmef" in filters_of(name)
    runs = SETTINGS[name]["baselines"]
    needed = "letkf" if number == "c12" else SETTINGS[name]["benchmark"]
    return (number == "c12" or panels) and PANEL_NOISE in NOISE and needed in runs


def study_rules():
    """The rules of figures 8 to 11 and C.13 that the config allows, by the name of the figure."""
    found = {
        "figure_8": (rules.figure_8, timed_experiments()),
        "figure_9": (rules.figure_9, inflation_runs()),
        "figure_10": (rules.figure_10, localization_runs()),
        "figure_11": (rules.figure_11, finetuning_curves()),
        "figure_c13": (rules.figure_c13, "mnmef" in CONFIG.learned),
    }
    return {name: rule for name, (rule, needed) in found.items() if needed}


def figures_left_out():
    """What the figures that the config leaves out need, by their names."""
    panels = f"noise level {PANEL_NOISE} and, among ensemble_sizes, evaluation.traced.ensemble_size; mnmef and"
    found = {}
    for number, name in FIGURES.items():
        needed = "" if number in SCORE_FIGURES else f", {panels} {SETTINGS.get(name, {}).get('benchmark', 'letkf')}"
        needed = f", noise level {PANEL_NOISE}, letkf" if number == "c12" else needed
        if not figure_is_allowed(number):
            found[f"figure_{number}"] = f"experiment {name}{needed}"
    studies = {
        "figure_8": "an experiment with a grid",
        "figure_9": f"experiment {INFLATION_EXPERIMENT}; mnmef",
        "figure_10": f"experiment {CONFIG.localization_study.experiment}; mnmef with localization, and letkf",
        "figure_11": f"experiment {CONFIG.finetuning_curve.experiment}, noise level {CONFIG.finetuning_curve.sigma_y}; "
        "mnmef",
        "figure_c13": "mnmef",
    }
    return found | {name: needed for name, needed in studies.items() if name not in study_rules()}


def figure_files():
    """The files of all figures that the config allows, and the tables of figures 8 to 11."""
    names = [f"figure_{number}" for number in FIGURES if figure_is_allowed(number)]
    names += CALIBRATION_FIGURES if CONFIG.evaluation.traced.ensemble_size in CONFIG.ensemble_sizes else []
    drawn_files = expand(results("figures/{name}.{suffix}"), name=names, suffix=("svg", "png"))
    return drawn_files + [file for rule in study_rules().values() for file in rule.output]


def own_curves():
    """The curves of experiments that no figure of the paper shows."""
    return expand(rules.plot_curves.output, experiment=[name for name in SETTINGS if name not in FIGURES.values()])


def panels_and_curves():
    """The files of curves and panels of all experiments, whether a figure of the paper shows them or not."""
    curves = expand(rules.plot_curves.output, experiment=list(SETTINGS))
    return curves + expand(
        [*rules.plot_fields.output, *rules.plot_components.output], experiment=list(SETTINGS), sigma_y=NOISE
    )


def cost_tables():
    """Tables 5 and 6, where there are learned filters."""
    return [*rules.table_5.output, *rules.table_6.output] if any(map(filters_of, SETTINGS)) else []


def study_tables():
    """Inputs of the claims besides the scores of this run: texts, published numbers, and tables of figures."""
    allowed = study_rules()
    shown_in = {name: allowed[name] for name in ("figure_9", "figure_10", "figure_11") if name in allowed}
    published = {
        f"published_{name}": rule.input.published for name, rule in shown_in.items() if "published" in rule.input.keys()
    }
    texts = [TABLE_TEXTS, str(CHECKOUT / "mnmef/report/claims.yaml")]
    tables = {name: rule.output.table for name, rule in shown_in.items()}
    return {"curves": PUBLISHED_CURVES, "texts": texts, **published, **tables}


def claim_settings():
    """Params of the verdicts, besides the scores."""
    return {"scale": CONFIG.scale, "seed": CONFIG.seed, "training_size": CONFIG.training.ensemble_size}


# The results page and Snakemake's report


def caption_files():
    """The captions of all figures and tables, drawn here or not."""
    return sorted(map(str, Path(CAPTIONS).glob("*.rst")))


def page_tables():
    """The tables of the results page as Markdown: the claims, and those of the paper that the config allows."""
    files = [*rules.claims.output, *rules.table_4.output, *cost_tables()]
    return [path for path in files if path.endswith(".md")]


def page_inputs():
    """Inputs of the results page: each picture and table, the evaluations, and the captions."""
    return {
        "figures": [path for path in figure_files() if path.endswith(".png")],
        "tables": page_tables(),
        "evaluations": evaluation_files(),
        "captions": caption_files(),
        "templates": [str(CHECKOUT / f"mnmef/report/{name}.j2") for name in ("results_page.md", "table.html")],
    }


def page_settings():
    """What the results page says of the run, or where to find it. The config is read from its file: a key that changes
    no result does not make the page anew.
    """
    return {
        "scale": CONFIG.scale,
        "config": results("config.yaml"),
        "benchmarks": results("benchmarks"),
        "captions": CAPTIONS,
        "left_out": figures_left_out(),
    }


def warnings_of(page):
    """The warnings of a results page, for the end of the run that made it."""
    found = re.search("## Warnings\n+((?:- .*\n)+)", Path(page).read_text(encoding="utf-8"))
    return found[1] if found else ""


def page_html():
    """The HTML pages of all tables, and of what is known of the run, for the report."""
    stems = [*(Path(path).stem for path in page_tables()), *RUN_PAGES]
    return [shown(results(f"report/{stem}.html")) for stem in stems]


# Curves and panels of every experiment


# Figures of single studies

# Tables, each for programs (tables/table_<number>.csv) and for readers (tables/table_<number>.md)


# What a run says before its first job and after its last one


def announce(jobs, cores):
    """Say how many jobs are to be done, how long they take by the costs of earlier runs, and what takes less."""
    with open(CHECKOUT / "resources" / "costs.csv", encoding="utf-8") as file:
        known = {row["rule"]: float(row["seconds"]) for row in csv.DictReader(file) if row["scale"] == CONFIG.scale}
    asked = [job.rule.name for job in jobs if not job.rule.norun]
    minutes = sum(known.get(name, 0.0) for name in asked) / 60
    unknown = sum(name not in known for name in asked)
    parts = [f"{len(asked)} jobs at scale {CONFIG.scale}, {minutes:.0f} minutes of a core by resources/costs.csv"]
    parts += [f"about {minutes / cores:.0f} on {cores} cores"] if cores and cores > 1 else []
    parts += [f"{unknown} of them of unknown length (make plan SCALE={CONFIG.scale})"] if unknown else []
    less = ["scale=quick (minutes)"] * (CONFIG.scale != "quick") + ["weights=shipped (no training)"] * (
        CONFIG.weights != "shipped"
    )
    print(", ".join(parts) + f". Shorter: {', '.join([*less, 'one target, such as figure_3'])}.", file=sys.stderr)


def say_undecided():
    """Say which claims the run leaves undecided, and what each would need."""
    path = Path(results("claims.csv"))
    if path.exists():
        with open(path, encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["verdict"] == "undecided":
                    print(f"Undecided: {row['statement']} {row.get('needs', '')}", file=sys.stderr)
