"""posterior.nc: the draws of a result in ArviZ's layout, and reading them back."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from rctgap.documents import sha256
from rctgap.errors import Fault, OutputError
from rctgap.estimands import ALL_ARMS
from rctgap.estimates import Posterior, StageEstimates
from rctgap.posterior_rows import DIFFERENCE, Drawn, drawn_quantities
from rctgap.results import GapDecomposition
from rctgap.strict_json import read_json
from rctgap.suppression import raw_data_may_be_shown

__all__ = ["POSTERIOR", "POSTERIOR_SCHEMA", "posterior_tree", "read_posterior", "read_tree", "write_tree"]

type Array = npt.NDArray[np.float64]
type Draws = Callable[[Drawn], Array | None]

POSTERIOR = "posterior.nc"
POSTERIOR_SCHEMA = "rctgap/posterior/1"
SAFE_GROUPS = frozenset({"sample_stats", "prior", "log_prior"})
LEFT_OUT = "left out, since cells under the suppression threshold could be worked out from them"
# Kind of quantity, the variable that holds it, and its dimension beside chain, draw and arm.
_VARIABLES = {
    "component": ("component", "transition"),
    "family": ("family_gap", "family"),
    "effect": ("effect", "effect_of"),
    "conditional": ("conditional", "condition"),
    "stage": ("stage_mean", "stage"),
}
_SINGLE = {"gap": "gap", "item_mix": "item_mix", DIFFERENCE: DIFFERENCE}


def posterior_tree(result: GapDecomposition) -> xr.DataTree | None:
    """The groups of posterior.nc.

    Parameters
    ----------
    result : GapDecomposition
        As it is to be published: a quantity whose row shows no mean has no draws either.

    Returns
    -------
    DataTree or None
        The draws of a loaded result as they were read; None without a posterior. Group `posterior` holds, over `chain`,
        `draw` and `arm` (labels, and `all`): `component` by `transition` (its target stage), `family_gap` by `family`,
        `gap`, `item_mix`, `task_minus_outcome`, `effect` by `effect_of`, `conditional` by `condition`, `stage_mean` by
        `stage`, and `control_mean` without arm. NaN where there are no draws. Group `prior` holds the same before any
        data; further groups come with the model.
    """
    estimates = result.bayesian
    if estimates is None or estimates.posterior is None:
        return result.draws
    posterior = estimates.posterior
    drawn = _shown(result, estimates)
    groups = {"posterior": _dataset(estimates, drawn, lambda one: one.draws)}
    if posterior.prior is not None:
        groups["prior"] = _dataset(estimates, drawn, lambda one: None if one.prior is None else one.prior[None])
    given = {**_logs(posterior), **posterior.groups}
    allowed = raw_data_may_be_shown(result)
    for name, dataset in given.items():
        if allowed or name in SAFE_GROUPS:
            own = groups.get(name)
            groups[name] = dataset if own is None else own.merge(dataset, join="exact", compat="no_conflicts")
    attributes = _attributes(result, estimates, sorted(set(given) - SAFE_GROUPS) if not allowed else [])
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(attributes)
    return tree


def _shown(result: GapDecomposition, estimates: StageEstimates) -> list[Drawn]:
    """Quantities whose row in posterior.csv shows a mean."""
    chosen = estimates.estimand.items, estimates.estimand.item_weights_name
    kept = {
        (row.arm, row.kind, row.quantity)
        for row in result.posterior
        if (row.items, row.item_weights) == chosen and row.mean is not None
    }
    return [one for one in drawn_quantities(estimates) if (one.arm, one.kind, one.quantity) in kept]


def _dataset(estimates: StageEstimates, drawn: Sequence[Drawn], draws_of: Draws) -> xr.Dataset:
    """Draws as named variables; those without any draw are left out."""
    design = estimates.scores.design
    arms = [*(arm.label for arm in design.arms), ALL_ARMS]
    found = [(one, draws) for one in drawn if (draws := draws_of(one)) is not None]
    variables: dict[str, xr.DataArray] = {}
    for kind, (name, dimension) in _VARIABLES.items():
        mine = {(one.arm, one.quantity): draws for one, draws in found if one.kind == kind and one.arm in arms}
        if mine:
            labels = list(dict.fromkeys(quantity for _, quantity in mine))
            variables[name] = _stacked(arms, mine, labels, dimension)
    for quantity, name in _SINGLE.items():
        mine = {
            (one.arm, quantity): draws
            for one, draws in found
            if one.quantity == quantity and one.kind in ("gap", "difference")
        }
        if mine:
            variables[name] = _stacked(arms, mine, [quantity], "single").isel(single=0, drop=True)
    for one, draws in found:
        if one.arm == design.control:
            variables["control_mean"] = xr.DataArray(draws, dims=("chain", "draw"))
    dataset = xr.Dataset(variables)
    return dataset.assign_coords(
        {name: np.arange(size) for name, size in dataset.sizes.items() if name in ("chain", "draw")}
    )


def _stacked(
    arms: Sequence[str], draws: Mapping[tuple[str, str], Array], labels: Sequence[str], dimension: str
) -> xr.DataArray:
    shape = next(iter(draws.values())).shape
    table = np.full((*shape, len(arms), len(labels)), np.nan)
    for (arm, quantity), values in draws.items():
        table[..., arms.index(arm), labels.index(quantity)] = values
    return xr.DataArray(
        table, dims=("chain", "draw", "arm", dimension), coords={"arm": list(arms), dimension: list(labels)}
    )


def _logs(posterior: Posterior) -> dict[str, xr.Dataset]:
    """Log prior and log likelihood under the names that ArviZ's power-scaling looks for."""
    logs = {"log_prior": posterior.log_prior, "log_likelihood": posterior.log_likelihood}
    return {
        name: xr.Dataset({name: (("chain", "draw"), values)}) for name, values in logs.items() if values is not None
    }


