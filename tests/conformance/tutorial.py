#!/usr/bin/env python3
"""Runs the programs of examples/python as the stories of the tutorial, on our library, on libzmq, and mixed.

tutorial.py [--theirs | --library PATH] [WORD...]: --theirs runs them on libzmq alone; words choose stories.
"""

import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyzmq
import scoreboard
import upstream

EXAMPLES = upstream.ROOT / "examples/python"
LIMIT = 30

# A publisher of numbered messages that ends when the first has been asked for and all are sent.
COUNTING = """
import sys, zmq
with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
    publisher.bind(sys.argv[1])
    assert publisher.recv() == b"\\x01"
    for number in range(500):
        publisher.send_string(str(number))
"""
# A subscriber that reads one message, and the others when it gets a line.
SLOW = """
import sys, zmq
with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
    subscriber.connect(sys.argv[1])
    subscriber.subscribe("")
    print(subscriber.recv_string(), flush=True)
    sys.stdin.readline()
    for number in range(1, 500):
        assert subscriber.recv_string() == str(number)
    print("all", flush=True)
"""
POLLING = """
import zmq
with zmq.Context() as context, context.socket(zmq.PULL) as socket:
    socket.bind("tcp://127.0.0.1:*")
    print("polling", flush=True)
    socket.poll()
"""


