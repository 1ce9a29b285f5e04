"""The results page: what it says of figures, tables and the run."""

from html.parser import HTMLParser

import pandas as pd
import pytest
import xarray as xr

from mnmef.report.results_page import (
    heading,
    html_page,
    item_name,
    menu_label,
    page_order,
    read_caption,
    results_page,
    run_times,
    run_times_page,
    versions,
)
from mnmef.report.tables import markdown_table


@pytest.fixture
def captions(tmp_path):
    folder = tmp_path / "captions"
    folder.mkdir()
    (folder / "figure_1.rst").write_text("**Errors, Lorenz '96.** Against N.\nDashed: published.\n")
    return folder


@pytest.mark.parametrize(
    ("stem", "name"),
    [("figure_3", "Figure 3"), ("figure_c12", "Figure C.12"), ("table_4", "Table 4"), ("calibration_spread", "")],
)
def test_items_are_called_as_in_the_paper(stem, name):
    assert item_name(stem) == name


def test_figures_come_in_the_order_of_the_paper():
    shuffled = ["figure_10.png", "calibration_ranks.png", "figure_c12.png", "figure_2.png", "figure_1.png"]
    assert sorted(shuffled, key=page_order) == [
        "figure_1.png",
        "figure_2.png",
        "figure_10.png",
        "figure_c12.png",
        "calibration_ranks.png",
    ]


def test_a_caption_is_a_title_and_a_text_and_may_be_missing(captions):
    assert read_caption("figure_1", captions).title == "Errors, Lorenz '96"
    assert read_caption("figure_1", captions).text == "Against N. Dashed: published."
    assert heading("figure_1", captions) == "Figure 1: Errors, Lorenz '96"
    assert heading("spread_skill", captions) == "Spread skill"


def test_labels_of_a_menu_sort_as_numbers_do(tmp_path):
    labels = [menu_label(f"figure_{number}", tmp_path) for number in ("1", "2", "10", "11", "c12")]
    # As browsers do, which take white space of any kind for less than a digit.
    assert sorted(labels, key=lambda label: label.replace("\u2007", " ")) == labels
    assert labels[0] == "Figure \u20071: Figure 1"


def test_a_caption_without_a_title_is_refused_by_name(captions):
    (captions / "figure_2.rst").write_text("Errors against N.\n")
    with pytest.raises(ValueError, match=r"figure_2\.rst must be one paragraph that begins with a title"):
        read_caption("figure_2", captions)


def test_every_caption_of_the_repository_has_a_title_and_a_text(root):
    paths = sorted((root / "docs" / "captions").glob("*.rst"))
    assert paths
    for path in paths:
        caption = read_caption(path.stem, path.parent)
        assert caption.title, path.name
        assert caption.text.endswith("."), path.name


def test_run_times_are_summed_over_the_jobs_of_a_rule(tmp_path):
    times = {"train/a": (60.0, 500.0), "train/b": (30.0, 700.0), "score": (2.0, "-")}
    for stem, (seconds, memory) in times.items():
        path = tmp_path / f"{stem}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{memory}\n")
    table = run_times(tmp_path).set_index("rule")
    assert table.index.tolist() == ["train", "score"]
    assert table.loc["train"].tolist() == [2, 90.0, 60.0, 700.0]
    # Snakemake measures no memory of a job that ends at once.
    assert pd.isna(table.loc["score", "memory"])
    assert "3 jobs, together 1.5 minutes." in run_times_page(table.reset_index())


def test_versions_come_from_the_evaluations_and_name_all_that_differ(tmp_path):
    for name, commit in (("a", "abc"), ("b", "def")):
        attributes = {"commit": commit, "versions": '{"torch": "2.13.0"}'}
        xr.Dataset(attrs=attributes).to_netcdf(tmp_path / f"{name}.nc")
    table = versions(sorted(tmp_path.glob("*.nc"))).set_index("name")
    assert table.loc["commit", "evaluations"] == "abc, def"
    assert table.loc["torch", "evaluations"] == "2.13.0"
    assert table.loc["matplotlib", "page"]


class Cells(HTMLParser):
    """The texts of the cells of a page."""

    def __init__(self):
        super().__init__()
        self.cells = []
        self._inside = False

    def handle_starttag(self, tag, attrs):
        if tag in ("td", "th"):
            self._inside = True
            self.cells.append("")

    def handle_endtag(self, tag):
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self._inside:
            self.cells[-1] += data


def test_a_table_has_the_same_cells_in_html_as_in_markdown():
    table = pd.DataFrame({"claim": ["N < 5 & more", "a | b"], "ours": [0.125, float("nan")]})
    page = html_page(markdown_table(table, title="Claims"))
    parser = Cells()
    parser.feed(page)
    assert parser.cells == ["claim", "ours", "N < 5 & more", "0.125", "a | b", "-"]
    assert "<title>Claims</title>" in page
    assert "http" not in page


def test_the_page_has_claims_before_figures_before_tables_and_no_heading_twice(captions):
    pages = {"table_4": "# Table 4: deviations\n\ncells of 4\n", "claims": "# Claims\n\ncells of claims\n"}
    text = results_page(scale="quick", figures=["results/quick/figures/figure_1.png"], pages=pages, captions=captions)
    positions = [text.index(part) for part in ("cells of claims", "](figures/figure_1.png)", "cells of 4")]
    assert positions == sorted(positions)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Results at scale `quick`",
        "## Claims",
        "## Figure 1: Errors, Lorenz '96",
        "## Table 4: Table 4",
    ]


def test_the_page_of_html_is_closed_and_its_title_is_escaped():
    page = html_page("# A & <b>\n\ntext\n")
    assert "<title>A &amp; &lt;b&gt;</title>" in page
    assert page.startswith("<!doctype html>\n")
    assert page.endswith("<p>text</p>\n</body>\n</html>\n")


def test_every_template_is_an_input_of_the_page(root):
    text = (root / "rules" / "common" / "report.smk").read_text()
    paths = sorted((root / "mnmef" / "report").glob("*.j2"))
    assert paths
    for path in paths:
        assert f'"{path.stem}"' in text
