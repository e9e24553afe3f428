"""Readers of chat logs, one file a format."""
