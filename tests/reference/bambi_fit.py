"""Posterior of one stage's regression from Bambi: a formula, and a PyMC model of Bambi's own with latent participants.

    python tests/reference/bambi_fit.py

reads bayesian/trial.csv and writes bayesian/bambi.csv and bayesian/bambi_versions.txt next to this script. Bambi is no
dependency of rctgap. README.md explains the columns. The priors are those that the test gives rctgap; the one that no
formula can say, an intercept whose spread grows with the standard deviations, is put in as a potential.
"""

import platform
from importlib import metadata
from pathlib import Path

import bambi as bmb
import numpy as np
import pandas as pd
import pytensor.tensor as pt
from arviz_stats.base import array_stats
from scipy import special, stats

HERE = Path(__file__).parent / "bayesian"
PLAIN = 2.5
ATTENUATION = 16 * np.sqrt(3) / (15 * np.pi)


def from_plain(intercept, item_sd, participant_sd):
    """Log density of normal(0, 2 stretch) less that of normal(0, PLAIN), up to a constant."""
    scale = 2.0 * pt.sqrt(1 + ATTENUATION**2 * (item_sd**2 + participant_sd**2))
    return -0.5 * (intercept / scale) ** 2 - pt.log(scale) + 0.5 * (intercept / PLAIN) ** 2


def main() -> None:
    """Fit and write."""
    trial = pd.read_csv(HERE / "trial.csv")
    trial["contrast"] = np.where(trial["arm"] == "a1", 1.0, -1.0) / np.sqrt(2)
    model = bmb.Model(
        "own_query ~ contrast + (1|item) + (1|participant)",
        trial,
        family="bernoulli",
        center_predictors=False,
        priors={
            "Intercept": bmb.Prior("Normal", mu=0, sigma=PLAIN),
            "contrast": bmb.Prior("Normal", mu=0, sigma=1),
            "1|item": bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=1.5)),
            "1|participant": bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=1)),
        },
        potentials=[(("Intercept", "1|item_sigma", "1|participant_sigma"), from_plain)],
    )
    fitted = model.fit(
        draws=2000, tune=1000, chains=4, cores=2, random_seed=1, target_accept=0.9, progressbar=False, noncentered=True
    )
    quantities = quantities_of(fitted["posterior"])
    rows = [(name, *summary(draws)) for name, draws in quantities.items()]
    columns = ["quantity", "mean", "sd", "mcse_mean", "mcse_sd", "ess_bulk", "rhat", "draws"]
    table = pd.DataFrame(rows, columns=columns)
    if table["rhat"].max() >= 1.01 or table["ess_bulk"].min() <= 1000:
        raise SystemExit(f"not converged:\n{table}")
    table.to_csv(HERE / "bambi.csv", index=False, float_format="%.17g", lineterminator="\n")
    packages = [f"{name} {metadata.version(name)}" for name in ("arviz-stats", "bambi", "numpy", "pymc", "pytensor")]
    (HERE / "bambi_versions.txt").write_text("\n".join([f"Python {platform.python_version()}", *packages]) + "\n")


def quantities_of(posterior):
    """Draws of every compared quantity, each of shape (chains, draws)."""
    intercept, slope = posterior["Intercept"].to_numpy(), posterior["contrast"].to_numpy()
    item_sd, participant_sd = posterior["1|item_sigma"].to_numpy(), posterior["1|participant_sigma"].to_numpy()
    effects = posterior["1|item"].to_numpy()
    grid = np.linspace(-6, 6, 61)
    mass = stats.norm.pdf(grid) / stats.norm.pdf(grid).sum()

    def over(eta, sd):
        return sum(one * special.expit(eta + sd * point) for point, one in zip(grid, mass, strict=True))

    found = {
        "population": intercept,
        "items_mean": intercept + effects.mean(axis=-1),
        "arm_difference": np.sqrt(2) * slope,
        "item_sd": item_sd,
        "participant_sd": participant_sd,
    }
    for arm, side in (("a1", 1.0), ("a2", -1.0)):
        level = intercept + side / np.sqrt(2) * slope
        found[f"mean_these_items_{arm}"] = over(level[..., None] + effects, participant_sd[..., None]).mean(axis=-1)
    for arm, side in (("a1", 1.0), ("a2", -1.0)):
        level = intercept + side / np.sqrt(2) * slope
        found[f"mean_new_items_{arm}"] = over(level, np.sqrt(item_sd**2 + participant_sd**2))
    return found


def summary(draws):
    """Moments, their Monte Carlo errors, and convergence."""
    return (
        draws.mean(),
        draws.std(ddof=1),
        float(array_stats.mcse(draws, method="mean")),
        float(array_stats.mcse(draws, method="sd")),
        float(array_stats.ess(draws, method="bulk")),
        float(array_stats.rhat(draws)),
        draws.size,
    )


if __name__ == "__main__":
    main()
