"""Embedded counts with their codebooks; one folder a study."""

from pathlib import Path

__all__ = ["folder"]


def folder(study: str) -> Path:
    """Folder of an embedded study's files."""
    return Path(__file__).parent / study
