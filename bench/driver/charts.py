"""Results as charts. Needs matplotlib; nothing else in the driver does."""

import math

from . import slopes
from .tables import COSTS, PERCENTILES, label, number

# One colour for each library in every chart; told apart also by those who see no red or green.
COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9"),
    *("#d55e00", "#b8860b", "#8c8c8c", "#6f5fc4", "#a8395f"),
)
INK = "#24292f"
INK_ON_DARK = "#e6edf3"
GRID = "#8c959f"


def draw(scenario, results, path, order):
    """Writes one chart as SVG: a group of bars for each case and a bar for each pair, or, where
    something grows, a line for each pair, with its slope, and the same for memory beside it."""
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and the same results give the same file.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "bench", "font.family": "sans-serif"}
    from matplotlib import pyplot

    if scenario.axis:
        figure, panels = pyplot.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
        figure.suptitle(scenario.title, color=INK)
        memory = dict((metric, name) for name, metric in COSTS)[scenario.memory]
        figures = ((scenario.metric, scenario.unit), (scenario.memory, memory))
        for axes, (metric, unit) in zip(panels, figures):
            _panel(axes, _line, scenario, metric, results, order)
            axes.set_ylabel(f"{metric}, {unit}" if metric in PERCENTILES else unit, color=INK)
    else:
        figure, axes = pyplot.subplots(figsize=(9, 4.2))
        _panel(axes, _bars, scenario, scenario.metric, results, order)
        axes.set_title(f"{scenario.title}, {scenario.unit}", color=INK, loc="left")
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    _follow_the_reader(path)


def _panel(axes, shape, scenario, metric, results, order):
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    values = [shape(axes, scenario, metric, results, pair, order.index(pair)) for pair in results.pairs]
    known = [value for row in values for value in row if value]
    if known and max(known) > 20 * min(known):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3) if max(known) < 1000 * min(known) else (1,)))
        axes.set_ylim(10 ** math.floor(math.log10(min(known))), 2 * max(known))
    elif known and scenario.axis:
        axes.set_ylim(0, 1.1 * max(known))
    if scenario.axis:
        if all(case.x > 0 for case in scenario.cases):
            axes.set_xscale("log")
        axes.set_xticks([case.x for case in scenario.cases], [f"{case.x:,}" for case in scenario.cases])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(scenario.axis, color=INK)
    else:
        axes.set_xticks(range(len(results.cases)), [case.replace(", ", ",\n") for case in results.cases])
    axes.yaxis.set_major_formatter(lambda value, _: number(value).replace(".00", ""))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(colors=INK)
    axes.grid(axis="y", color=GRID, alpha=0.3)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK)
    below, columns = (-0.16, 2) if scenario.axis else (-0.12, 4)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, below), ncols=columns, frameon=False, labelcolor=INK)


def _line(axes, scenario, metric, results, pair, colour):
    known = slopes.points(scenario, results, pair, metric)
    places, values = zip(*known) if known else ((), ())
    name = f"{label(pair)}, {slopes.words(scenario, results, pair, metric)}"
    axes.plot(places, values, marker="o", label=name, color=COLOURS[colour % len(COLOURS)])
    return values


def _bars(axes, scenario, metric, results, pair, colour):
    width = 0.8 / len(results.pairs)
    place = results.pairs.index(pair) * width - 0.4 + width / 2
    values = [results.median(pair, case, metric) for case in results.cases]
    places = [index + place for index in range(len(values))]
    heights = [value or 0 for value in values]
    axes.bar(places, heights, width * 0.92, label=label(pair), color=COLOURS[colour % len(COLOURS)])
    return values


def _follow_the_reader(path):
    """Lets lines and letters be light where the reader's page is dark."""
    rules = "".join(f'[style*="{kind}: {INK}"]{{{kind}:{INK_ON_DARK} !important}}' for kind in ("fill", "stroke"))
    style = f"<style>@media (prefers-color-scheme: dark) {{{rules}}}</style>"
    with open(path) as file:
        drawing = file.read()
    head, rest = drawing.split("<defs>", 1)
    with open(path, "w") as file:
        file.write(f"{head}{style}\n <defs>{rest}")
