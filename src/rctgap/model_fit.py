"""A fit of the hierarchical model, and the posterior that it gives under any estimand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from rctgap.criticism import ebfmi, predictive_p
from rctgap.cross_validation import LeaveOneOut, compare_fits, leave_one_out
from rctgap.estimates import CredibleInterval, Posterior, Sampling, StageEstimates
from rctgap.model_data import USED, ModelData, model_data
from rctgap.model_moments import moment_draws
from rctgap.models.design import coefficients
from rctgap.models.hierarchical import Variant
from rctgap.models.likelihood import log_prior, unit_counts, unit_log_likelihood
from rctgap.models.parameters import Parameters, parameters_of, prior_draws
from rctgap.models.priors import Priors
from rctgap.models.replicates import Replicates, replicated
from rctgap.models.sampling import Chains, Options, sample
from rctgap.records import FitRow, PredictiveRow, PriorRow
from rctgap.scores import StageScores

__all__ = ["Fit", "fit_hierarchical"]

type Array = npt.NDArray[np.float64]

BEFORE_DATA = 1000
REPLICATIONS = 400
DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "participant_sd": ("tied",),
    "item_sd": ("itemised",),
    "item_correlation": ("itemised", "itemised_"),
    "stage_logit": ("itemised",),
    "population": ("itemised",),
    "item_standard": ("item", "itemised"),
    "coefficient": ("regressor",),
    "sensitivity": ("scorer",),
    "specificity": ("scorer",),
}


@dataclass(frozen=True, slots=True)
class Fit:
    """Draws of the parameters, and what they were drawn from.

    Attributes
    ----------
    data : ModelData
    priors : Priors
    options : Options
    chains : Chains
    parameters : Parameters
        All chains in one, chain by chain.
    interval : {"equal_tailed", "hdi"}
    likelihood : ndarray, shape (n, U)
        Of each unit of `unit_counts`.
    replicates : Replicates
        Data drawn again, at draws spread over the chains.
    fits : tuple of FitRow
        The model among nested ones, where they were asked for.
    """

    data: ModelData
    priors: Priors
    options: Options
    chains: Chains
    parameters: Parameters
    interval: CredibleInterval
    likelihood: Array
    replicates: Replicates
    fits: tuple[FitRow, ...] = ()

    def posterior(self, plain: StageEstimates) -> Posterior:
        """The posterior of the plug-in's moments, under its estimand."""
        chosen = self.options
        draws, missing = moment_draws(self.data, self.parameters, plain, chosen.seed)
        before = prior_draws(self.data.structure, self.priors, BEFORE_DATA, np.random.default_rng([chosen.seed, 1]))
        prior, _ = moment_draws(self.data, before, plain, chosen.seed)
        shape = (chosen.chains, chosen.draws)
        counts = unit_counts(self.data.structure)
        return Posterior(
            draws=draws.reshape(*shape, -1),
            interval=self.interval,
            missing=missing,
            prior=prior,
            log_prior=log_prior(self.data.structure, self.priors, self.parameters).reshape(shape),
            log_likelihood=(self.likelihood @ counts).reshape(shape),
            sampling=self._sampling(),
            priors=tuple(PriorRow(*row) for row in self.priors.describe()),
            predictive=tuple(_predictive(self.data, plain.scores, self.replicates)),
            fits=self.fits,
            notes=self.data.notes,
            groups=self._groups(self.replicates),
            restate=self.posterior,
        )

    def _sampling(self) -> Sampling:
        stats, chosen = self.chains.stats, self.options
        depth = stats.get("reached_max_treedepth")
        return Sampling(
            f"NUTS ({chosen.sampler})",
            self.chains.versions,
            chosen.chains,
            chosen.draws,
            chosen.tune,
            chosen.seed,
            target_accept=self.chains.target_accept,
            divergences=self.chains.divergences,
            min_ebfmi=float(ebfmi(stats["energy"]).min()) if "energy" in stats else None,
            max_treedepth_hits=None if depth is None else int(depth.sum()),
        )

    def _groups(self, replicates: Replicates) -> dict[str, xr.Dataset]:
        """Parameters, sampler statistics, log likelihoods and replicates, as ArviZ names the groups."""
        structure = self.data.structure
        responses = structure.responses
        itemised = [responses[place].name for place in structure.itemised]
        labels = {"tied": [responses[place].name for place in structure.tied], "itemised": itemised}
        labels |= {"itemised_": itemised, "item": list(structure.items)}
        labels["regressor"] = [one.name for one in coefficients(structure, self.priors)]
        labels["scorer"] = [one.scorer for one in structure.scorers]
        posterior = {}
        for name, values in self.chains.draws.items():
            extra = DIMENSIONS.get(name, (f"{name} dimension",) * (values.ndim > 2))  # noqa: PLR2004 - chains and draws
            coords = {one: labels[one] for one in extra if one in labels}
            posterior[name] = xr.DataArray(values, dims=("chain", "draw", *extra), coords=coords)
        stats = {name: (("chain", "draw"), values) for name, values in self.chains.stats.items()}
        shape = (self.options.chains, self.options.draws, -1)
        units = {"units": (("chain", "draw", "unit"), self.likelihood.reshape(shape).astype(np.float32))}
        cells = [" | ".join(one) for one in _labels(self.data, replicates)]
        found = {
            "posterior": xr.Dataset(posterior),
            "sample_stats": xr.Dataset(stats),
            "log_likelihood": xr.Dataset(units).assign_coords(alike=("unit", unit_counts(structure))),
            "posterior_predictive": xr.Dataset(
                {"cell_mean": (("chain", "draw", "cell"), replicates.means[None])}, {"cell": cells}
            ),
            "observed_data": xr.Dataset(
                {"cell_mean": ("cell", replicates.observed), "cell_size": ("cell", replicates.size)}, {"cell": cells}
            ),
        }
        return {
            name: one.assign_coords(
                {dim: np.arange(size) for dim, size in one.sizes.items() if dim in ("chain", "draw")}
            )
            for name, one in found.items()
        }


