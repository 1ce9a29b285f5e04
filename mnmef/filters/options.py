"""Options of single classical filters, beside the inflation and localization radius that all share."""

from dataclasses import dataclass

from mnmef.core.errors import whole_number


@dataclass(frozen=True)
class Options:
    """Options of classical filters; a filter looks at its own. In brackets, DAPPER's name.

    Parameters
    ----------
    rotation : bool
        Rotate analysis anomalies at random, with the mean kept (rot).
    prior_spread, prior_perturbations : float
        Relaxation of the analysis to the prior's spread (RTPS) or to its perturbations (RTPP), from 0 to 1.
    hyperprior : float or None
        Certainty of the prior of finite-size inflation (xN), of `enkf_n` and of the iterative filters; None: without
        that inflation, for `enkf_n` 1.
    background : float
        Factor on the climate's covariance (xB), of `var3d`.
    jitter : float
        Bandwidth of the regularization (reg), of `particle`, in units of Scott's.
    resampling : float
        Effective sample size, as a fraction of N, at which particles are drawn again (NER).
    seed : int
        Root of rotations, of particles and of the climate's sample.

    Raises
    ------
    ValueError
        For a value out of range.
    """

    rotation: bool = False
    prior_spread: float = 0.0
    prior_perturbations: float = 0.0
    hyperprior: float | None = None
    background: float = 1.0
    jitter: float = 1.0
    resampling: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("prior_spread", "prior_perturbations"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        for name in ("hyperprior", "background"):
            if getattr(self, name) is not None and not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        whole_number("seed", self.seed, 0)
        if not (self.jitter >= 0.0 and 0.0 <= self.resampling <= 1.0):
            raise ValueError(
                f"jitter must not be negative and resampling lie between 0 and 1, not {self.jitter}, {self.resampling}"
            )

    @property
    def relaxes(self) -> bool:
        """True with a relaxation to the prior."""
        return self.prior_spread > 0.0 or self.prior_perturbations > 0.0
