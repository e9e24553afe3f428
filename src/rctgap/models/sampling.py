"""Sampling in one place: PyMC's own NUTS by name, its options recorded, its chains handed on to be diagnosed."""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata, util
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pymc as pm
import pytensor

from rctgap.errors import EstimationError, Fault
from rctgap.models.hierarchical import Variant, build, data_of
from rctgap.models.priors import Priors
from rctgap.models.structure import Structure

__all__ = ["SAMPLERS", "Chains", "OneModel", "Options", "SamplerName", "sample"]

type Array = npt.NDArray[np.float64]
type SamplerName = Literal["pymc", "nutpie", "numpyro"]

CAREFUL = 0.99
STATS = ("acceptance_rate", "diverging", "energy", "lp", "n_steps", "reached_max_treedepth", "step_size", "tree_depth")
SAMPLERS = ("pymc", "nutpie", "numpyro")


@dataclass(frozen=True, slots=True)
class Options:
    """How to sample.

    Attributes
    ----------
    draws, tune, chains : int
    seed : int
    sampler : {"pymc", "nutpie", "numpyro"}
        PyMC's own unless another is asked for by name.
    target_accept : float
        Raised to 0.99, and everything drawn again, where a first attempt has divergences.
    cores : int, optional
        Chains at a time; never changes a draw. By default one per core, up to `chains`.
    progress : bool
        Whether to show progress, where standard error is a terminal.
    """

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    seed: int = 0
    sampler: SamplerName = "pymc"
    target_accept: float = 0.9
    cores: int | None = None
    progress: bool = False


@dataclass(frozen=True, slots=True)
class Chains:
    """What a sampler returned.

    Attributes
    ----------
    draws : mapping of parameter to ndarray, shape (chains, draws, ...)
    stats : mapping of statistic to ndarray, shape (chains, draws)
        `diverging`, `energy` and what else the sampler tells, clocks left aside: equal seeds give equal results.
    versions : tuple of (package, version)
    target_accept : float
        What these draws were made with.
    """

    draws: Mapping[str, Array]
    stats: Mapping[str, Array]
    versions: tuple[tuple[str, str], ...]
    target_accept: float

    @property
    def divergences(self) -> int:
        """Over all chains, after tuning."""
        return int(self.stats["diverging"].sum())


def sample(structure: Structure, priors: Priors, options: Options, variant: Variant | None = None) -> Chains:
    """Draw from the posterior of a structure's model.

    Raises
    ------
    EstimationError
        A sampler that is not installed.
    """
    _refuse_absent(options.sampler)
    found = _sample(structure, priors, options, variant)
    if not found.divergences or options.target_accept >= CAREFUL:
        return found
    return _sample(structure, priors, replace(options, target_accept=CAREFUL), variant)


def _sample(structure: Structure, priors: Priors, options: Options, variant: Variant | None) -> Chains:
    terminal = options.progress and sys.stderr.isatty()
    own = {"backend": "numba"} if options.sampler == "pymc" else {}
    with build(structure, priors, variant), _without_c():
        tree = pm.sample(
            draws=options.draws,
            tune=options.tune,
            chains=options.chains,
            cores=options.cores or min(options.chains, os.cpu_count() or 1),  # PyMC's own guess halves it
            random_seed=options.seed,
            nuts_sampler=options.sampler,
            target_accept=options.target_accept,
            progressbar=terminal,
            quiet=not terminal,
            compute_convergence_checks=False,
            **own,
        )
    packages = ["pymc", "pytensor", *([options.sampler] if options.sampler != "pymc" else [])]
    return Chains(
        {str(name): np.asarray(one, dtype=np.float64) for name, one in tree["posterior"].data_vars.items()},
        {name: np.asarray(tree["sample_stats"][name]) for name in STATS if name in tree["sample_stats"]},
        tuple((name, metadata.version(name)) for name in packages),
        options.target_accept,
    )


@contextmanager
def _without_c() -> Iterator[None]:
    """No C compiler for PyTensor, which would fold constants with it (ten seconds at first) and advise on a BLAS."""
    with warnings.catch_warnings(), pytensor.config.change_flags(cxx=""):
        warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS")
        warnings.filterwarnings("ignore", message="Numba will use object mode")  # in Cholesky's gradient
        yield


def _refuse_absent(name: str) -> None:
    if name != "pymc" and util.find_spec(name) is None:
        raise EstimationError(
            Fault(
                f"the sampler {name!r} is not installed",
                f"Install rctgap[{name}], or use PyMC's own (the default)",
                place="bayesian.sampler",
                value=name,
            )
        )


def _shape(structure: Structure) -> tuple[object, ...]:
    """What is compiled into a model; all else is data."""
    scorers = tuple(one.scorer for one in structure.scorers)
    widths = (*structure.answers.shape[1:], *structure.people.shape[1:])  # multiplied probabilities are written out
    nodes = structure.grid[0].size
    return structure.responses, structure.items, bool(structure.people.size), nodes, scorers, widths


class OneModel:
    """A model compiled once, for many data sets of the same shape: items, arms, stages, and who is tied.

    Simulation studies fit hundreds of trials; compiling takes longer than sampling a small one.

    Parameters
    ----------
    structure : Structure
        Of any of the data sets.
    priors : Priors
    variant : Variant, optional
    target_accept : float
    """

    def __init__(
        self, structure: Structure, priors: Priors, variant: Variant | None = None, target_accept: float = 0.9
    ) -> None:
        self.shape = _shape(structure)
        self.priors, self.variant, self.target_accept = priors, variant or Variant(), target_accept
        self.model = build(structure, priors, self.variant)
        with self.model, _without_c():
            self.step = pm.NUTS(target_accept=target_accept)
            self.names = [str(one.name) for one in self.model.free_RVs]
            # Values put in place of the variables: compiled as they are, the variables would draw from their priors.
            values = self.model.replace_rvs_by_values(self.model.free_RVs)
            self.constrain = self.model.compile_fn(values, inputs=self.model.value_vars)
            self.start = self.model.initial_point()
        self.fresh = self.step.sampling_state

    def sample(self, structure: Structure, *, draws: int, tune: int, seed: int) -> Chains:
        """One chain from the posterior of another data set.

        Raises
        ------
        EstimationError
            It is not of the shape that the model was compiled for.
        """
        if _shape(structure) != self.shape:
            raise EstimationError(
                Fault("these data are not of the shape that the model was compiled for", "Compile a model of their own")
            )
        held = structure if self.variant.participants else structure.untied()
        with self.model:
            pm.set_data(data_of(held, self.priors))
        rng = np.random.default_rng(seed)
        point = {name: value + rng.uniform(-1, 1, np.shape(value)) for name, value in self.start.items()}
        self.step.sampling_state = self.fresh
        self.step.setup_chain(rng, tune, draws)
        self.step.tune = True
        kept: list[list[Any]] = []
        stats: list[Mapping[str, Any]] = []
        for turn in range(tune + draws):
            if turn == tune:
                self.step.stop_tuning()
            point, told = self.step.step(point)
            if turn >= tune:
                kept.append(self.constrain(point))
                stats.append(told[0])
        found = {name: np.stack([one[place] for one in kept])[None] for place, name in enumerate(self.names)}
        told_of = {name: np.array([one[name] for one in stats])[None] for name in ("diverging", "energy")}
        return Chains(found, told_of, (), self.target_accept)
