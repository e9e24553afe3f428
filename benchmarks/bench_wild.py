"""Wild cluster bootstrap of one coefficient against the package wildboottest; figures are printed, never asserted.

python benchmarks/bench_wild.py [INTERPRETER]

INTERPRETER is the Python of an environment of its own that has wildboottest, which is no dependency of rctgap.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from rctgap.variance import Units
from rctgap.wild import cells_as_locations, wild_bootstrap

CLUSTERS = (10, 1298)
REPLICATES = 9999
ANSWERS = 2
ADVICE = """wildboottest is not there, so there is nothing to compare with. To install it beside rctgap:
  python -m venv its-own-environment
  its-own-environment/bin/pip install wildboottest
  python benchmarks/bench_wild.py its-own-environment/bin/python"""
THEIRS = """
import json, sys, time, warnings
import numpy as np
import statsmodels.api as sm
from wildboottest.wildboottest import wildboottest
warnings.simplefilter("ignore")
data = np.load(sys.argv[1])
model = sm.OLS(data["y"], sm.add_constant(data["x"]))
start = time.perf_counter()
found = wildboottest(model, B=int(sys.argv[2]), cluster=data["g"], param="x1", seed=1, show=False)
print(json.dumps([time.perf_counter() - start, float(found["p-value"].iloc[0])]))
"""


def problem(clusters: int, seed: int) -> dict[str, np.ndarray]:
    """A few answers of each of `clusters` participants, half of whom are treated."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(clusters), ANSWERS)
    treated = (group % 2).astype(float)
    effect = 2.0 / np.sqrt(clusters)
    score = rng.normal(size=clusters)[group] + rng.normal(size=group.size) + effect * treated
    return {"y": score, "x": treated, "g": group}


def ours(y: np.ndarray, x: np.ndarray, g: np.ndarray) -> tuple[float, float, float]:
    """Seconds, p-value, and width of the interval; from the scores, as wildboottest starts."""
    start = time.perf_counter()
    place = x.astype(np.intp)
    size = np.bincount(place).astype(float)
    mean = np.bincount(place, y) / size
    shape = (g.max() + 1, 2)
    units = Units(
        sp.coo_array((y - mean[place], (g, place)), shape).tocsr(),
        sp.coo_array((np.ones(y.size), (g, place)), shape).tocsr(),
        np.ones(shape[0]),
        size,
    )
    quantity = np.array([[-1.0, 1.0]])
    result = wild_bootstrap(cells_as_locations(units), quantity, quantity @ mean, replicates=REPLICATES, seed=1)[0]
    return time.perf_counter() - start, result.p_value, result.upper - result.lower


def theirs(interpreter: str, data: dict[str, np.ndarray]) -> tuple[float, float] | None:
    """Seconds and p-value, imports left out; None where the package is not there."""
    if subprocess.run([interpreter, "-c", "import wildboottest"], capture_output=True, check=False).returncode:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, **data)
        command = [interpreter, "-c", THEIRS, str(file), str(REPLICATES)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, p = json.loads(done.stdout.splitlines()[-1])
    return seconds, p


def main() -> None:
    """Measure and print."""
    interpreter = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    for clusters in CLUSTERS:
        data = problem(clusters, seed=3)
        ours(**data)
        seconds, p, _ = ours(**data)
        print(f"{clusters:5d} clusters, {REPLICATES} replicates")
        print(f"  rctgap, p and interval  {seconds:8.3f} s   p = {p:.4f}")
        other = theirs(interpreter, data)
        if other is None:
            print(ADVICE)
            return
        print(f"  wildboottest, p         {other[0]:8.3f} s   p = {other[1]:.4f}")
        print(
            f"  wildboottest / rctgap   {other[0] / seconds:8.1f}     (compiling included: it compiles in every call)"
        )


if __name__ == "__main__":
    main()
