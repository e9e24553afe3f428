"""What every command shares: paths, and mistakes told without a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from rctgap.errors import RctgapError

__all__ = ["PATH", "plain_errors"]

PATH = click.Path(path_type=Path)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn a user's mistake into a message and exit code 2."""
    try:
        yield
    except RctgapError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
