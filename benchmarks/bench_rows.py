"""Ten million rows from a Parquet file, aggregated and decomposed; figures are printed, never asserted."""

import resource
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import rctgap as rg

ROWS = 10_000_000
CHUNK = 1_000_000
ARMS = ("control", "a1", "a2", "a3")
ITEMS = tuple(f"s{one}" for one in range(10))
MEANS = {"own_query": 0.8, "conversation": 0.65, "decision": 0.4}


def write(path: Path) -> None:
    """A trial of ten million answers."""
    rng = np.random.default_rng(1)
    coded = pa.dictionary(pa.int8(), pa.string())
    fields = [("arm", coded), ("item", coded), *((name, pa.int8()) for name in MEANS)]
    with pq.ParquetWriter(path, pa.schema(fields)) as writer:
        for _ in range(ROWS // CHUNK):
            arm, item = rng.integers(0, len(ARMS), CHUNK), rng.integers(0, len(ITEMS), CHUNK)
            columns = {
                name: pa.array((rng.random(CHUNK) < mean).astype("int8"), mask=(arm == 0) & (name != "decision"))
                for name, mean in MEANS.items()
            }
            keys = {
                name: pa.DictionaryArray.from_arrays(pa.array(codes.astype("int8")), pa.array(words))
                for name, codes, words in (("arm", arm, ARMS), ("item", item, ITEMS))
            }
            writer.write_table(pa.table(keys | columns, schema=writer.schema))


def benchmark_runs() -> pd.DataFrame:
    """Eighteen of twenty runs right on every item."""
    cells = pd.MultiIndex.from_product([ARMS[1:], ITEMS, (1, 0)], names=["system", "item", "benchmark"])
    return cells.to_frame(index=False).assign(count=lambda one: np.where(one["benchmark"] == 1, 18, 2))


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore", rg.RctgapWarning)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.parquet"
        write(path)
        start = time.perf_counter()
        trial = rg.read_trial(path, benchmark=benchmark_runs(), design=rg.Design("control", list(ARMS[1:])))
        read = time.perf_counter()
        scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
        scored = time.perf_counter()
        estimates = rg.estimate_frequentist(scores, rg.Estimand(items="fixed", item_weights="trial"))
        rg.decompose(estimates, estimates.estimand)
        done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"rows                  {ROWS:12,}  in {len(scores.answers)} patterns")
    print(f"read and validated    {read - start:8.1f} s")
    print(f"aggregated            {scored - read:8.1f} s")
    print(f"decomposed            {done - scored:8.1f} s")
    print(f"in all                {done - start:8.1f} s, {peak:.1f} GiB at most  (target about 30 s, 3 GiB)")


if __name__ == "__main__":
    main()
