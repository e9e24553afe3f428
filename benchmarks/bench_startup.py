"""Time from the shell to help, to an import, and to the whole case study; figures are printed, never asserted."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

RCTGAP = str(Path(sys.executable).with_name("rctgap"))
TARGETS = {"rctgap --help": 0.5, "rctgap reproduce raman2026": 60.0}


def seconds(command: Sequence[str]) -> float:
    """Wall time of one run, which must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def median(run: Callable[[], float], times: int) -> float:
    """Median of several runs after one to warm the file cache."""
    run()
    return statistics.median(run() for _ in range(times))


def main() -> None:
    """Measure and print."""
    bare = median(lambda: seconds([sys.executable, "-c", "pass"]), 9)
    helped = median(lambda: seconds([RCTGAP, "--help"]), 9)
    imported = median(lambda: seconds([sys.executable, "-c", "import rctgap"]), 9)
    with tempfile.TemporaryDirectory() as folder:
        whole = seconds([RCTGAP, "reproduce", "raman2026", "--out", f"{folder}/out", "--quiet"])
    print(f"bare interpreter            {bare:6.3f} s")
    print(f"import rctgap               {imported:6.3f} s  {imported / bare:5.1f} x bare")
    print(
        f"rctgap --help               {helped:6.3f} s  {helped / bare:5.1f} x bare  (target {TARGETS['rctgap --help']})"
    )
    print(
        f"rctgap reproduce raman2026  {whole:6.1f} s                (target {TARGETS['rctgap reproduce raman2026']} s)"
    )


if __name__ == "__main__":
    main()
