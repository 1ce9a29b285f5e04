"""Figure of innovation statistics, of an assimilation of observations without a truth."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from mnmef.core.names import METHODS
from mnmef.report.figures import style
from mnmef.scores.innovations import innovation_table

POINTS = 40
"""Most points of a curve over cycles; each is a mean over as many cycles as that takes."""


def figure_innovations(run: xr.Dataset, burn_in: int = 0) -> Figure:
    """Draw the size of innovations against the expected one, chi-square, and the rank histogram of observations.

    Points are means over some cycles each. The band is the 95 % interval of chi-square over all cycles; of a filter
    whose model is right it holds 1. The histogram is a cup where spread or sigma_y is too
    small, a hill where they are too large.

    Parameters
    ----------
    run : Dataset
        Of `assimilate`, with innovations.
    burn_in : int
        Number of first cycles to leave out.
    """
    look = METHODS.get(run.attrs["filter"])
    color, label = (look.color, look.label) if look else ("C0", run.attrs["filter"])
    kept = run.isel(cycle=slice(burn_in, None))
    cycles = kept["cycle"].values
    group = xr.DataArray(np.arange(len(cycles)) // -(-len(cycles) // POINTS), dims="cycle", name="group")
    count = kept["innovation"].notnull().sum("observation").groupby(group).sum()
    middle = [part.mean() for part in np.split(cycles, np.flatnonzero(np.diff(group)) + 1)]
    figure = style.new_figure(style.COLUMN_WIDTH, 2.5)
    size, chi, ranks = figure.subplots(1, 3)
    found, expected = (kept["innovation"] ** 2).sum("observation"), kept["expected_variance"].sum("observation")
    size.plot(middle, (found.groupby(group).sum() / count) ** 0.5, color=color, label=label)
    size.plot(middle, (expected.groupby(group).sum() / count) ** 0.5, label="expected", **style.CALIBRATED)
    size.set(title="innovations", xlabel="assimilation cycle", ylabel="root mean square")
    size.set_ylim(bottom=0)
    row = innovation_table(run, burn_in).loc["chi_square"]
    chi.plot(middle, kept["chi_square"].groupby(group).sum() / count, color=color)
    chi.axhspan(row["low"], row["high"], color=color, **style.BAND)
    chi.axhline(1.0, **style.CALIBRATED)
    chi.set(title=f"$\\chi^2$: {row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})", xlabel="assimilation cycle")
    chi.set_ylabel("chi-square\nper degree of freedom")
    members = run.attrs["members"]
    below = kept["rank"].values[kept["rank"].values >= 0]
    bins = min(members + 1, POINTS // 2)
    edges = np.round(np.linspace(0, members + 1, bins + 1)) - 0.5
    density = np.histogram(below, edges)[0] / np.diff(edges) * (members + 1) / max(1, len(below))
    ranks.stairs(density, edges, fill=True, color=color, alpha=0.45, linewidth=0)
    ranks.axhline(1.0, **style.CALIBRATED)
    ranks.set(title="ranks of observations", xlabel="forecast members below", ylabel="relative frequency")
    for axis in (size, chi, ranks):
        style.draw_grid(axis)
    style.add_legend(figure, [*style.drawn_handles(figure), style.band_handle("95 % interval over all cycles")])
    return figure
