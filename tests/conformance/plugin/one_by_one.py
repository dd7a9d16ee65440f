"""A plugin of pytest: says what becomes of each test at once, so that a crash or a hang costs no more than it.

The file that CONFORMANCE_RESULTS names gets a line of JSON when a test begins, one when it has ended, and one
without a name when nothing is left to run. Tests
that have begun already, by that file, are left out; so are those not in CONFORMANCE_TESTS, if it is set.
"""

import json
import os

RESULTS = os.environ["CONFORMANCE_RESULTS"]
# A test that is "rerun" begins again.
RANK = ["passed", "skipped", "rerun", "failed"]
verdicts: dict[str, tuple[str, str]] = {}


def say(*words):
    with open(RESULTS, "a") as file:
        print(json.dumps(words), file=file)


def pytest_collection_modifyitems(items):
    begun = set()
    if os.path.exists(RESULTS):
        with open(RESULTS) as file:
            begun = {json.loads(line)[0] for line in file}
    chosen = os.environ.get("CONFORMANCE_TESTS")
    items[:] = [
        item
        for item in items
        if item.nodeid not in begun and (not chosen or item.nodeid in chosen.split("\n"))
    ]


def pytest_runtest_logstart(nodeid):
    verdicts[nodeid] = ("passed", "")
    say(nodeid, "failed", "the process ended, or hung and was ended", "")


def pytest_runtest_logreport(report):
    # Set up, run, taken down: the worst of the three counts.
    if RANK.index(report.outcome) > RANK.index(verdicts[report.nodeid][0]):
        verdicts[report.nodeid] = (report.outcome, report.longreprtext)


def pytest_runtest_logfinish(nodeid):
    verdict, text = verdicts[nodeid]
    lines = [line for line in text.splitlines() if line.startswith("E ")] or text.splitlines()
    say(nodeid, verdict, lines[0][:200] if lines else "", text)


def pytest_sessionfinish():
    say("", "finished", "", "")
