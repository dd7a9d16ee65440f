"""How a figure grows with what a scenario makes grow."""

import math


def meaning(scenario):
    """A sentence that explains the numbers of `slope`."""
    if _from_zero(scenario):
        return f"By how much each further one of the {scenario.axis} changes it (least squares):"
    return (
        f"Slopes: the exponent of the number of {scenario.axis} that fits best (least squares of the logarithms). "
        "0 is no growth; 1 is growth in proportion:"
    )


def slope(scenario, results, pair, metric):
    """The exponent, or the increase for each one where the axis begins at zero; nothing below two points."""
    scale = (lambda value: value) if _from_zero(scenario) else math.log
    known = points(scenario, results, pair, metric)
    return fit([(scale(x), scale(y)) for x, y in known]) if len(known) > 1 else None


def words(scenario, results, pair, metric):
    """The slope as a chart says it."""
    value = slope(scenario, results, pair, metric)
    if value is None:
        return "no slope"
    return f"{value:+,.2f} for each further one" if _from_zero(scenario) else f"slope {value:+.2f}"


def points(scenario, results, pair, metric):
    """The medians of a pair, by their place on the axis."""
    found = ((case.x, results.median(pair, case.key, metric)) for case in scenario.cases)
    return [(x, y) for x, y in found if y is not None and y > 0]


def fit(places):
    """The slope of the line of least squares."""
    middle_x, middle_y = (sum(column) / len(places) for column in zip(*places))
    spread = sum((x - middle_x) ** 2 for x, _ in places)
    return sum((x - middle_x) * (y - middle_y) for x, y in places) / spread


def _from_zero(scenario):
    return any(case.x <= 0 for case in scenario.cases)
