"""Records of runs, one line of JSON each, and their medians."""

import json
import statistics


def save(path, record):
    """Appends a record."""
    with open(path, "a") as lines:
        lines.write(json.dumps(record) + "\n")


def load(paths):
    """All records of these files."""
    records = []
    for path in paths:
        with open(path) as lines:
            records += [json.loads(line) for line in lines]
    return records


class Results:
    """The records of one scenario."""

    def __init__(self, records):
        self.cells = {}
        self.pairs = []
        self.cases = []
        for record in records:
            pair = (record["sender"], record["receiver"])
            self.cells.setdefault((pair, record["case"]), []).append(record)
            for value, seen in ((pair, self.pairs), (record["case"], self.cases)):
                if value not in seen:
                    seen.append(value)

    def runs(self, pair, case):
        """All runs of a cell."""
        return self.cells.get((pair, case), [])

    def median(self, pair, case, metric):
        """The median over the runs that have this metric, or nothing. A run beside which system
        calls were counted has no other metric: counting costs time."""
        values = [run[metric] for run in self.runs(pair, case) if run.get(metric) is not None]
        return statistics.median(values) if values else None

    def faults(self, pair, case):
        """The faults in the runs of a cell, in words."""
        runs = self.runs(pair, case)
        words = [f"lost {lost:.1%}"] if (lost := self.median(pair, case, "lost") or 0) > 0.0005 else []
        words += sorted({run[key] for run in runs for key in ("wrong", "late") if run.get(key)})
        failed = sum("error" in run for run in runs)
        return words + ([f"{failed} of {len(runs)} failed"] if failed else [])
