"""The results page as Markdown, and its tables as HTML for the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import write_text
from mnmef.io.logs import job_log
from mnmef.report.results_page import (
    config_page,
    html_page,
    page_order,
    results_page,
    run_times,
    run_times_page,
    versions,
    versions_page,
)

if TYPE_CHECKING:
    from snakemake.script import snakemake


def write_results_page(
    *,
    figures: Sequence[Path],
    tables: Sequence[Path],
    evaluations: Sequence[Path],
    scale: str,
    config: str | Path,
    benchmarks: str | Path,
    captions: str | Path,
    page: Path,
    html: Sequence[Path],
) -> None:
    """Write all `figures` and `tables` (Markdown) and what is known of the run as Markdown to `page`, and each table as
    HTML to the file of the same name among `html`.

    scale, config, benchmarks: what made the results, and what Snakemake measured. evaluations: NetCDF that says which
    versions computed it.
    """
    parts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(tables, key=page_order)}
    parts["config"] = config_page(config)
    parts["versions"] = versions_page(versions(evaluations))
    parts["run_times"] = run_times_page(run_times(benchmarks))
    for path in html:
        write_text(html_page(parts[path.stem]), path)
    write_text(results_page(scale=scale, figures=figures, pages=list(parts.items()), captions=captions), page)


if __name__ == "__main__":
    with job_log(snakemake.log[0], snakemake.threads):
        write_results_page(
            figures=list(map(Path, snakemake.input.figures)),
            tables=list(map(Path, snakemake.input.tables)),
            evaluations=list(map(Path, snakemake.input.evaluations)),
            **snakemake.params.settings,
            page=Path(snakemake.output.page),
            html=list(map(Path, snakemake.output.html)),
        )
