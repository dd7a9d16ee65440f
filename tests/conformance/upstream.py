"""libzmq's and pyzmq's own files, taken from the registries at test time; none of them is in this repository.

The test and perf programs come from the crate `zeromq-src` that bench/Cargo.lock pins, the compiled libzmq
4.3.5 from pyzmq's wheel. Everything that is made of them is in target/conformance.
"""

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target/conformance"
NATIVE = Path(__file__).resolve().parent / "native"
OURS = ROOT / "target/release/libzmq.so"
PYZMQ = "pyzmq==27.3.0"

# The macros that libzmq's own build defines on Linux.
PLATFORM = """LINUX IPC UIO SO_PEERCRED CURVE EVENTFD SO_PRIORITY FORK CLOCK_GETTIME""".split()
FLAGS = [
    "-w",
    "-D_GNU_SOURCE",
    "-DZMQ_CUSTOM_PLATFORM_HPP",
    "-DZMQ_USE_LIBSODIUM",
    *(f"-DZMQ_HAVE_{name}" for name in PLATFORM),
    "-DUNITY_EXCLUDE_FLOAT",
    "-DUNITY_USE_COMMAND_LINE_ARGS",
]


def run(*command: object, **options) -> str:
    """The output of a command that must succeed; otherwise its output is shown and the program ends."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def end(process: subprocess.Popen) -> None:
    """Ends a process that began a session of its own, with all that it began."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def start(command: list[object], folder: object, environment: dict[str, str]) -> subprocess.Popen:
    """Starts a command in a folder, in a session of its own, so that `end` ends all that it begins."""
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def attempt(command: list[object], environment: dict[str, str], limit: float) -> tuple[int | None, str]:
    """Exit status and output of a command in an empty folder; no status if it took too long."""
    with tempfile.TemporaryDirectory(prefix="zmq") as folder:
        process = start(command, folder, {**environment, "TMPDIR": folder})
        try:
            output, _ = process.communicate(timeout=limit)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            end(process)
            return None, process.communicate()[0]


def environment(name: str, *packages: str) -> Path:
    """A virtual environment with these packages, made once; its folder."""
    folder = WORK / "environments" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    stamp = folder / "packages.txt"
    wanted = "\n".join(packages)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            run(sys.executable, "-m", "venv", "--clear", folder)
            run(folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *packages)
            stamp.write_text(wanted)
    return folder


def bundled(environment: Path, name: str) -> Path:
    """The library of that name in the wheel of pyzmq that is installed there."""
    found = sorted(environment.glob(f"lib/python3*/site-packages/pyzmq.libs/{name}-*.so*"))
    if len(found) != 1:
        sys.exit(f"expected one {name} in pyzmq's wheel in {environment}, found {found}")
    return found[0]


def theirs() -> Path:
    """libzmq 4.3.5, compiled, as pyzmq ships it."""
    return bundled(environment("theirs", PYZMQ), "libzmq")


def swap(environment: Path, library: Path) -> None:
    """Puts this library into the place of libzmq in the wheel of pyzmq that is installed there."""
    link(bundled(environment, "libzmq"), existing(library))


def link(place: Path, library: Path) -> None:
    fresh = place.with_name(f"fresh-{os.getpid()}")
    fresh.symlink_to(library)
    fresh.replace(place)


def existing(library: Path) -> Path:
    library = library.resolve()
    if not library.is_file():
        sys.exit(f"there is no library {library}: make it with cargo build --release -p zmtp-ffi")
    return library


