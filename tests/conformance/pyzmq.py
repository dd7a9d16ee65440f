#!/usr/bin/env python3
"""Runs pyzmq's own tests, from its source distribution, on its wheel with our library in libzmq's place.

The lists: pyzmq-27.3.0.txt is what passes on the libzmq of the wheel, ours-pyzmq.txt is what must pass with
ours.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import scoreboard
import upstream
from scoreboard import Result

PLUGIN = Path(__file__).resolve().parent / "plugin"
REFERENCE, OURS = "pyzmq-27.3.0.txt", "ours-pyzmq.txt"
PACKAGES = [
    upstream.PYZMQ,
    "pytest==9.2.0",
    "pytest-asyncio==1.5.0",
    # For the tests that pyzmq itself marks as flaky: their outcome depends on how soon a thread runs.
    "pytest-rerunfailures==16.7",
    "pytest-timeout==2.4.0",
    "tornado==6.6.1",
    "gevent==26.9.0",
]
# They need a compiler for Cython and a checker of types.
LEFT_OUT = ["tests/test_cython.py", "tests/test_mypy.py"]


def suite() -> Path:
    """A folder with nothing of pyzmq but its tests and pytest.ini."""
    folder = upstream.WORK / "pyzmq"
    if not (folder / "pytest.ini").exists():
        folder.mkdir(parents=True, exist_ok=True)
        # pip asks a source distribution for its dependencies even where it only has to fetch it.
        tools = upstream.environment("sdist", "scikit-build-core", "cython", "packaging")
        fetch = ["download", "--quiet", "--no-deps", "--no-binary=pyzmq", "--no-build-isolation"]
        without_cmake = {**os.environ, "SKBUILD_WHEEL_CMAKE": "false"}
        upstream.run(tools / "bin/pip", *fetch, f"--dest={folder}", upstream.PYZMQ, env=without_cmake)
        (archive,) = folder.glob("pyzmq-*.tar.gz")
        with tarfile.open(archive) as archived:
            for member in archived.getmembers():
                _, _, member.name = member.name.partition("/")
                if member.name.startswith("tests/") or member.name == "pytest.ini":
                    archived.extract(member, folder, filter="data")
    return folder


def isolation(build: upstream.Build) -> dict[str, str]:
    """The environment that gives a process a network namespace of its own, if that is allowed here."""
    more = {"LD_PRELOAD": str(build.preload("isolate")), "CONFORMANCE_ISOLATE": "1"}
    allowed = subprocess.run(["true"], env={**os.environ, **more}, capture_output=True).returncode == 0
    if not allowed:
        print("no network namespaces here: tests may take each other's ports")
    return more if allowed else {}


def run(environment: Path, tests: list[str], options, more: dict[str, str]) -> dict[str, Result]:
    """Runs these tests, or all, each file in a process of its own; a process that ends is followed by another."""

    def file(name: str) -> list[list[str]]:
        with tempfile.TemporaryDirectory(prefix="pyzmq") as folder:
            lines = Path(folder) / "results"
            own = {"TMPDIR": folder, "CONFORMANCE_RESULTS": str(lines), "CONFORMANCE_TESTS": "\n".join(tests)}
            command = [environment / "bin/python", "-m", "pytest", "-q", "-p", "one_by_one", name]
            command += ["-p", "no:cacheprovider", f"--timeout={options.limit or 60}", "--timeout-method=thread"]
            known = -1
            while (size := lines.stat().st_size if lines.exists() else 0) > known:
                known = size
                environment_of_tests = {**os.environ, "PYTHONPATH": str(PLUGIN), **own, **more}
                process = upstream.start(command, folder_of_suite, environment_of_tests)
                try:
                    output, _ = process.communicate(timeout=300)
                finally:
                    upstream.end(process)
                if lines.exists() and lines.read_text().splitlines()[-1].startswith('["",'):
                    break
            if not lines.exists():
                return [[name, "failed", f"pytest ran no test of it:\n{output}", output]] if not tests else []
            return [json.loads(line) for line in lines.read_text().splitlines()]

    folder_of_suite = suite()
    names = sorted(f"tests/{path.name}" for path in folder_of_suite.glob("tests/test_*.py"))
    wanted = {test.partition("::")[0] for test in tests} or {*names} - {*LEFT_OUT}
    with ThreadPoolExecutor(options.jobs or 6) as pool:
        lines = [line for some in pool.map(file, sorted(wanted)) for line in some]
    # The last line on a test counts.
    return {name: Result(verdict, reason, text) for name, verdict, reason, text in lines if name}


def reference(options) -> None:
    """Writes the list of what passes on the wheel as it is, with families."""
    environment = upstream.environment("pyzmq-theirs", *PACKAGES)
    build = upstream.Build()
    more = isolation(build)
    with tempfile.NamedTemporaryFile("r+") as sockets:
        more["LD_PRELOAD"] = f"{build.preload('sockets')} {more.get('LD_PRELOAD', '')}"
        more["CONFORMANCE_SOCKETS"] = sockets.name
        more["CONFORMANCE_LIBRARY"] = str(upstream.bundled(environment, "libzmq"))
        results = run(environment, [], options, more)
        types = defaultdict(list)
        for line in sockets:
            number, test = line.rstrip("\n").split(" ", 1)
            types[test.rpartition(" (")[0]].append(int(number))
    for name, (verdict, reason, _) in sorted(results.items()):
        if verdict == "failed":
            print(f"failed: {name}: {reason}")
    passed = sorted(name for name in results if results[name].verdict == "passed")
    lines = [f"{scoreboard.family(types[name])} {name}" for name in passed]
    scoreboard.write(REFERENCE, "family and test: what passes on the libzmq of the wheel", lines)


def main() -> int:
    options = scoreboard.arguments(__doc__).parse_args()
    if options.reference:
        reference(options)
        return 0
    if options.theirs:
        environment = upstream.environment("pyzmq-theirs", *PACKAGES)
    else:
        environment = upstream.environment("pyzmq-ours", *PACKAGES)
        upstream.swap(environment, options.library or upstream.OURS)
    tests = scoreboard.chosen(scoreboard.read(REFERENCE), options)
    results = run(environment, [*tests], options, isolation(upstream.Build()))
    nothing = Result("failed", "pytest says nothing of it")
    return scoreboard.report(tests, {name: results.get(name, nothing) for name in tests}, OURS, options)


if __name__ == "__main__":
    sys.exit(main())
