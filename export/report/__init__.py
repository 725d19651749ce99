"""The report of an export: what was made, how it counts, how fast it is.

`facts` gathers it as plain JSON types, `page` lays it out, whose template is `page.html`.
"""

from edgecount.export.report.page import write_report

__all__ = ["write_report"]
