# Functions of the results page and of Snakemake's report: what they show, in which category, with which caption; no rules.

from mnmef.report import results_page as pages

CAPTIONS = "docs/captions"
RUN_PAGES = ("config", "versions", "run_times")
"""What the page says of the run itself."""


def caption_files():
    """The captions of all figures and tables, drawn here or not."""
    return sorted(f"{CAPTIONS}/{path.name}" for path in (Path(workflow.basedir) / CAPTIONS).glob("*.rst"))


def category(stem):
    """Where the report shows a figure or table."""
    if stem in RUN_PAGES:
        return "Run"
    return stem.split("_")[0].capitalize() + ("" if stem.startswith(("claims", "calibration")) else "s")


def shown(path):
    """The figure or HTML page at `path`, marked for the report; a pattern for `expand`, which takes no marks, is not."""
    stem = Path(path).stem
    if "{" in path or Path(path).suffix not in (".png", ".html"):
        return path
    caption = pages.caption_file(stem, Path(workflow.basedir) / CAPTIONS)
    return report(
        path,
        caption=f"../{CAPTIONS}/{stem}.rst" if caption.exists() else None,
        category=category(stem),
        labels={"result": pages.menu_label(stem, caption.parent)},
    )


def page_tables():
    """The tables of the results page as Markdown: the claims, and those of the paper that the config allows."""
    files = [*rules.claims.output, *rules.table_4.output, *cost_tables()]
    return [path for path in files if path.endswith(".md")]


def page_inputs():
    """What the results page shows and names: each picture and table, the evaluations, and the captions."""
    return {
        "figures": [path for path in (*figure_files(), *study_files()) if path.endswith(".png")],
        "tables": page_tables(),
        "evaluations": evaluation_files(),
        "captions": caption_files(),
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
    }


def page_html():
    """The HTML pages of all tables, and of what is known of the run, for the report."""
    stems = [*(Path(path).stem for path in page_tables()), *RUN_PAGES]
    return [shown(results(f"report/{stem}.html")) for stem in stems]
