"""Posterior of the hierarchical pooling model from PyMC, with the true values of the trials as parameters.

    python tests/reference/pooling_fit.py

reads pooling/effects.csv and writes pooling/pymc.csv and pooling/pymc_versions.txt next to this script. README.md
explains the columns.
"""

import platform
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
from arviz_stats.base import array_stats

HERE = Path(__file__).parent / "pooling"
CASES = (("three", 0.5, 0.1), ("mild", 0.5, 0.1), ("schools", 0.5, 0.1), ("three", 0.1, 0.3))
MARGIN = 0.05
CHAINS, DRAWS = 4, 10000


def drawn(effects: pd.DataFrame, mu_sd: float, tau_scale: float) -> dict[str, np.ndarray]:
    """Draws of every quantity, shape (chains, draws)."""
    with pm.Model():
        mu = pm.Normal("mu", 0.0, mu_sd)
        tau = pm.HalfNormal("tau", tau_scale)
        raw = pm.Normal("raw", 0.0, 1.0, shape=len(effects))
        true = pm.Deterministic("true", mu + tau * raw)
        pm.Normal("seen", true, effects["std_error"].to_numpy(), observed=effects["estimate"].to_numpy())
        pm.Deterministic("new", mu + tau * pm.Normal("raw_new", 0.0, 1.0))
        fitted = pm.sample(
            draws=DRAWS, tune=2000, chains=CHAINS, cores=2, random_seed=1, target_accept=0.98, progressbar=False
        )
    found = fitted["posterior"]
    told = {name: found[name].to_numpy() for name in ("mu", "tau", "new")}
    told |= {f"trial_{place + 1}": found["true"].to_numpy()[..., place] for place in range(len(effects))}
    told["positive"] = (told["mu"] > 0).astype(float)
    told["within_margin"] = (np.abs(told["mu"]) < MARGIN).astype(float)
    return told


def summary(draws: np.ndarray) -> tuple[float, ...]:
    """Mean, standard deviation, quantiles, effective draws and R-hat."""
    ends = np.quantile(draws, [0.025, 0.5, 0.975])
    ess, rhat = float(array_stats.ess(draws, method="bulk")), float(array_stats.rhat(draws))
    return float(draws.mean()), float(draws.std()), *(float(one) for one in ends), ess, rhat


def main() -> None:
    """Fit and write."""
    effects = pd.read_csv(HERE / "effects.csv")
    rows = [
        (case, mu_sd, tau_scale, name, *summary(draws))
        for case, mu_sd, tau_scale in CASES
        for name, draws in drawn(effects[effects["case"] == case], mu_sd, tau_scale).items()
    ]
    columns = ["case", "mu_sd", "tau_scale", "quantity", "mean", "sd", "q025", "q500", "q975", "ess_bulk", "rhat"]
    table = pd.DataFrame(rows, columns=columns)
    if table["rhat"].max() >= 1.01 or table["ess_bulk"].min() <= 1000:
        raise SystemExit(f"not converged:\n{table}")
    table.to_csv(HERE / "pymc.csv", index=False, float_format="%.10g", lineterminator="\n")
    packages = [f"{name} {metadata.version(name)}" for name in ("arviz-stats", "numpy", "pymc", "pytensor")]
    (HERE / "pymc_versions.txt").write_text("\n".join([f"Python {platform.python_version()}", *packages]) + "\n")


if __name__ == "__main__":
    main()
