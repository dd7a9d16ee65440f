#!/usr/bin/env python3
"""Counts the instructions of one operation of each scenario, and compares them with expected.json.

  ./count.py                     every scenario; fails if one needs more than 5 % more than expected
  ./count.py 'try_recv, 64 B'    these scenarios only
  ./count.py --accept            takes what is counted as expected

Times differ from run to run and from machine to machine; instructions hardly do. They are not time: a
cache miss costs nothing here. Another compiler, C library or architecture gives other numbers, so
with another than that of the table a difference is told but is no failure. Needs valgrind.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE / "expected.json"

# The C library picks its memcpy by what the processor can do: let it be the same one everywhere.
TUNABLES = "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM"

# How far two runs of the same program may be apart when their numbers are to become the table.
REPEATABLE = 0.005


def main():
    options = arguments()
    program = build()
    names = run([program]).stdout.splitlines()
    for name in options.scenarios:
        if name not in names:
            sys.exit(f"there is no scenario {name!r}; there are: {'; '.join(names)}")
    chosen = options.scenarios or names
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {"with": {}, "instructions": {}}
    if options.accept:
        accept(program, chosen, names, table)
    else:
        compare(program, chosen, names, table, options.tolerance / 100)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help="all by default; listed as they are counted")
    parser.add_argument("--accept", action="store_true", help="write the table")
    parser.add_argument("--tolerance", type=float, default=5.0, metavar="PERCENT")
    return parser.parse_args()


def compare(program, chosen, names, table, tolerance):
    expected = table["instructions"]
    grown, shrunk = [], []
    missing = [f"{name}: a scenario that is not in the table" for name in names if name not in expected]
    missing += [f"{name}: in the table, but no scenario" for name in expected if name not in names]
    for name in chosen:
        counted = count(program, name)
        if name not in expected:
            print(f"{name}: {counted:.1f} instructions", flush=True)
            continue
        change = counted / expected[name] - 1
        words = f"{name}: {counted:.1f} instructions, expected {expected[name]:.1f} ({change:+.1%})"
        print(words, flush=True)
        if change > tolerance:
            grown.append(words)
        elif change < -tolerance:
            shrunk.append(words)

    same = table["with"] == tools()
    if not same:
        print(f"the table was made with {told(table['with'])}; this is {told(tools())}: nothing fails by that")
    how = f"renew the table: {os.path.relpath(__file__)} --accept"
    if shrunk:
        print(f"Fewer by more than {tolerance:.0%}: {how}", *shrunk, sep="\n  ")
    if grown:
        print(f"More by more than {tolerance:.0%}: if that has to be, {how}", *grown, sep="\n  ")
    if missing:
        print(f"Not comparable: {how}", *missing, sep="\n  ")
    if missing or (grown and same):
        sys.exit(1)


def accept(program, chosen, names, table):
    """Counts everything twice, and writes the table only if it all comes out alike."""
    counted = {}
    for name in chosen:
        pair = sorted(count(program, name) for _ in range(2))
        apart = pair[1] / pair[0] - 1
        if apart > REPEATABLE:
            sys.exit(f"{name}: two runs gave {pair[0]:.1f} and {pair[1]:.1f}; the table stays as it was")
        counted[name] = round(sum(pair) / 2, 1)
        was = table["instructions"].get(name)
        print(f"{name}: {counted[name]}, was {was}; two runs differed by {apart:.2%}", flush=True)
    kept = {} if set(chosen) == set(names) else table["instructions"]
    if kept and table["with"] != tools():
        sys.exit(f"the table was made with {told(table['with'])}; this is {told(tools())}: accept all or nothing")
    merged = kept | counted
    renewed = {"with": tools(), "instructions": {name: merged[name] for name in names if name in merged}}
    written = TABLE.with_suffix(".new")
    written.write_text(json.dumps(renewed, indent=2) + "\n")
    os.replace(written, TABLE)


def count(program, name):
    """The instructions of one operation."""
    with tempfile.NamedTemporaryFile(prefix="callgrind-") as output:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output.name}"]
        valgrind += ["--toggle-collect=*instructions*measured*", program, name]
        operations = int(run(valgrind).stdout)
        totals = re.search(r"^totals: (\d+)$", Path(output.name).read_text(), re.MULTILINE)
    if not totals or int(totals[1]) < operations:
        sys.exit(f"{name}: callgrind has not found the function `measured`")
    return int(totals[1]) / operations


def build():
    """Builds the scenarios as the peers are built, and gives back the path of the program."""
    command = ["cargo", "build", "--release", "--locked", "-p", "instructions", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True)
    if built.returncode:
        sys.exit(built.returncode)
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "instructions":
            return message["executable"]
    sys.exit("cargo has built no program")


def run(command):
    environment = {**os.environ, "GLIBC_TUNABLES": TUNABLES}
    try:
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    except FileNotFoundError:
        sys.exit(f"there is no {command[0]}")
    if ended.returncode:
        sys.exit(f"{' '.join(command)}: exit status {ended.returncode}\n{ended.stderr}")
    return ended


def tools():
    """The tools that the numbers depend on beside the sources."""
    compiler = subprocess.run(["rustc", "--version"], cwd=HERE.parent, capture_output=True, text=True, check=True)
    return {
        "rustc": compiler.stdout.split()[1],
        "libc": " ".join(platform.libc_ver()),
        "machine": platform.machine(),
    }


def told(of_tools):
    return ", ".join(f"{name} {version}" for name, version in of_tools.items()) or "nothing"


if __name__ == "__main__":
    main()
