"""The report of a model: curves, scatter, errors by density, best and worst images.

`charts` draws numbers, `pictures` draws images with truth and estimate, `write` lays both out in
one page, whose template is `page.html`.
"""

from edgecount.train.report.write import check_packages, write_report

__all__ = ["check_packages", "write_report"]
