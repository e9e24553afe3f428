"""The report: one page for people, and the same in Markdown, from the records of a result alone."""

from rctgap.report.chapter import NamedResult
from rctgap.report.markdown import render_markdown
from rctgap.report.webpage import render_html
from rctgap.report.writing import write_report

__all__ = ["NamedResult", "render_html", "render_markdown", "write_report"]
