"""The scenarios that are measured, as data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One column of a table: one way of sending."""

    key: str
    size: int = 64
    mode: str = "thr"
    pattern: str = "pub-sub"
    senders: int = 1  # sockets
    own_senders: int = 1  # those of one process, which send in turn
    processes: int = 1  # of receivers
    sockets: int = 1  # in each of them; of what makes requests, in the sender's process
    window: int = 1  # requests of each socket that wait for their answer; messages of a sender's turn
    zips: int = 0  # zipcodes for each socket; 0 subscribes to everything
    topics: int = 0  # topics that each socket subscribes to and messages begin with; likewise
    transport: str = "tcp"
    curve: bool = False
    proxies: int = 0  # of the sender's implementation, one behind the other
    branches: int = 1  # proxies behind each, from the second on: a tree
    x: float = 0  # where it stands on the scenario's axis

    @property
    def receivers(self):
        return self.processes * self.sockets

    @property
    def asks(self):
        return self.pattern in ("req-rep", "dealer-router")

    @property
    def one_to_one(self):
        return self.senders == self.receivers == 1


@dataclass(frozen=True)
class Scenario:
    """One table."""

    title: str
    cases: tuple
    metric: str = "rate"  # what is compared
    unit: str = "messages/s"
    percentiles: bool = False  # of the time that a message, or a request and its answer, takes
    floor: bool = False  # whether the raw socket can take part
    axis: str = ""  # what grows from case to case; slopes against it are stated
    memory: str = "peak_sender"  # the peak that is drawn beside it
    default: bool = True  # whether it runs when no scenario is named

    def takes(self, peer, case):
        """Whether this implementation can take part in this case."""
        transport = {"ipc": peer.ipc, "inproc": peer.inproc}.get(case.transport, True)
        able = (peer.curve or not case.curve) and (peer.proxy or not case.proxies)
        floor = self.floor and (case.one_to_one or case.asks)
        able = able and (peer.in_turn or case.own_senders == 1)
        pattern = case.pattern in peer.patterns and (case.one_to_one or case.pattern != peer.single)
        return transport and able and pattern and (floor or not peer.floor)