def linked(library: Path) -> dict[str, str]:
    """The environment in which a program that needs libzmq.so.5 gets this library."""
    library = existing(library)
    folder = WORK / "libraries" / hashlib.sha256(str(library).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    link(folder / "libzmq.so.5", library)
    # The second folder has the libsodium that theirs needs.
    return {**os.environ, "LD_LIBRARY_PATH": f"{folder}:{library.parent}"}


def sources() -> Path:
    """libzmq's source tree."""
    manifest = ROOT / "bench/Cargo.toml"
    tree = json.loads(run("cargo", "metadata", "--locked", "--format-version=1", "--manifest-path", manifest))
    (crate,) = [each for each in tree["packages"] if each["name"] == "zeromq-src"]
    return Path(crate["manifest_path"]).parent / "vendor"


class Build:
    """Compiles libzmq's programs, each once, so that they run with any libzmq.so.5."""

    def __init__(self, runtime: Path | None = None) -> None:
        """With the runtime of a sanitizer, the programs carry it for the library, which was built with that."""
        self.tree = sources()
        self.runtime = [f"-Wl,--whole-archive,{runtime},--no-whole-archive", "-rdynamic"] if runtime else []
        own = [Path(__file__), *sorted(NATIVE.iterdir())]
        key = hashlib.sha256(b"".join(file.read_bytes() for file in own) + f"{self.tree}{self.runtime}".encode())
        self.folder = WORK / "programs" / key.hexdigest()[:12]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "platform.hpp").touch()
        self._stub()

    def path(self, name: str) -> Path:
        return self.folder / name

    def _stub(self) -> None:
        """A library that has libzmq's name and functions, to link against."""
        header = (self.tree / "include/zmq.h").read_text()
        functions = sorted(set(re.findall(r"\b(zmq_\w+)\s*\(", header)))
        source = self.path("stub.c")
        source.write_text("".join(f"void {name}(void) {{}}\n" for name in functions))
        self._make("libzmq.so", "gcc", "-w", "-fno-builtin", "-shared", "-fPIC", "-Wl,-soname,libzmq.so.5", source)

    def _make(self, name: str, *command: object) -> Path:
        made = self.path(name)
        if not made.exists():
            partial = self.path(f"{name}.{os.getpid()}")
            run(*command, "-o", partial)
            partial.replace(made)
        return made

    def _includes(self) -> list[str]:
        return [f"-I{folder}" for folder in (self.folder, NATIVE, self.tree / "external/unity", self.tree / "include")]

    def _object(self, source: Path) -> Path:
        compiler = ["gcc", "-O1"] if source.suffix == ".c" else ["g++", "-O0", "-std=gnu++14"]
        return self._make(f"{source.stem}.o", *compiler, *FLAGS, *self._includes(), "-c", source)

    def test(self, name: str) -> Path:
        """One of libzmq's test programs, with native/case.c in it."""
        tests = self.tree / "tests"
        parts = [tests / f"testutil{part}.cpp" for part in ("", "_unity", "_monitoring", "_security")]
        parts += [self.tree / "external/unity/unity.c", NATIVE / "case.c", NATIVE / "isolate.c"]
        extra: list[object] = []
        if name == "test_security_curve":
            parts += [self.tree / f"src/{part}.cpp" for part in ("err", "random", "clock")]
            sodium = bundled(environment("theirs", PYZMQ), "libsodium")
            extra = [sodium, f"-Wl,-rpath,{sodium.parent}"]
        objects = [self._object(part) for part in (tests / f"{name}.cpp", *parts)]
        wrap = "-Wl,--wrap=UnityDefaultTestRun"
        libraries = [*self.runtime, f"-L{self.folder}", "-lzmq", "-lpthread", "-lrt", "-ldl", "-lm"]
        return self._make(name, "g++", *objects, *libraries, wrap, *extra)

    def tests(self, names: list[str]) -> None:
        """Compiles these test programs, as many at a time as there are processors."""
        if names:
            self.test(names[0])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.test, names))

    def perf(self, name: str) -> Path:
        """One of libzmq's perf programs, optimised."""
        source = self.tree / f"perf/{name}.cpp"
        command = ["g++", "-O2", "-std=gnu++14", *FLAGS, *self._includes(), source]
        return self._make(name, *command, f"-L{self.folder}", "-lzmq", "-lpthread")

    def preload(self, name: str) -> Path:
        """native/NAME.c, to be preloaded."""
        return self._make(f"{name}.so", "gcc", "-shared", "-fPIC", NATIVE / f"{name}.c", "-ldl")