def _attributes(result: GapDecomposition, estimates: StageEstimates, left_out: Sequence[str]) -> dict[str, str | float]:
    made, card = result.sampling, result.card
    found: dict[str, str | float] = {
        "schema": POSTERIOR_SCHEMA,
        "title": result.title,
        "inference_library": "rctgap",
        "estimator": estimates.estimator_name,
        "estimand": estimates.estimand.describe(),
        "level": estimates.level,
        "assumption_ids": json.dumps(_assumption_ids(result, estimates)),
        "card": card.name if card else "",
        "card_sha256": card.sha256 if card else "",
        "groups_left_out": f"{', '.join(left_out)}: {LEFT_OUT}" if left_out else "",
    }
    if made is not None:
        found |= {"sampler": made.sampler, "seed": made.seed, "versions": json.dumps(dict(made.versions))}
        numbers = {"tune": made.tune, "target_accept": made.target_accept, "divergences": made.divergences}
        found |= {name: value for name, value in numbers.items() if value is not None}
    return found


def _assumption_ids(result: GapDecomposition, estimates: StageEstimates) -> dict[str, dict[str, list[str]]]:
    """IDs that each component speaks to, by arm and transition: none where the system changes."""
    chosen = estimates.method, estimates.estimand.items, estimates.estimand.item_weights_name
    found: dict[str, dict[str, list[str]]] = {}
    for row in (*result.components, *result.alternatives):
        if row.kind == "component" and (row.method, row.items, row.item_weights) == chosen:
            found.setdefault(row.arm, {})[row.quantity] = [one for one in row.assumption_ids.split(";") if one]
    return found


def write_tree(tree: xr.DataTree, path: Path) -> str:
    """Write posterior.nc; returns its SHA-256."""
    tree.to_netcdf(path, engine="h5netcdf")
    return sha256(path)


def read_posterior(folder: Path | str) -> xr.DataTree:
    """Read the draws of a result folder.

    Parameters
    ----------
    folder : path
        A folder that rctgap wrote from a run with a posterior.

    Returns
    -------
    DataTree
        In memory; see `posterior_tree` for its groups. Plain ArviZ opens the file too.

    Raises
    ------
    OutputError
        No result there, one without a posterior, or a posterior.nc that is missing, damaged or not that of the result.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> import rctgap as rg
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_bayesian(scores, estimand, model="bootstrap", draws=500), estimand)
    >>> draws = rg.read_posterior(rg.save(result, tempfile.mkdtemp()))
    >>> dict(draws["posterior"].sizes)
    {'chain': 1, 'draw': 500, 'arm': 2, 'transition': 1, 'family': 1, 'condition': 1, 'stage': 2}
    """
    place = Path(folder)
    known = read_json(place / "result.json").get("posterior_sha256")
    if not isinstance(known, str):
        raise OutputError(
            Fault("this result holds no posterior", "Run with --method bayesian or both", str(place / "result.json"))
        )
    return read_tree(place / POSTERIOR, known)


def read_tree(path: Path, known: str) -> xr.DataTree:
    """Read posterior.nc if it is the file that the result was written with.

    Raises
    ------
    OutputError
        It is missing, or another file.
    """
    if not path.is_file():
        raise OutputError(Fault("the result's draws are missing", "Run the analysis again", str(path)))
    if sha256(path) != known:
        raise OutputError(
            Fault(
                "the file is damaged or is not of this result (its SHA-256 differs)",
                "Run the analysis again",
                str(path),
            )
        )
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        return tree.load()
