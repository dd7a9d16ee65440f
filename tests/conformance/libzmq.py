#!/usr/bin/env python3
"""Runs libzmq's own test programs against our library: one case at a time, each in a process of its own.

Where the kernel lets it, each case has a network namespace of its own too: no case takes another's port.
The lists: libzmq-4.3.5.txt is what real libzmq passes, ours.txt is what must pass with ours.
"""

import os
import re
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import scoreboard
import upstream
from scoreboard import Result

REFERENCE, OURS = "libzmq-4.3.5.txt", "ours.txt"


class Runner:
    def __init__(self, library: Path, limit: float, runtime: Path | None) -> None:
        self.build = upstream.Build(runtime)
        self.environment = upstream.linked(library)
        self.limit = limit

    def isolate(self) -> bool:
        """Gives each case a network namespace, if that is allowed here."""
        self.environment["CONFORMANCE_ISOLATE"] = "1"
        self.build.test("test_atomics")
        allowed = self._run("test_atomics", {})[0] == 0
        if not allowed:
            del self.environment["CONFORMANCE_ISOLATE"]
        return allowed

    def cases(self, program: str) -> list[str]:
        """The names of a program's cases."""
        _, output = self._run(program, {})
        return [f"{program} {line.split()[1]}" for line in output.splitlines() if line.startswith("case ")]

    def case(self, name: str, more: dict[str, str] = {}) -> Result:
        """Runs the case of that name: "PROGRAM CASE"."""
        program, case = name.split()
        status, output = self._run(program, {"CONFORMANCE_CASE": case, **more})
        # Unity's verdict on the case: file:line:case:PASS, or IGNORE or FAIL with a reason.
        found = re.search(rf":{case.split('#')[0]}:(PASS|IGNORE|FAIL)(.*)", output)
        verdict, reason = found.groups() if found else ("", "")
        if verdict == "PASS" and status == 0:
            return Result("passed")
        if verdict == "IGNORE" and status == 0:
            return Result("skipped", reason.strip(": ") or "ignored by itself", output)
        if status is None:
            return Result("failed", f"no end within {self.limit:g} s", output)
        if status < 0:
            return Result("failed", f"ended by {signal.Signals(-status).name}", output)
        return Result("failed", reason.strip(": ") or f"exit status {status}", output)

    def _run(self, program: str, more: dict[str, str]) -> tuple[int | None, str]:
        """Exit status and output; no status if it took too long."""
        return upstream.attempt([self.build.path(program)], {**self.environment, **more}, self.limit)


def reference(runner: Runner, jobs: int) -> None:
    """Writes the list of all cases that pass, of all programs that can be compiled, with their families."""

    def compiled(program: str) -> list[str]:
        try:
            runner.build.test(program)
        except SystemExit:
            return []
        return runner.cases(program)

    def tried(name: str) -> str | None:
        with tempfile.NamedTemporaryFile("r+") as sockets:
            more = {"LD_PRELOAD": str(preload), "CONFORMANCE_SOCKETS": sockets.name, "CONFORMANCE_LIBRARY": "libzmq.so.5"}
            passed = runner.case(name, more).verdict == "passed"
            types = [int(line.split()[0]) for line in sockets]
        return f"{scoreboard.family(types)} {name}" if passed else None

    preload = runner.build.preload("sockets")
    programs = sorted(file.stem for file in (runner.build.tree / "tests").glob("test_*.cpp"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        cases = [case for some in pool.map(compiled, programs) for case in some]
    with ThreadPoolExecutor(jobs) as pool:
        lines = [line for line in pool.map(tried, cases) if line]
    scoreboard.write(REFERENCE, "family, program and case: what libzmq 4.3.5 passes", lines)


def main() -> int:
    parser = scoreboard.arguments(__doc__)
    parser.add_argument("--runtime", type=Path, help="the runtime of the sanitizer that the library was built with")
    options = parser.parse_args()
    library = upstream.theirs() if options.theirs or options.reference else options.library or upstream.OURS
    runner = Runner(library, options.limit or 30, options.runtime)
    jobs = options.jobs or 12
    if not runner.isolate():
        print("no network namespaces here: one case at a time, for they take each other's ports")
        jobs = 1
    if options.reference:
        reference(runner, jobs)
        return 0
    tests = scoreboard.chosen(scoreboard.read(REFERENCE), options)
    runner.build.tests(sorted({name.split()[0] for name in tests}))
    with ThreadPoolExecutor(jobs) as pool:
        results = dict(zip(tests, pool.map(runner.case, tests)))
    # Many at a time, a case may miss the time limits that it has itself: alone it must not.
    for name in set(scoreboard.read(OURS)) & set(tests):
        if results[name].verdict != "passed":
            print(f"alone, after it {results[name].verdict} among others: {name}", flush=True)
            results[name] = runner.case(name)
    return scoreboard.report(tests, results, OURS, options)


if __name__ == "__main__":
    sys.exit(main())