class Program:
    """A Python program that runs until the story ends it, or ends by itself."""

    def __init__(self, python: Path, *words: str) -> None:
        words = (str(EXAMPLES / words[0]), *words[1:]) if words[0].endswith(".py") else ("-c", *words)
        self.process = subprocess.Popen(
            [python, "-u", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output: list[str] = []

    def line(self) -> str:
        """The next line of its output."""
        line = self.process.stdout.readline().rstrip("\n")
        self.output.append(line)
        return line

    def finish(self) -> list[str]:
        """Lets it end by itself; all lines of its output."""
        rest, _ = self.process.communicate(timeout=LIMIT)
        self.output += rest.splitlines()
        return self.output

    def wait_until_it_polls(self) -> None:
        """Waits until its main thread has slept in one call of poll(2) or ppoll(2) for a while.

        A signal that comes after Python has last looked and before the system call begins is noted and ends nothing,
        with libzmq too, whose threads wake each other some times at first.
        """
        process, seen = Path(f"/proc/{self.process.pid}"), None
        while True:
            time.sleep(0.05)
            call = (process / "syscall").read_text()
            switches = re.search(r"voluntary_ctxt_switches:.*", (process / "status").read_text())[0]
            if call.split()[0] in {"7", "73", "271"} and seen == (call, switches):
                return
            seen = call, switches

    def signal(self, number: int) -> int:
        """Sends it a signal that must end it at once; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=3)


class World:
    """Where the servers' end and the clients' end of a story run."""

    def __init__(self, server: Path, client: Path, folder: str) -> None:
        self._server, self._client = server, client
        self.ipc = f"ipc://{folder}/weather"
        self.programs: list[Program] = []

    def tcp(self) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{free.getsockname()[1]}"

    def server(self, *words: str) -> Program:
        return self._start(self._server, *words)

    def client(self, *words: str) -> Program:
        return self._start(self._client, *words)

    def _start(self, python: Path, *words: str) -> Program:
        program = Program(python, *words)
        self.programs.append(program)
        return program


def updates(client: Program, prefix: str) -> None:
    lines = client.finish()
    assert client.process.returncode == 0 and len(lines) == 7, lines
    assert all(line.startswith(prefix) for line in lines[1:6]), lines
    assert lines[6].startswith("average temperature"), lines


def the_client_starts_last(world: World) -> None:
    endpoint = world.tcp()
    world.server("weather_server.py", endpoint).line()
    updates(world.client("weather_client.py", "10001", endpoint), "10001 ")


def the_client_starts_first(world: World) -> None:
    endpoint = world.tcp()
    client = world.client("weather_client.py", "10001", endpoint)
    client.line()
    world.server("weather_server.py", endpoint)
    updates(client, "10001 ")


def a_filter_is_a_prefix(world: World) -> None:
    endpoint = world.tcp()
    world.server("weather_server.py", endpoint)
    for prefix in ("1000", "100", ""):
        updates(world.client("weather_client.py", prefix, endpoint), prefix)


def between_processes_over_ipc(world: World) -> None:
    world.server("weather_server.py", world.ipc)
    updates(world.client("weather_client.py", "1002", world.ipc), "1002")


def between_threads_over_inproc(world: World) -> None:
    for program in (world.server("weather_map.py"), world.client("weather_map.py")):
        assert program.finish()[-1].startswith("five updates") and program.process.returncode == 0, program.output


def through_a_proxy(world: World) -> None:
    server, here = world.tcp(), world.tcp()
    client = world.client("weather_client.py", "10003", here)
    proxy = world.client("weather_proxy.py", server, here)
    proxy.line()
    world.server("weather_server.py", server)
    updates(client, "10003 ")
    assert proxy.signal(signal.SIGINT) == 0


def a_client_vanishes(world: World) -> None:
    endpoint = world.tcp()
    server = world.server("weather_server.py", endpoint)
    lost = world.client("weather_client.py", "10001", endpoint)
    lost.line()
    lost.line()
    lost.signal(signal.SIGKILL)
    updates(world.client("weather_client.py", "10002", endpoint), "10002 ")
    assert server.process.poll() is None


def a_server_dies_and_comes_back(world: World) -> None:
    endpoint = world.tcp()
    server = world.server("weather_server.py", endpoint)
    # Far more than five updates could be in the client's buffer: it is to ask for what is never sent.
    client = world.client("weather_client.py", "2", endpoint)
    client.line()
    server.line()
    server.signal(signal.SIGKILL)
    world.server(COUNTING_FROM_TWO, endpoint)
    updates(client, "2")


# The server after its restart: it goes on with the number that the client asks for.
COUNTING_FROM_TWO = """
import sys, zmq
with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
    publisher.bind(sys.argv[1])
    assert publisher.recv() == b"\\x012"
    for number in range(5):
        publisher.send_string(f"2000{number} {number} 50")
"""


def a_slow_client_reads_on(world: World) -> None:
    endpoint = world.tcp()
    client = world.client(SLOW, endpoint)
    server = world.server(COUNTING, endpoint)
    assert client.line() == "0"
    server.finish()
    assert server.process.returncode == 0, server.output
    client.process.stdin.write("\n")
    client.process.stdin.flush()
    assert client.line() == "all", client.finish()


def ctrl_c_ends_a_blocked_recv(world: World) -> None:
    # Nobody is there to send anything.
    client = world.client("weather_client.py", "10001", world.tcp())
    client.line()
    client.wait_until_it_polls()
    assert client.signal(signal.SIGINT) != 0
    assert "KeyboardInterrupt" in client.finish()[-1], client.output


def ctrl_c_ends_a_blocked_poll(world: World) -> None:
    client = world.client(POLLING)
    assert client.line() == "polling"
    client.wait_until_it_polls()
    assert client.signal(signal.SIGINT) != 0
    assert "KeyboardInterrupt" in client.finish()[-1], client.output


def ctrl_c_ends_a_busy_server(world: World) -> None:
    server = world.server("weather_server.py", world.tcp())
    server.line()
    assert server.signal(signal.SIGINT) == 0
    assert server.finish()[-1] == "no more weather"


STORIES: list[Callable[[World], None]] = [
    the_client_starts_last,
    the_client_starts_first,
    a_filter_is_a_prefix,
    between_processes_over_ipc,
    between_threads_over_inproc,
    through_a_proxy,
    a_client_vanishes,
    a_server_dies_and_comes_back,
    a_slow_client_reads_on,
    ctrl_c_ends_a_blocked_recv,
    ctrl_c_ends_a_blocked_poll,
    ctrl_c_ends_a_busy_server,
]


@contextmanager
def world(server: Path, client: Path) -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="zmq") as folder:
        made = World(server, client, folder)
        # A story that hangs fails: the alarm interrupts what it waits for.
        signal.alarm(LIMIT)
        try:
            yield made
        finally:
            signal.alarm(0)
            for program in made.programs:
                upstream.end(program.process)


def too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"no end within {LIMIT} s")


def main() -> int:
    options = scoreboard.arguments(__doc__).parse_args()
    signal.signal(signal.SIGALRM, too_long)
    # Programs inherit it if Ctrl-C is ignored, as a shell has it for what it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pythons = {"libzmq": upstream.environment("pyzmq-theirs", *pyzmq.PACKAGES) / "bin/python"}
    if not options.theirs:
        ours = upstream.environment("pyzmq-ours", *pyzmq.PACKAGES)
        upstream.swap(ours, options.library or upstream.OURS)
        pythons["ours"] = ours / "bin/python"
    passed = failed = 0
    for server in pythons:
        for client in pythons:
            for story in STORIES:
                if not any(word in story.__name__ for word in options.tests or [""]):
                    continue
                name = f"{story.__name__.replace('_', ' ')} (server {server}, client {client})"
                try:
                    with world(pythons[server], pythons[client]) as made:
                        story(made)
                    passed += 1
                except (AssertionError, TimeoutError, subprocess.TimeoutExpired) as error:
                    failed += 1
                    print(f"failed: {name}: {type(error).__name__} {error}")
    print(f"{passed} passed, {failed} failed")
    return failed and 1


if __name__ == "__main__":
    sys.exit(main())
