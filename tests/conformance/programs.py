#!/usr/bin/env python3
"""Runs C++ and C programs that were compiled for Debian's libzmq, on that and on our library.

The programs are ours (programs/*), for libzmq itself, and for cppzmq and CZMQ as Debian packages them, and CZMQ's own
tests of its classes, which are in its library. What Debian's libzmq does not pass is no test. Words choose programs.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import upstream

SOURCES = Path(__file__).resolve().parent / "programs"
LIMIT = 60
# CZMQ's classes that use sockets, and pass with ours. Not these: zpoller expects that ZMQ_FD is readable after
# zmq_connect for as long as it likes, which libzmq's is by accident; zgossip expects answers in an order that a busy
# machine does not keep.
CLASSES = "zactor zarmour zauth zcert zcertstore zframe zloop zmonitor zmsg zproxy zsock zsock_option zstr zsys".split()


class Program(NamedTuple):
    name: str
    command: list[object]


def programs(folder: Path, runtime: list[str]) -> list[Program]:
    """All programs, compiled, with the runtime of a sanitizer if there is one."""
    libzmq, cpp, c, classes = (folder / name for name in ("libzmq", "cppzmq", "czmq", "classes"))
    warnings = ["-O1", "-Wall", "-Wextra", "-Werror"]
    libraries = [*runtime, "-lczmq", "-lzmq", "-lpthread", "-lstdc++", "-lrt", "-ldl", "-lm"]
    cases = "".join(f'if (!strcmp(name, "{name}")) {name}_test(false);\n' for name in CLASSES)
    runner = f"#include <czmq.h>\nint main(int count, char **words) {{ char *name = words[count - 1];\n{cases}}}\n"
    with ThreadPoolExecutor() as pool:
        compiled = [
            pool.submit(upstream.run, *command, "-o", made, *libraries, input=source)
            for made, source, *command in [
                (libzmq, None, "gcc", "-std=gnu11", *warnings, SOURCES / "calls.c"),
                (cpp, None, "g++", "-std=c++17", *warnings, SOURCES / "stories.cpp"),
                (c, None, "gcc", "-std=gnu11", *warnings, SOURCES / "stories.c"),
                (classes, runner, "gcc", "-w", "-xc", "-", "-xnone"),
            ]
        ]
    for each in compiled:
        each.result()
    named = [Program(path.name, [path]) for path in (libzmq, cpp, c)]
    return [*named, *(Program(name, [classes, name]) for name in CLASSES)]


def library_of(program: Path, environment: dict[str, str]) -> Path:
    """The file that is libzmq for this program."""
    found = re.findall(r"libzmq\.so\.5 => (\S+)", upstream.run("ldd", program, env=environment))
    return Path(found[0]).resolve()


def run(program: Program, environment: dict[str, str]) -> tuple[bool, str]:
    """Whether the program ends well, and what it prints."""
    status, output = upstream.attempt(program.command, environment, LIMIT)
    ended = f"no end within {LIMIT} s" if status is None else f"exit status {status}"
    return status == 0, f"{output}{ended}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="*", metavar="WORD", help="only programs that have one of these in their names")
    parser.add_argument("--theirs", action="store_true", help="on Debian's libzmq alone")
    parser.add_argument("--library", type=Path, default=upstream.OURS)
    parser.add_argument("--runtime", type=Path, help="the runtime of the sanitizer that the library was built with")
    options = parser.parse_args()
    native = upstream.Build(options.runtime)
    isolated = {"CONFORMANCE_ISOLATE": "1", "LD_PRELOAD": str(native.preload("isolate"))}
    with tempfile.TemporaryDirectory(prefix="programs") as folder:
        chosen = [
            program
            for program in programs(Path(folder), native.runtime)
            if any(word in program.name for word in options.programs or [""])
        ]
        bare = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        theirs, ours = bare, upstream.linked(options.library)
        alone = subprocess.run(["true"], env={**bare, **isolated}).returncode == 0
        if not alone:
            print("no network namespaces here: one program at a time, for they take each other's ports")
            isolated = {}
        expected = {"ours": options.library.resolve(), "theirs": library_of(chosen[0].command[0], theirs)}
        sides = [("theirs", theirs), ("ours", ours)][: 1 if options.theirs else 2]
        for name, environment in sides:
            for program in chosen:
                if library_of(program.command[0], environment) != expected[name]:
                    sys.exit(f"{program.name} does not get {expected[name]}")
        tests = [(name, program, {**environment, **isolated}) for name, environment in sides for program in chosen]
        with ThreadPoolExecutor(8 if alone else 1) as pool:
            results = list(pool.map(lambda test: run(*test[1:]), tests))
    failed = 0
    for (name, program, _), (passed, output) in zip(tests, results):
        failed += not passed
        print(f"-- {program.name} on {name}: {'passed' if passed else 'FAILED'}")
        if not passed or program.name not in CLASSES:
            print(output, end="")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
