"""What is measured, as data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One column of a table: one way of publishing."""

    key: str
    size: int = 64
    mode: str = "thr"
    processes: int = 1  # of subscribers
    subs: int = 1  # sockets in each of them
    zips: int = 0  # zipcodes for each socket; 0 subscribes to everything
    transport: str = "tcp"
    curve: bool = False
    proxied: bool = False  # through a proxy of the publisher's implementation

    @property
    def sockets(self):
        return self.processes * self.subs


@dataclass(frozen=True)
class Scenario:
    """One table."""

    title: str
    cases: tuple
    metric: str = "rate"  # what is compared
    unit: str = "messages/s"
    floor: bool = False  # whether the raw socket can take part

    def takes(self, peer, case):
        """Whether this implementation can take part in this case."""
        transport = {"ipc": peer.ipc, "inproc": peer.inproc}.get(case.transport, True)
        able = (peer.curve or not case.curve) and (peer.proxy or not case.proxied)
        return transport and able and (self.floor or not peer.floor)


def octets(size):
    """A size as people write it."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"


SIZES = (16, 64, 256, 1024, 16384, 65536, 1 << 20)

SCENARIOS = {
    "one": Scenario(
        "One PUB to one SUB over tcp",
        tuple(Case(octets(size), size) for size in SIZES),
        floor=True,
    ),
    "fanout": Scenario(
        "One PUB to eight SUBs over tcp, all deliveries together",
        tuple(
            Case(f"{octets(size)}, {where}", size, processes=processes, subs=8 // processes)
            for size in (64, 1024)
            for where, processes in (("8 sockets in 1 process", 1), ("8 processes", 8))
        ),
    ),
    "weather": Scenario(
        "Weather updates of 99,999 zipcodes, published messages",
        tuple(
            Case(f"{subs} × {zips:,} zipcodes", mode="weather", subs=subs, zips=zips)
            for subs, zips in ((1, 1), (1, 10_000), (100, 100))
        ),
    ),
    "latency": Scenario(
        "One-way latency, 64 B every 100 µs",
        (Case("64 B", mode="lat"),),
        metric="p50",
        unit="µs",
        floor=True,
    ),
    "curve": Scenario(
        "With CURVE: one PUB over tcp, all deliveries together",
        tuple(Case(octets(size), size, curve=True) for size in (16, 64, 256, 1024, 16384, 65536))
        + tuple(Case(f"{octets(size)}, 8 processes", size, processes=8, curve=True) for size in (64, 1024)),
    ),
    "proxy": Scenario(
        "One PUB to one SUB through a proxy of its own process, over tcp",
        tuple(Case(octets(size), size, proxied=True) for size in (16, 64, 256, 1024, 16384, 65536)),
    ),
    "ipc": Scenario("One PUB to one SUB over ipc", (Case("64 B", transport="ipc"),)),
    "inproc": Scenario(
        "One PUB to one SUB over inproc, a thread each (all costs with PUB)",
        (Case("64 B", transport="inproc"),),
    ),
    "idle": Scenario(
        "Memory of a PUB for each idle subscriber",
        (Case("1000 subscribers", mode="idle", subs=1000),),
        metric="per_connection",
        unit="KiB",
    ),
}
