"""A confidence set for a bounded mean that holds whatever the distribution, at any sample size. Arrays only."""

import numpy as np
import numpy.typing as npt
from scipy import optimize

__all__ = ["betting_interval", "wealth"]

type Array = npt.NDArray[np.float64]

_STAKES = (np.arange(40) + 0.5) / 40
_SHARE = 1 / np.sqrt(_STAKES * (1 - _STAKES))
_SHARE = _SHARE / _SHARE.sum()
EDGE = 1e-9


def wealth(values: Array, mean: float | Array) -> Array:
    """What gamblers who bet against a mean have made of 1, half of it staked upwards and half downwards.

    If the mean is right the expected wealth is at most 1, so it exceeds 1/alpha with chance at most alpha (Markov).
    The wealth is averaged over fixed stakes (a universal portfolio), so the order of the values does not matter.

    Parameters
    ----------
    values : ndarray, shape (..., n)
        In [0, 1], independent, with a common mean.
    mean : float or ndarray, shape (...)
        Candidates, inside (0, 1).

    Returns
    -------
    ndarray, shape (...)

    References
    ----------
    Waudby-Smith and Ramdas (2024), doi 10.1093/jrsssb/qkad009; Orabona and Jun (2024), doi 10.1109/TIT.2023.3330187.

    Examples
    --------
    >>> import numpy as np
    >>> bool(wealth(np.full(10, 0.9), 0.5) > 20)
    True
    """
    centre = np.asarray(mean, dtype=np.float64)[..., None]
    excess = values - centre
    up = _made(excess / centre)
    down = _made(-excess / (1 - centre))
    return np.asarray((up + down) / 2, dtype=np.float64)


def _made(returns: Array) -> Array:
    """Wealth averaged over the stakes, shape (...)."""
    each = np.log1p(_STAKES * returns[..., None]).sum(axis=-2)
    return np.asarray(np.exp(np.minimum(each, 700.0)) @ _SHARE, dtype=np.float64)


def betting_interval(values: Array, level: float, lowest: float = 0.0, highest: float = 1.0) -> tuple[float, float]:
    """Every mean in [lowest, highest] against which betting has not won 1/alpha.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Independent draws from any one distribution on [lowest, highest].
    level : float
        Coverage is at least this.

    Returns
    -------
    tuple of float
        Never of zero width: with n values the half width cannot fall below about log(2/alpha)/n.

    References
    ----------
    Waudby-Smith and Ramdas (2024), doi 10.1093/jrsssb/qkad009.

    Examples
    --------
    >>> import numpy as np
    >>> lower, upper = betting_interval(np.full(10, 1.0), 0.95)
    >>> round(lower, 2), upper
    (0.61, 1.0)
    """
    scaled = np.clip((values - lowest) / (highest - lowest), 0.0, 1.0)
    middle = float(np.clip(scaled.mean(), EDGE, 1 - EDGE))

    def excess(mean: float) -> float:
        return float(np.log(wealth(scaled, mean)) + np.log(1 - level))

    lower = 0.0 if excess(EDGE) <= 0 else float(optimize.brentq(excess, EDGE, middle))
    upper = 1.0 if excess(1 - EDGE) <= 0 else float(optimize.brentq(excess, middle, 1 - EDGE))
    return lowest + lower * (highest - lowest), lowest + upper * (highest - lowest)
