"""The commands on BenchmarkCards."""

from pathlib import Path

import click

from rctgap.cli_shared import PATH, plain_errors
from rctgap.errors import AnalysisError, Fault

__all__ = ["card"]


@click.group()
def card() -> None:
    """Read and check BenchmarkCards, and write back what the data say of their assumptions."""


@card.command()
@click.argument("path", metavar="CARD", type=PATH)
@click.option("--format", "form", type=click.Choice(["text", "markdown", "html"]), default="text", show_default=True)
@click.option("--out", type=PATH, help="A new file to write. [default: print]")
def show(path: Path, form: str, out: Path | None) -> None:
    """Show a card: its assumptions, their IDs, what the data say, and what departs from the authors' schema."""
    with plain_errors():
        from rctgap.card_rendering import card_html, card_markdown, describe_card  # noqa: PLC0415 - heavy
        from rctgap.card_writing import new_file  # noqa: PLC0415 - heavy
        from rctgap.cards import read_card  # noqa: PLC0415 - heavy

        rendered = {"text": describe_card, "markdown": card_markdown, "html": card_html}[form](read_card(path))
        if out is None:
            click.echo(rendered)
        else:
            new_file(out, rendered.rstrip("\n") + "\n")
            click.echo(out)


@card.command()
@click.argument("path", metavar="CARD", type=PATH)
@click.option("--ids", default="", help="Assumption IDs that the card must have, separated by commas.")
def check(path: Path, ids: str) -> None:
    """List every departure from the authors' schema, and what is unanswered."""
    with plain_errors():
        from rctgap.cards import check_card, read_card  # noqa: PLC0415 - heavy

        read = read_card(path)
        read.require([one.strip() for one in ids.split(",") if one.strip()], "--ids")
        notes = check_card(read)
        click.echo(f"{path}: {len(read.assumptions)} assumptions, {len(notes)} notes.")
        for note in notes:
            click.echo(f"{note.kind}: {note.text}")


@card.command()
@click.argument("path", metavar="CARD", type=PATH)
@click.argument("results", metavar="[RESULT]...", type=PATH, nargs=-1)
@click.option("--out", type=PATH, help="Write the card into this new file. [default: in place]")
@click.option("--replace", is_flag=True, help="Let other data take the place of evidence with the same title.")
def evidence(path: Path, results: tuple[Path, ...], out: Path | None, *, replace: bool) -> None:
    """Write into a card what result folders say of its assumptions; without a folder, print what it holds.

    It stands in the card's notes, as text to other readers. A result takes the place of an older one of the same title
    that was made from the same data, and with --replace of one from other data.
    """
    with plain_errors():
        from rctgap.card_rendering import describe_evidence  # noqa: PLC0415 - heavy
        from rctgap.card_results import evidence_from, refuse_to_replace  # noqa: PLC0415 - heavy
        from rctgap.card_writing import new_file, replace_file, with_evidence  # noqa: PLC0415 - heavy
        from rctgap.cards import read_card  # noqa: PLC0415 - heavy

        read = read_card(path)
        if not results:
            if out is not None:
                raise AnalysisError(Fault("there is nothing to write", "Name a result folder after the card", "--out"))
            click.echo(describe_evidence(read))
            for departure in read.departures:
                if "evidence block" in departure:
                    click.echo(f"\nNote: {departure}")
            return
        found = evidence_from(read, results)
        if not replace:
            refuse_to_replace(read, found)
        text = with_evidence(read, *found)
        if out is None:
            replace_file(path, text)
        else:
            new_file(out, text)
        click.echo(describe_evidence(read, found))
        click.echo(f"\nWrote {out or path}, with evidence from {len(found)} result{'s' if len(found) > 1 else ''}.")
