"""Results as tables in Markdown."""

from . import slopes
from .peers import PEERS

PERCENTILES = ("p50", "p90", "p99", "p999", "max")
COSTS = (
    ("CPU of sender, µs", "cpu_sender"),
    ("CPU of receiver, µs", "cpu_receiver"),
    ("calls of sender", "calls_sender"),
    ("calls of receiver", "calls_receiver"),
    ("switches of sender", "switches_sender"),
    ("switches of receiver", "switches_receiver"),
    ("peak of sender, MiB", "peak_sender"),
    ("peak of receiver, MiB", "peak_receiver"),
)
# Where something grows, the set-up grows too.
SETUP = ("set-up, s", "setup")


def show(scenario, results, base):
    """All tables of a scenario."""
    yield f"\n### {scenario.title}, {scenario.unit}\n"
    yield from _compared(scenario, results, base)
    if scenario.percentiles:
        yield "\nPercentiles over all messages, µs:\n"
        yield from _costs(results, tuple((name, name) for name in PERCENTILES))
    if scenario.metric != "per_connection":
        yield "\nCosts: CPU for each message, system calls and context switches per 1000 messages, memory:\n"
        yield from _costs(results, (*COSTS, SETUP) if scenario.axis else COSTS)
    if scenario.axis:
        yield from _slopes(scenario, results)


def label(pair):
    """A pair's name: that of the library, or of both."""
    names = [PEERS[name].label if name in PEERS else name for name in pair]
    return names[0] if pair[0] == pair[1] else f"{names[0]} → {names[1]}"


def number(value):
    """A number in three digits or so."""
    if value is None:
        return "–"
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    if value >= 1e4:
        return f"{value / 1e3:.0f} k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _compared(scenario, results, base):
    yield from _header(["", *results.cases])
    for pair in results.pairs:
        cells = []
        for case in results.cases:
            value = results.median(pair, case, scenario.metric)
            reference = results.median(base, case, scenario.metric) if base != pair else None
            ratio = f" ({value / reference:.2f}×)" if value and reference else ""
            faults = results.faults(pair, case)
            cells.append(number(value) + ratio + (f" **{'; '.join(faults)}**" if faults else ""))
        yield _row([label(pair), *cells])


def _costs(results, columns):
    yield from _header(["", "", *(name for name, _ in columns)])
    for case in results.cases:
        for pair in results.pairs:
            values = [results.median(pair, case, metric) for _, metric in columns]
            if any(value is not None for value in values):
                yield _row([case, label(pair), *map(number, values)])


def _slopes(scenario, results):
    yield f"\n{slopes.meaning(scenario)}\n"
    metrics = ((scenario.unit, scenario.metric), *COSTS[:2], *COSTS[6:], SETUP)
    yield from _header(["", *(name for name, _ in metrics)])
    for pair in results.pairs:
        values = [slopes.slope(scenario, results, pair, metric) for _, metric in metrics]
        yield _row([label(pair), *("–" if value is None else f"{value:+.2f}" for value in values)])


def _header(names):
    return _row(names), "|" + "---|" * len(names)


def _row(cells):
    return "| " + " | ".join(cells) + " |"
