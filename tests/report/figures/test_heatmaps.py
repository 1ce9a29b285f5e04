"""Figures of searches show each setting once, and what became of it."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from mnmef.data.published import load_searches
from mnmef.report.figures.heatmaps import ALL_DIVERGED, CHOSEN, SOME_DIVERGED, figure_search, setting_scores
from mnmef.report.figures.style import save_figure
from mnmef.search.search import rank_settings

PUBLISHED = load_searches("resources/published/dapper_grid_search_best.csv")
INFLATIONS, RADII = (1.0, 1.06, 1.12), (0.001, 4.0, 8.0, 12.0)

pytestmark = pytest.mark.filterwarnings("error")
"""Matplotlib only warns where labels do not fit beside each other."""


def make_row(members, inflation, radius, rrmse, n_diverged=0, engine="batched", trajectories=4, cycles=150):
    return {
        "experiment": "ks",
        "sigma_y": 1.0,
        "method": "enkf" if np.isnan(radius) else "letkf",
        "ensemble_size": members,
        "inflation": inflation,
        "localization_radius": radius,
        "engine": engine,
        "rrmse": np.nan if n_diverged == trajectories else rrmse,
        "rrmse_std": np.nan if n_diverged == trajectories else 0.02,
        "rmse": np.nan if n_diverged == trajectories else 1.3 * rrmse,
        "n_trajectories": trajectories,
        "n_cycles": cycles,
        "n_diverged": n_diverged,
    }


def make_search(sizes=(5, 10), inflations=INFLATIONS, radii=RADII, n_diverged=0):
    """Scores that are smallest at inflation 1.06 and radius 8; for a method without radius, with the one radius NaN."""
    rows = [
        make_row(n, a, r, 0.5 + 20 * (a - 1.06) ** 2 + 0.01 * np.nan_to_num(r - 8.0) ** 2 / 16, n_diverged)
        for n in sizes
        for a in inflations
        for r in radii
    ]
    return pd.DataFrame(rows)


def best_of(grid):
    return pd.concat([rank_settings(part).head(1) for _, part in grid.groupby("ensemble_size")])


def panels_of(figure):
    return [axis for axis in figure.axes if axis.get_title()]


def colors_of(axis):
    """R-RMSE of each square that is drawn, by its inflation and radius."""
    squares = axis.collections[0]
    shown = ~np.ma.getmaskarray(squares.get_array())
    places, values = (np.ma.getdata(part)[shown].tolist() for part in (squares.get_offsets(), squares.get_array()))
    return dict(zip(map(tuple, places), values, strict=True))


def marks(axis, marker):
    return [
        tuple(np.ravel(line.get_xydata()))
        for line in axis.lines
        if line.get_marker() == marker and len(line.get_xdata())
    ]


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def assert_whole_files(figure, folder):
    save_figure(figure, folder / "a.svg", folder / "a.png")
    assert ElementTree.parse(folder / "a.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    pixels = imread(folder / "a.png")
    assert pixels.shape[1] == 1400
    assert pixels[..., :3].std() > 0.05


def test_a_setting_shows_its_longest_batched_score_whatever_the_order_of_the_rows():
    again = [
        make_row(5, 1.06, 8.0, 0.61, trajectories=16, cycles=150),
        make_row(5, 1.06, 8.0, 0.62, trajectories=8, cycles=200),
        make_row(5, 1.06, 8.0, 0.41, engine="dapper", trajectories=64, cycles=1500),
        make_row(5, 1.5, 8.0, 0.43, engine="dapper"),
    ]
    grid = pd.concat([make_search(), pd.DataFrame(again)], ignore_index=True)
    for seed in range(5):
        rows = setting_scores(grid.sample(frac=1.0, random_state=seed))
        assert len(rows) == 2 * 12 + 1
        assert not rows.duplicated(["ensemble_size", "inflation", "localization_radius"]).any()
        scores = rows.set_index(["ensemble_size", "inflation", "localization_radius"])["rrmse"]
        assert scores[5, 1.06, 8.0] == 0.61
        assert scores[10, 1.06, 8.0] == 0.5
        # No other engine has tried this one.
        assert scores[5, 1.5, 8.0] == 0.43


def test_a_search_of_one_other_engine_is_shown_as_it_is():
    grid = make_search().assign(engine="dapper")
    pd.testing.assert_frame_equal(setting_scores(grid), grid)
    without_radius = make_search(radii=(np.nan,)).assign(engine="dapper")
    pd.testing.assert_frame_equal(setting_scores(without_radius), without_radius)


def test_a_map_has_a_panel_per_ensemble_size_with_each_score_and_both_marks():
    grid = make_search()
    figure = figure_search(grid, best_of(grid), PUBLISHED)
    panels = panels_of(figure)
    assert [axis.get_title() for axis in panels] == ["$N$ = 5", "$N$ = 10"]
    published = PUBLISHED[(PUBLISHED["experiment"] == "ks") & (PUBLISHED["method"] == "letkf")]
    published = published[published["sigma_y"] == 1.0].set_index("ensemble_size")
    for axis, members in zip(panels, (5, 10), strict=True):
        rows = grid[grid["ensemble_size"] == members]
        assert colors_of(axis) == rows.set_index(["inflation", "localization_radius"])["rrmse"].to_dict()
        assert marks(axis, "*") == [(1.06, 8.0)]
        expected = tuple(published.loc[members, ["inflation", "localization_radius"]])
        assert set(marks(axis, "o")) == {expected}
        assert not marks(axis, SOME_DIVERGED["marker"])
        assert not marks(axis, ALL_DIVERGED["marker"])
    assert labels(figure) == ["chosen", "published best"]


def test_colors_tell_scores_below_twice_the_best_apart():
    grid = make_search(sizes=(5,))
    grid.loc[0, "rrmse"] = 836.0
    collection = panels_of(figure_search(grid, best_of(grid), PUBLISHED))[0].collections[0]
    assert collection.get_clim() == (0.5, 1.0)
    flat = grid.assign(rrmse=0.5)
    collection = panels_of(figure_search(flat, best_of(flat), PUBLISHED))[0].collections[0]
    assert collection.get_clim() == (0.5, 0.625)


def test_a_setting_that_diverged_is_marked_and_never_the_best_of_the_colors():
    grid = make_search(sizes=(5,))
    grid.loc[0, ["rrmse", "n_diverged"]] = (0.1, 1)
    grid.loc[11, ["rrmse", "n_diverged"]] = (np.nan, 4)
    figure = figure_search(grid, best_of(grid), PUBLISHED)
    axis = panels_of(figure)[0]
    assert marks(axis, SOME_DIVERGED["marker"]) == [(1.0, 0.001)]
    assert marks(axis, ALL_DIVERGED["marker"]) == [(1.12, 12.0)]
    assert axis.collections[0].get_clim()[0] == 0.5
    assert len(colors_of(axis)) == 11
    assert (1.12, 12.0) not in colors_of(axis)
    assert {"cross: some trajectories diverged", "gray: all diverged"} <= set(labels(figure))


def test_a_method_without_radius_is_a_curve_through_its_scores():
    grid = make_search(sizes=(5, 10, 15), radii=(np.nan,))
    grid.loc[0, ["rrmse", "n_diverged"]] = (0.55, 1)
    grid.loc[2, ["rrmse", "n_diverged"]] = (np.nan, 4)
    grid.loc[5, "rrmse"] = 9.0
    figure = figure_search(grid, best_of(grid), PUBLISHED)
    assert len(panels_of(figure)) == 3
    for axis, (_, rows) in zip(panels_of(figure), grid.groupby("ensemble_size"), strict=True):
        assert np.array_equal(axis.lines[0].get_ydata(), rows["rrmse"], equal_nan=True)
        assert marks(axis, "*") == [(1.06, 0.5)]
        assert axis.get_ylim()[1] < 1.1
    said = set(labels(figure))
    assert {"hollow: some trajectories diverged", "at the top edge: all diverged"} <= said
    assert "filled triangle: above the panel" in said


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"sizes": (5, 10, 15, 20, 40, 60, 100)},
        {"sizes": (10,), "radii": (4.0,)},
        {"sizes": (10,), "inflations": (1.0,)},
        {"sizes": (10,), "inflations": (1.0,), "radii": (4.0,)},
        {"sizes": (10,), "n_diverged": 1},
        {"sizes": (10,), "n_diverged": 4},
        {"radii": (np.nan,)},
        {"radii": (np.nan,), "inflations": (1.0,)},
        {"radii": (np.nan,), "n_diverged": 4},
    ],
)
def test_a_search_of_any_shape_can_be_drawn(tmp_path, shape):
    grid = make_search(**shape)
    # A setting of its own, as the published one, and one that is missing.
    irregular = pd.concat([grid[:1], grid[2:], grid[:1].assign(inflation=1.345)]) if len(grid) > 8 else grid
    figure = figure_search(irregular, best_of(irregular), PUBLISHED)
    assert len(panels_of(figure)) == grid["ensemble_size"].nunique()
    assert all(marks(axis, CHOSEN["marker"]) for axis in panels_of(figure))
    assert_whole_files(figure, tmp_path)


def test_a_search_that_was_not_published_has_no_ring(tmp_path):
    for radii in (RADII, (np.nan,)):
        grid = make_search(sizes=(5,), radii=radii)
        figure = figure_search(grid, best_of(grid), PUBLISHED[:0])
        assert not marks(panels_of(figure)[0], "o")
        assert "published best" not in labels(figure)
        assert_whole_files(figure, tmp_path)


def test_a_choice_by_another_engine_than_the_one_shown_is_named():
    grid = make_search()
    confirmed = grid[grid["inflation"] == 1.12].assign(engine="dapper")
    figure = figure_search(pd.concat([grid, confirmed]), best_of(confirmed), PUBLISHED)
    assert "chosen by DAPPER" in labels(figure)
    assert "batched engine" in figure.get_suptitle()
    assert "DAPPER" not in figure.get_suptitle()


def test_the_same_search_is_the_same_file(tmp_path):
    grid = make_search(sizes=(5,))
    paths = [tmp_path / name for name in ("a.svg", "b.svg", "a.png", "b.png")]
    for first, second in (paths[0::2], paths[1::2]):
        save_figure(figure_search(grid, best_of(grid), PUBLISHED), first, second)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[2].read_bytes() == paths[3].read_bytes()


def test_what_is_not_one_search_is_an_error_that_says_so():
    grid = make_search()
    for table, said in (
        (grid.drop(columns=["engine", "rrmse"]), "lack the columns engine, rrmse"),
        (grid[:0], "the table holds 0"),
        (pd.concat([grid, grid.assign(sigma_y=0.7)]), "the table holds 2"),
    ):
        with pytest.raises(ValueError, match=said):
            figure_search(table, best_of(grid), PUBLISHED)
