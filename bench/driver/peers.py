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
    sender: str = ""  # arguments of what sends data
    receiver: str = ""  # arguments of what receives them
    slow: str = ""  # arguments for latency, for requests, and for bodies above 64 KiB
    drops: bool = False  # loses messages, and cannot be told not to
    unbounded: bool = False  # queues as much as is sent: bound what is
    floor: bool = False  # no library: one sender, one receiver, or requests; tcp
    patterns: tuple = ("pub-sub", "push-pull", "req-rep", "dealer-router")
    in_turn: bool = False  # one process can have several senders
    single: str = ""  # the pattern of which a socket has one peer only
    ipc: bool = True
    inproc: bool = False
    curve: bool = False
    proxy: bool = False


PUB_SUB = ("pub-sub",)

PEERS = {
    "ours": Peer("peer-ours", "zmtp-socket", sender="--nodrop", in_turn=True, inproc=True, curve=True, proxy=True),
    "ours-multi": Peer(
        "peer-ours",
        "zmtp-socket, 2 workers",
        both="--rt multi",
        sender="--nodrop",
        in_turn=True,
        inproc=True,
        curve=True,
        proxy=True,
    ),
    "ours-many": Peer("peer-ours", "zmtp-socket, 64 in a call", both="--together 64", sender="--nodrop", inproc=True),
    "ours-shared": Peer(
        "peer-ours", "zmtp-socket, shared bodies", sender="--nodrop --shared", patterns=("pub-sub", "push-pull")
    ),
    "ours-blocking": Peer(
        "peer-ours-blocking",
        "zmtp-socket, blocking",
        sender="--nodrop",
        in_turn=True,
        curve=True,
        proxy=True,
        patterns=("pub-sub", "push-pull"),
    ),
    "ours-sndbuf": Peer(
        "peer-ours",
        "zmtp-socket, SO_SNDBUF 256 KiB",
        both="--sndbuf 262144",
        sender="--nodrop",
        ipc=False,
        patterns=PUB_SUB,
    ),
    "raw": Peer("peer-raw", "raw tcp", slow="--rt tokio", floor=True, ipc=False),
    "raw-sndbuf": Peer(
        "peer-raw", "raw tcp, SO_SNDBUF 256 KiB", both="--sndbuf 262144", slow="--rt tokio", floor=True, ipc=False
    ),
    "libzmq-bp": Peer(
        "peer-libzmq",
        "libzmq",
        sender="--nodrop --hwm 1000",
        receiver="--hwm 1000",
        in_turn=True,
        inproc=True,
        curve=True,
        proxy=True,
    ),
    "libzmq": Peer("peer-libzmq", "libzmq, unbounded", unbounded=True, in_turn=True, inproc=True),
    "omq": Peer("peer-omq", "omq-tokio, blocking", sender="--nodrop", receiver="--hwm 1000", inproc=True),
    "omq-tokio": Peer("peer-omq", "omq-tokio", both="--rt current", sender="--nodrop", receiver="--hwm 1000"),
    "rzmq": Peer("peer-rzmq", "rzmq", sender="--nodrop --hwm 1000", receiver="--hwm 1000", inproc=True),
    "zeromq": Peer("peer-zeromq", "zeromq", both="--rt multi", drops=True),
    "monocoque": Peer(
        "peer-monocoque",
        "monocoque-rs",
        unbounded=True,
        ipc=False,
        patterns=("pub-sub", "push-pull", "req-rep"),
        single="req-rep",
    ),
}

DEFAULT = ["ours", "libzmq-bp", "omq", "omq-tokio", "rzmq", "zeromq", "monocoque", "raw"]


def add(definition):
    """Adds `name=command …`, a further peer that speaks the protocol and waits for room."""
    name, command = definition.split("=", 1)
    PEERS[name] = Peer(command, name, sender="--nodrop", inproc=True, curve=True, proxy=True)


def argv(name, role, case=None):
    """The command of a process: its role and the settings of its implementation."""
    peer = PEERS[name]
    words = shlex.split(peer.command)
    built = directory() / words[0]
    if os.sep not in words[0] and built.exists():
        words[0] = str(built)
    words += [role, *shlex.split(peer.both)]
    if case and role in ("sender", "inproc"):
        words += shlex.split(peer.sender)
    if case and role == "receiver":
        words += shlex.split(peer.receiver)
    if case and case.curve:
        words += ["--curve"]
    if case and (case.mode == "lat" or case.asks or case.size > 65536):
        words += shlex.split(peer.slow)
    return words


def directory():
    """Where cargo has put the binaries."""
    return Path(os.environ.get("CARGO_TARGET_DIR", BENCH / "target")) / "release"
