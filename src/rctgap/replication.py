"""Replicates: one spawned generator each, so that neither their order nor the number of workers changes a number."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from itertools import batched

import numpy as np

__all__ = ["replicate"]

BATCHES = 64


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
    source = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    batches = [list(batch) for batch in batched(source.spawn(times), max(1, -(-times // BATCHES)))]
    found = (
        (_batch(task, one) for one in batches)
        if executor is None
        else executor.map(_batch, [task] * len(batches), batches)
    )
    return [result for batch in progress(found) for result in batch]


def _batch[T](task: Callable[[np.random.Generator], T], children: Sequence[np.random.SeedSequence]) -> list[T]:
    return [task(np.random.default_rng(child)) for child in children]
