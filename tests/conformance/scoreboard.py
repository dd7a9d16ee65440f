"""Code that the scoreboards share: the lists in this folder, the table, the exit status.

A list names one test a line. That of real libzmq has each test's family before its name: the last letter
that its sockets need. A test in our list that no longer passes makes the exit status 1.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent
# Each stage of the interface adds some types of sockets, by their numbers in zmq.h.
FAMILIES = {
    "A": ("no socket", []),
    "B": ("PUB SUB XPUB XSUB", [1, 2, 9, 10]),
    "C": ("PAIR", [0]),
    "D": ("PUSH PULL", [7, 8]),
    "E": ("REQ REP DEALER ROUTER", [3, 4, 5, 6]),
    "F": ("STREAM", [11]),
}


class Result(NamedTuple):
    verdict: str  # passed, failed or skipped
    reason: str = ""
    output: str = ""


def family(types: list[int]) -> str:
    """The family of a test that makes sockets of these types."""
    return max((name for name, (_, own) in FAMILIES.items() if set(own) & set(types)), default="A")


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("tests", nargs="*", metavar="WORD", help="only tests that have one of these in their names")
    parser.add_argument("--family", help=f"only these families: letters of {''.join(FAMILIES)}")
    parser.add_argument("--library", type=Path, help="the library to test (target/release/libzmq.so)")
    parser.add_argument("--theirs", action="store_true", help="test the libzmq of pyzmq's wheel instead")
    parser.add_argument("--jobs", type=int, help="how many at a time")
    parser.add_argument("--limit", type=float, help="seconds that one test may take")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what the tests that failed printed")
    parser.add_argument("--accept", action="store_true", help="write what passes now into the list of ours")
    parser.add_argument("--reference", action="store_true", help="write the list of what real libzmq passes")
    return parser


def read(name: str) -> list[str]:
    path = FOLDER / name
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if line and not line.startswith("#")]


def write(name: str, comment: str, lines: list[str]) -> None:
    (FOLDER / name).write_text("".join(f"{line}\n" for line in [f"# {comment}", *lines]))
    print(f"wrote {len(lines)} lines to {FOLDER / name}")


def chosen(reference: list[str], options: argparse.Namespace) -> dict[str, str]:
    """The tests that the options choose: name and family."""
    tests = {}
    for line in reference:
        family, name = line.split(" ", 1)
        words = options.tests or [""]
        if family in (options.family or family).upper() and any(word in name for word in words):
            tests[name] = family
    return tests


def report(tests: dict[str, str], results: dict[str, Result], ours: str, options: argparse.Namespace) -> int:
    """Prints what became of the tests; the exit status."""
    passed = [name for name in tests if results[name].verdict == "passed"]
    before = set(read(ours))
    for name in tests:
        verdict, reason, output = results[name]
        if verdict != "passed":
            lost = ", and passed before" if name in before and not options.theirs else ""
            print(f"{verdict}{lost}: {tests[name]} {name}: {reason}")
            if options.verbose and output:
                print("".join(f"    {line}\n" for line in output.splitlines()), end="")

    print("\n| family | sockets | passed | real libzmq passes |\n|---|---|---:|---:|")
    for letter, (sockets, _) in FAMILIES.items():
        members = [name for name in tests if tests[name] == letter]
        if members:
            print(f"| {letter} | {sockets} | {sum(name in passed for name in members)} | {len(members)} |")
    print(f"| all | | {len(passed)} | {len(tests)} |\n")

    lost = sorted(before & set(tests) - set(passed))
    new = sorted(set(passed) - before)
    status = 0
    if not options.theirs:
        if options.accept:
            write(ours, "what passes with our library", sorted(before - set(tests) | set(passed)))
        elif lost:
            print(f"{len(lost)} of those in {ours} no longer pass:", *lost, sep="\n  ")
            status = 1
        elif new:
            print(f"{len(new)} pass that are not in {ours}: --accept adds them")
    elif len(passed) < len(tests):
        status = 1
    failed = sum(result.verdict == "failed" for result in results.values())
    skipped = sum(result.verdict == "skipped" for result in results.values())
    print(f"{len(passed)} passed, {failed} failed, {skipped} skipped", flush=True)
    return status
