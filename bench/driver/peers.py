"""The implementations that are compared, and how each is run.

Every library runs in the fastest way that loses nothing: it waits for room, or has no mark, whichever
is faster. One that can do neither is marked `drops`, and its losses are shown.
"""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Peer:
    """One implementation with one set of settings."""

    command: str
    label: str = ""
    both: str = ""  # arguments of every process
    pub: str = ""  # arguments of a publisher of data
    sub: str = ""  # arguments of a subscriber
    slow: str = ""  # arguments for latency, and for bodies above 64 KiB
    drops: bool = False  # loses messages, and cannot be told not to
    unbounded: bool = False  # queues as much as is published: bound what is
    floor: bool = False  # no library: one publisher, one subscriber, tcp
    ipc: bool = True
    inproc: bool = False
    curve: bool = False
    proxy: bool = False


PEERS = {
    "ours": Peer("peer-ours", "zmtp-socket", pub="--nodrop", inproc=True, curve=True, proxy=True),
    "ours-multi": Peer(
        "peer-ours", "zmtp-socket, 2 workers", both="--rt multi", pub="--nodrop", inproc=True, curve=True, proxy=True
    ),
    "ours-unset": Peer(
        "peer-ours-unset", "zmtp-socket, without poly1305_backend", pub="--nodrop", inproc=True, curve=True
    ),
    "ours-blocking": Peer(
        "peer-ours-blocking", "zmtp-socket, blocking", pub="--nodrop", curve=True, proxy=True
    ),
    "ours-sndbuf": Peer(
        "peer-ours", "zmtp-socket, SO_SNDBUF 256 KiB", both="--sndbuf 262144", pub="--nodrop", ipc=False
    ),
    "raw": Peer("peer-raw", "raw tcp", slow="--rt tokio", floor=True, ipc=False),
    "raw-sndbuf": Peer(
        "peer-raw", "raw tcp, SO_SNDBUF 256 KiB", both="--sndbuf 262144", slow="--rt tokio", floor=True, ipc=False
    ),
    "libzmq-bp": Peer(
        "peer-libzmq", "libzmq", pub="--nodrop --hwm 1000", sub="--hwm 1000", inproc=True, curve=True, proxy=True
    ),
    "libzmq": Peer("peer-libzmq", "libzmq, unbounded", unbounded=True, inproc=True),
    "omq": Peer("peer-omq", "omq-tokio, blocking", pub="--nodrop", sub="--hwm 1000", inproc=True),
    "omq-tokio": Peer("peer-omq", "omq-tokio", both="--rt current", pub="--nodrop", sub="--hwm 1000"),
    "rzmq": Peer("peer-rzmq", "rzmq", pub="--nodrop --hwm 1000", sub="--hwm 1000", inproc=True),
    "zeromq": Peer("peer-zeromq", "zeromq", both="--rt multi", drops=True),
    "monocoque": Peer("peer-monocoque", "monocoque-rs", unbounded=True, ipc=False),
}

DEFAULT = ["ours", "libzmq-bp", "omq", "omq-tokio", "rzmq", "zeromq", "monocoque", "raw"]


def add(definition):
    """Adds `name=command …`, a further peer that speaks the protocol and waits for room."""
    name, command = definition.split("=", 1)
    PEERS[name] = Peer(command, name, pub="--nodrop", inproc=True, curve=True, proxy=True)


def argv(name, role, case=None):
    """The command of a process: its role and the settings of its implementation."""
    peer = PEERS[name]
    words = shlex.split(peer.command)
    built = directory() / words[0]
    if os.sep not in words[0] and built.exists():
        words[0] = str(built)
    words += [role, *shlex.split(peer.both)]
    if case and role in ("pub", "inproc"):
        words += shlex.split(peer.pub)
    if case and role == "sub":
        words += shlex.split(peer.sub)
    if case and case.curve:
        words += ["--curve"]
    if case and (case.mode == "lat" or case.size > 65536):
        words += shlex.split(peer.slow)
    return words


def directory():
    """Where cargo has put the binaries."""
    return Path(os.environ.get("CARGO_TARGET_DIR", BENCH / "target")) / "release"
