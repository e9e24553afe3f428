"""Replicates: one spawned generator each, so that neither their order nor the number of workers changes a number."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import batched

import numpy as np

__all__ = ["DEFAULT_SEED", "in_batches", "replicate"]

BATCHES = 64
DEFAULT_SEED = 20260522


def replicate[T](
    task: Callable[[np.random.Generator], T],
    times: int,
    seed: int | np.random.SeedSequence,
    *,
    executor: Executor | None = None,
    progress: Callable[[Iterable[list[T]]], Iterable[list[T]]] = iter,
) -> list[T]:
    """Run a task `times` times, each with its own child of the seed.

    Parameters
    ----------
    task : callable
        Takes a Generator. For a process pool it must be picklable, a function of a module or a
        frozen record with `__call__`.
    times : int
        Number of replicates.
    seed : int or SeedSequence
    executor : concurrent.futures.Executor, optional
        Any executor; this process alone without one.
    progress : callable
        Wraps the batches of results as they come.

    Returns
    -------
    list
        Results in the order of the children, whatever the executor.

    Examples
    --------
    >>> from rctgap.replication import replicate
    >>> [round(float(x), 3) for x in replicate(lambda rng: rng.random(), 3, seed=1)]
    [0.699, 0.476, 0.233]
    """
    return in_batches(_OneByOne(task), times, seed, executor=executor, progress=progress)


def in_batches[T](
    task: Callable[[Sequence[np.random.Generator]], list[T]],
    times: int,
    seed: int | np.random.SeedSequence,
    *,
    smallest: int = 1,
    executor: Executor | None = None,
    progress: Callable[[Iterable[list[T]]], Iterable[list[T]]] = iter,
) -> list[T]:
    """Like `replicate`, for a task that does the replicates of several generators, `smallest` or more, at once.

    The task must give every replicate what it would get alone: batches are a matter of speed.
    """
    source = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    batches = [list(batch) for batch in batched(source.spawn(times), max(smallest, -(-times // BATCHES)))]
    found = (
        (_batch(task, one) for one in batches)
        if executor is None
        else executor.map(_batch, [task] * len(batches), batches)
    )
    return [result for batch in progress(found) for result in batch]


@dataclass(frozen=True, slots=True)
class _OneByOne[T]:
    task: Callable[[np.random.Generator], T]

    def __call__(self, generators: Sequence[np.random.Generator]) -> list[T]:
        return [self.task(rng) for rng in generators]


def _batch[T](
    task: Callable[[Sequence[np.random.Generator]], list[T]], children: Sequence[np.random.SeedSequence]
) -> list[T]:
    return task([np.random.default_rng(child) for child in children])