def octets(size):
    """A size as people write it."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"


SIZES = (16, 64, 256, 1024, 16384, 65536, 1 << 20)

PIPELINES = (
    *(Case(octets(size), size, pattern="push-pull") for size in SIZES),
    *(Case(f"64 B, {transport}", pattern="push-pull", transport=transport) for transport in ("ipc", "inproc")),
    *(Case(f"{octets(size)}, 4 to 1", size, pattern="push-pull", senders=4) for size in (64, 1024)),
    *(Case(f"{octets(size)}, 1 to 4", size, pattern="push-pull", processes=4) for size in (64, 1024)),
)


# The figures of a scenario of the mode `lat`.
LATENCY = {"metric": "p50", "unit": "µs", "percentiles": True}


def growing(title, axis, values, case, **more):
    """A scenario of one case for each value of what grows."""
    cases = tuple(case(f"{value:,}", value) for value in values)
    return Scenario(title, cases, axis=axis, default=False, **more)


def subscribers(count):
    """So many SUBs: up to 1000 in one process, because some libraries need two open files for each."""
    return {"processes": -(-count // 1000), "sockets": min(count, 1000)}


TOPICS = (1, 100, 10_000, 100_000, 1_000_000)
PUBLISHERS = (1, 8, 64, 256, 1000)
LEAVES = (1, 2, 4, 8)

GROWTH = {
    "grow-wanting": growing(
        "One PUB to many SUBs that want every message, 64 B over tcp, all deliveries together",
        "subscribers",
        (1, 4, 16, 64, 256, 1000, 10_000),
        lambda key, x: Case(key, **subscribers(x), x=x),
    ),
    "grow-others": growing(
        "Weather updates to many SUBs of one zipcode of 99,999 each, published messages",
        "subscribers",
        (1, 10, 100, 1000),
        lambda key, x: Case(key, mode="weather", sockets=x, zips=1, x=x),
    ),
    "grow-topics": growing(
        "One PUB to one SUB of many topics, each message of one of them, 64 B over tcp",
        "topics",
        TOPICS,
        lambda key, x: Case(key, topics=x, x=x),
    ),
    "grow-proxies": growing(
        "One PUB to one SUB through proxies in a row, 64 B over tcp",
        "proxies",
        range(6),
        lambda key, x: Case(key, proxies=x, x=x),
    ),
    "grow-tree": growing(
        "One PUB through a root proxy and leaf proxies to eight SUBs of each leaf, 64 B over tcp, all deliveries together",
        "leaves",
        LEAVES,
        lambda key, x: Case(key, processes=x, sockets=8, proxies=2, branches=x, x=x),
    ),
    "grow-publishers": growing(
        "PUBs of one process, ten messages of each in turn, to one SUB, 64 B over tcp, all messages together",
        "publishers",
        PUBLISHERS,
        lambda key, x: Case(key, senders=x, own_senders=x, window=10, x=x),
        memory="peak_receiver",
    ),
    "grow-latency": growing(
        "One-way latency to SUBs that want every message, 64 B every 100 µs over tcp",
        "subscribers",
        (1, 4, 16, 64),
        lambda key, x: Case(key, mode="lat", sockets=x, x=x),
        **LATENCY,
    ),
    "grow-topics-latency": growing(
        "One-way latency to one SUB of many topics, 64 B every 100 µs over tcp",
        "topics",
        TOPICS,
        lambda key, x: Case(key, mode="lat", topics=x, x=x),
        **LATENCY,
    ),
    "grow-publishers-latency": growing(
        "One-way latency from PUBs of one process in turn to one SUB, 64 B every 100 µs over tcp",
        "publishers",
        PUBLISHERS,
        lambda key, x: Case(key, mode="lat", senders=x, own_senders=x, x=x),
        memory="peak_receiver",
        **LATENCY,
    ),
    "grow-proxies-latency": growing(
        "One-way latency through proxies in a row, 64 B every 100 µs over tcp",
        "proxies",
        range(6),
        lambda key, x: Case(key, mode="lat", proxies=x, x=x),
        **LATENCY,
    ),
    "grow-tree-latency": growing(
        "One-way latency through a root proxy and leaf proxies to eight SUBs of each leaf, 64 B every 100 µs over tcp",
        "leaves",
        LEAVES,
        lambda key, x: Case(key, mode="lat", processes=x, sockets=8, proxies=2, branches=x, x=x),
        **LATENCY,
    ),
    "grow-idle": growing(
        "Memory of a PUB for each idle subscriber",
        "subscribers",
        (10, 100, 1000, 10_000),
        lambda key, x: Case(key, mode="idle", sockets=x, x=x),
        metric="per_connection",
        unit="KiB",
    ),
}

SCENARIOS = {
    "one": Scenario(
        "One PUB to one SUB over tcp",
        tuple(Case(octets(size), size) for size in SIZES),
        floor=True,
    ),
    "fanout": Scenario(
        "One PUB to eight SUBs over tcp, all deliveries together",
        tuple(
            Case(f"{octets(size)}, {where}", size, processes=processes, sockets=8 // processes)
            for size in (64, 1024)
            for where, processes in (("8 sockets in 1 process", 1), ("8 processes", 8))
        ),
    ),
    "fanout32": Scenario(
        "One PUB to 32 SUBs over tcp, a process each, all deliveries together",
        tuple(Case(octets(size), size, processes=32) for size in (64, 1024)),
    ),
    "weather": Scenario(
        "Weather updates of 99,999 zipcodes, published messages",
        tuple(
            Case(f"{sockets} × {zips:,} zipcodes", mode="weather", sockets=sockets, zips=zips)
            for sockets, zips in ((1, 1), (1, 10_000), (100, 100))
        ),
    ),
    "latency": Scenario(
        "One-way latency, 64 B every 100 µs",
        (Case("64 B", mode="lat"),),
        **LATENCY,
        floor=True,
    ),
    "pipeline": Scenario("PUSH to PULL over tcp, or as said, all deliveries together", PIPELINES, floor=True),
    "request": Scenario(
        "REQ to one REP over tcp and back, 64 B, one request of each REQ at a time",
        tuple(Case(f"{sockets} REQ", pattern="req-rep", sockets=sockets) for sockets in (1, 100)),
        unit="round trips/s",
        percentiles=True,
        floor=True,
    ),
    "routing": Scenario(
        "DEALERs to one ROUTER over tcp and back, 64 B, ten requests of each DEALER at a time",
        tuple(
            Case(f"{sockets:,} DEALERs", pattern="dealer-router", sockets=sockets, window=10)
            for sockets in (10, 100, 1000)
        ),
        unit="round trips/s",
        floor=True,
    ),
    "curve": Scenario(
        "With CURVE: one PUB over tcp, all deliveries together",
        tuple(Case(octets(size), size, curve=True) for size in (16, 64, 256, 1024, 16384, 65536))
        + tuple(Case(f"{octets(size)}, 8 processes", size, processes=8, curve=True) for size in (64, 1024)),
    ),
    "proxy": Scenario(
        "One PUB to one SUB through a proxy of its own process, over tcp",
        tuple(Case(octets(size), size, proxies=1) for size in (16, 64, 256, 1024, 16384, 65536)),
    ),
    "ipc": Scenario("One PUB to one SUB over ipc", (Case("64 B", transport="ipc"),)),
    "inproc": Scenario(
        "One PUB to one SUB over inproc, a thread each (all costs with PUB)",
        (Case("64 B", transport="inproc"),),
    ),
    "idle": Scenario(
        "Memory of a PUB for each idle subscriber",
        (Case("1000 subscribers", mode="idle", sockets=1000),),
        metric="per_connection",
        unit="KiB",
    ),
    **GROWTH,
}
