"""Figures look the same, whatever the user's own settings of matplotlib are."""

import matplotlib as mpl

from mnmef.report.figures.style import new_figure, save_figure


def test_a_figure_is_the_same_under_settings_of_the_users_own(tmp_path):
    def drawn(path):
        figure = new_figure(2, 2)
        figure.subplots().plot([0, 1], [1, 0], label="curve")
        save_figure(figure, path)
        return path.read_bytes()

    ours = drawn(tmp_path / "ours.svg")
    with mpl.rc_context({"text.usetex": True, "font.family": "monospace", "axes.facecolor": "black"}):
        assert drawn(tmp_path / "theirs.svg") == ours
