"""Scorers: how a text becomes a number, one file each."""
