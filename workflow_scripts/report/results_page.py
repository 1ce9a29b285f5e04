"""The results page as Markdown, and its tables as HTML for the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnmef.io.files import write_text
from mnmef.io.logs import job
from mnmef.report.results_page import (
    config_page,
    html_page,
    page_order,
    run_times,
    run_times_page,
    versions,
    versions_page,
)
from mnmef.report.results_page import results_page as compose
from mnmef.report.warnings import run_warnings, warnings_page

if TYPE_CHECKING:
    from snakemake.script import snakemake


@dataclass(frozen=True)
class Settings:
    """Scale, config, folders of Snakemake's measurements and of captions, and what figures need that are left out."""

    scale: str
    config: str
    benchmarks: str
    captions: str
    left_out: Mapping[str, str]


def results_page(
    *,
    figures: Sequence[Path],
    tables: Sequence[Path],
    evaluations: Sequence[Path],
    settings: Settings,
    page: Path,
    html: Sequence[Path],
) -> None:
    """Write all `figures` and `tables` (Markdown) with config, versions and run times as Markdown to `page`, and each
    table as HTML to the file of the same name among `html`.

    `evaluations` are NetCDF files that name the versions which computed them; what they warn of comes first.
    """
    parts = {"warnings": warnings_page(run_warnings(evaluations, settings.left_out))}
    parts |= {path.stem: path.read_text(encoding="utf-8") for path in sorted(tables, key=page_order)}
    parts["config"] = config_page(settings.config)
    parts["versions"] = versions_page(versions(evaluations))
    parts["run_times"] = run_times_page(run_times(settings.benchmarks))
    for path in html:
        write_text(html_page(parts[path.stem]), path)
    write_text(compose(scale=settings.scale, figures=figures, pages=parts, captions=settings.captions), page)


if __name__ == "__main__":
    with job(snakemake):
        results_page(
            figures=list(map(Path, snakemake.input.figures)),
            tables=list(map(Path, snakemake.input.tables)),
            evaluations=list(map(Path, snakemake.input.evaluations)),
            settings=Settings(**snakemake.params.settings),
            page=Path(snakemake.output.page),
            html=list(map(Path, snakemake.output.html)),
        )
