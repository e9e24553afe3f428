"""The case study from the packaged counts: prints each chain and its card, tested, and writes a report.

The analyses, counts, dictionary and card are those of the package (src/rctgap/datasets/raman2026); `expected.json`
beside this file holds the figures that tests/published compares with.
"""

from pathlib import Path

from rctgap.printing import comparison_text, staged_text
from rctgap.reproduction import reproduce


def main() -> None:
    """Run the case study."""
    done = reproduce(Path("results") / "raman2026")
    for name, result in done.results.items():
        print(f"\n== {name}\n\n{result}\n\n{staged_text(result)}")
    print(f"\n{comparison_text(done.results)}\n\nReport: {done.folder / 'report.html'}")


if __name__ == "__main__":
    main()
