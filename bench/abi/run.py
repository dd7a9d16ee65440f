#!/usr/bin/env python3
"""Measures our library through libzmq's C interface, beside libzmq, with libzmq's own perf programs and pyzmq.

Each program is compiled once and runs on both libraries, one after the other, for some rounds. Prints the
medians as Markdown; throughput in thousands of messages a second, latency in microseconds one way.
"""

import argparse
import re
import socket
import subprocess
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/conformance"))
import pyzmq  # noqa: E402
import upstream  # noqa: E402

PROGRAMS = ["thr", "inproc_thr", "pyzmq loop", "pyzmq thr", "lat", "inproc_lat", "pyzmq poll lat"]
SIDES = {"pyzmq loop": ["local remote"], "pyzmq poll lat": ["answer", "ask"]}
SIZES = [16, 64, 256, 1024, 4096, 16384, 65536]
# A PULL ("local") or a PUSH ("remote"), or both in two threads ("local remote"). Prints what they pass over tcp, in
# messages a second. Or one of two DEALERs that wait in a poller for each other's message ("answer", "ask"). Prints the
# time that a message takes.
PYZMQ = """
import sys, threading, time, zmq
sides, endpoint, size, count = sys.argv[1].split(), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def local():
    with context.socket(zmq.PULL) as socket:
        socket.bind(endpoint)
        socket.recv()
        start = time.perf_counter()
        for _ in range(count - 1):
            socket.recv()
        print(f"mean throughput: {(count - 1) / (time.perf_counter() - start):.0f} [msg/s]")

def remote():
    with context.socket(zmq.PUSH) as socket:
        socket.connect(endpoint)
        body = b"x" * size
        for _ in range(count):
            socket.send(body)

def polled(socket):
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    while True:
        for ready, _events in poller.poll():
            yield ready.recv()

def answer():
    with context.socket(zmq.DEALER) as socket:
        socket.bind(endpoint)
        for _, body in zip(range(count), polled(socket)):
            socket.send(body)

def ask():
    with context.socket(zmq.DEALER) as socket:
        socket.connect(endpoint)
        start, replies = time.perf_counter(), polled(socket)
        for _ in range(count):
            socket.send(b"x" * size)
            next(replies)
        print(f"average latency: {(time.perf_counter() - start) / count / 2 * 1e6:.3f} [us]")

with zmq.Context() as context:
    threads = [threading.Thread(target=globals()[side]) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


class Side:
    """One of the two libraries."""

    def __init__(self, build: upstream.Build, library: Path, python: Path) -> None:
        self.build, self.environment, self.python = build, upstream.linked(library), python

    def start(self, *words: object) -> subprocess.Popen:
        command = [str(word) for word in words]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def measure(self, name: str, size: int, count: int) -> float:
        """One run: messages a second, or microseconds."""
        started = []
        try:
            if name.startswith("inproc"):
                started.append(self.start(self.build.perf(name), size, count))
            else:
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
                for sides in SIDES.get(name, ["local", "remote"]):
                    if name.startswith("pyzmq"):
                        program = [self.python, "-c", PYZMQ, sides]
                    else:
                        program = [self.build.perf(f"{sides}_{name}")]
                    started.append(self.start(*program, endpoint, size, count))
            output = "".join(process.communicate(timeout=120)[0] for process in started)
        finally:
            for process in started:
                upstream.end(process)
        found = re.search(r"(?:throughput|latency): ([\d.]+) \[(?:msg/s|us)", output)
        if not found:
            sys.exit(f"{name} {size} {count} said: {output}")
        return float(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, default=upstream.OURS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=PROGRAMS)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--megabytes", type=float, default=200, help="the most that one run sends")
    parser.add_argument("--messages", type=int, default=1_000_000, help="the most messages of one run")
    options = parser.parse_args()

    build = upstream.Build()
    theirs = upstream.environment("pyzmq-theirs", *pyzmq.PACKAGES) / "bin/python"
    ours = upstream.environment("pyzmq-ours", *pyzmq.PACKAGES)
    upstream.swap(ours, options.library)
    sides = [Side(build, options.library, ours / "bin/python"), Side(build, upstream.theirs(), theirs)]

    print("| program | octets | ours | libzmq | ratio |\n|---|---:|---:|---:|---:|")
    for name in options.programs:
        latency = name.endswith("lat")
        for size in options.sizes:
            most = options.messages // (50 if latency else 5 if name.startswith("pyzmq") else 1)
            count = max(100, min(most, int(options.megabytes * 1e6 / size)))
            rounds = [[side.measure(name, size, count) for side in sides] for _ in range(options.rounds)]
            own, their = (median(each) for each in zip(*rounds))
            scale = 1 if latency else 1000
            print(f"| {name} | {size} | {own / scale:.1f} | {their / scale:.1f} | {own / their:.2f} |", flush=True)


if __name__ == "__main__":
    main()