def fit_hierarchical(
    scores: StageScores, priors: Priors, options: Options, interval: CredibleInterval, *, compare: bool
) -> Fit:
    """Sample the hierarchical model of a trial's scores.

    Parameters
    ----------
    scores : StageScores
    priors : Priors
    options : Options
    interval : {"equal_tailed", "hdi"}
    compare : bool
        Whether nested models are fitted too, and compared by leave-one-out cross-validation.
    """
    data = model_data(scores)
    chains, parameters, likelihood = _sampled(data, priors, options, Variant())
    rng = np.random.default_rng([options.seed, 2])
    chosen = np.linspace(0, parameters.size - 1, min(REPLICATIONS, parameters.size)).astype(np.intp)
    replicates = replicated(data.structure, parameters.rows(chosen), rng)
    fit = Fit(data, priors, options, chains, parameters, interval, likelihood, replicates)
    return replace(fit, fits=_compared(fit)) if compare else fit


def _sampled(data: ModelData, priors: Priors, options: Options, variant: Variant) -> tuple[Chains, Parameters, Array]:
    chains = sample(data.structure, priors, options, variant)
    flat = {name: one.reshape(-1, *one.shape[2:]) for name, one in chains.draws.items()}
    size = options.chains * options.draws
    structure = data.structure
    if not variant.participants:
        flat["participant_sd"] = np.zeros((size, len(structure.tied)))
    parameters = parameters_of(structure, flat, size)
    return chains, parameters, unit_log_likelihood(structure, parameters)


def _compared(fit: Fit) -> tuple[FitRow, ...]:
    """The model among those without correlated items, and without participant effects."""
    structure = fit.data.structure
    variants: dict[str, Variant] = {}
    if len(structure.itemised) > 1 and len(structure.items) > 1:
        variants["item effects independent between stages"] = Variant(correlated=False)
    if structure.tied:
        variants["no participant effects"] = Variant(participants=False)
    found = {"full model": _left_out(fit, fit.likelihood)}
    for name, variant in variants.items():
        found[name] = _left_out(fit, _sampled(fit.data, fit.priors, fit.options, variant)[2])
    return compare_fits(found, "participants and runs" if structure.tied else "answers and runs")


def _left_out(fit: Fit, likelihood: Array) -> LeaveOneOut:
    shape = (fit.options.chains, fit.options.draws, -1)
    return leave_one_out(likelihood.reshape(shape), unit_counts(fit.data.structure))


def _labels(data: ModelData, replicates: Replicates) -> list[tuple[str, str, str]]:
    """Arm (or system of the benchmark), stage and item of each cell; no item for rows that name none."""
    found = []
    for place, group, item in zip(replicates.response, replicates.group, replicates.item, strict=True):
        one = data.structure.responses[place]
        found.append((one.groups[group], one.name, data.structure.items[item] if item >= 0 else "no item named"))
    return found


def _predictive(data: ModelData, scores: StageScores, replicates: Replicates) -> Iterator[PredictiveRow]:
    """Observed and predicted means of every cell, after those of the arms' stages."""
    control, last = data.control, scores.chain.last
    pairs = np.stack([replicates.response, replicates.group])
    for place, group in np.unique(pairs, axis=1).T:
        inside = (replicates.response == place) & (replicates.group == group)
        size = replicates.size[inside]
        one = data.structure.responses[place]
        stage = last if one.name == control else one.name
        arm = one.groups[group]
        observed = float(replicates.observed[inside] @ size / size.sum())
        yield _row(arm, stage, "", size.sum(), observed, replicates.means[:, inside] @ size / size.sum())
        if one.name == USED or not one.items:
            continue
        for column in np.flatnonzero(inside & (replicates.item >= 0)):
            item = data.structure.items[replicates.item[column]]
            means = replicates.means[:, column]
            yield _row(arm, stage, item, replicates.size[column], float(replicates.observed[column]), means)


def _row(arm: str, stage: str, item: str, size: float, observed: float, means: Array) -> PredictiveRow:
    found = predictive_p(means, observed)
    return PredictiveRow(arm, stage, item, round(size), observed, found.mean, found.lower, found.upper, found.p_value)
