"""One run of one pair, and what is made of its reports."""

import contextlib
import os
import shutil
import socket
import tempfile
import time

from . import peers, perf
from .processes import Failure, Process

ENOUGH = 1_000_000_000  # messages: the time ends the run
UNBOUNDED_OCTETS = 2_000_000_000  # what is published at most into a queue without a mark
IDLE_SUBSCRIBERS = "ours"


def run(pair, case, options, count_calls=False):
    """Runs a pair once; gives the metrics, or `{"error": …}`."""
    trial = {"idle": _idle, "inproc": _inproc}.get(case.mode if case.mode == "idle" else case.transport, _apart)
    try:
        with contextlib.ExitStack() as stack:
            return trial(pair, case, options, count_calls, stack)
    except (Failure, OSError, ValueError, KeyError) as failure:
        return {"error": f"{type(failure).__name__}: {failure}"}


def _apart(pair, case, options, count_calls, stack):
    """Publisher and subscribers in processes of their own."""
    endpoint = _endpoint(case.transport, stack)
    publisher = _start(stack, pair[0], "pub", case, endpoint, options, ["--wait-subs", str(case.sockets)])
    publisher.expect("BOUND", 10)
    if case.proxied:
        backend = _endpoint(case.transport, stack)
        proxy = peers.argv(pair[0], "proxy") + ["--endpoint", endpoint, "--backend", backend]
        stack.enter_context(Process(proxy)).expect("BOUND", 10)
        endpoint = backend
    subscribers = [_start(stack, pair[1], "sub", case, endpoint, options) for _ in range(case.processes)]
    for subscriber in subscribers:
        subscriber.expect("SYNCED", 20)
    counters = []
    if count_calls:
        counters = [perf.Counter([publisher.pid]), perf.Counter([each.pid for each in subscribers])]
    time.sleep(0.3 if case.mode == "weather" else 0.05)  # other prefixes than that of `~S` may be on their way
    publisher.say("go")
    reports = [subscriber.report(options.timeout + 3) for subscriber in subscribers]
    calls = [counter.read() for counter in counters]
    publisher.stop()
    return _metrics(case, publisher.report(8), reports, calls)


def _inproc(pair, case, options, count_calls, stack):
    """Both in one process: what it uses stands with the publisher."""
    if pair[0] != pair[1]:
        raise Failure("inproc takes one library")
    both = _start(stack, pair[0], "inproc", case, "inproc://bench", options)
    counters = [perf.Counter([both.pid])] if count_calls else []
    reports = {report["role"]: report for report in (both.report(options.timeout + 3), both.report(8))}
    calls = [counter.read() for counter in counters]
    metrics = _metrics(case, reports["pub"], [reports["sub"]], calls)
    return {key: value for key, value in metrics.items() if not key.endswith("_sub")}


def _idle(pair, case, options, _count_calls, stack):
    """Private memory of a publisher before and after its subscribers have come."""
    endpoint = _endpoint(case.transport, stack)
    wait = ["--mode", "idle", "--endpoint", endpoint, "--timeout", str(options.timeout + 30)]
    publisher = Process(peers.argv(pair[0], "pub") + wait + ["--wait-subs", str(case.subs)])
    stack.enter_context(publisher)
    publisher.expect("BOUND", 10)
    time.sleep(0.3)
    before = _private_kib(publisher.pid)
    subscribers = Process(peers.argv(IDLE_SUBSCRIBERS, "idle-subs") + wait + ["--subs", str(case.subs)])
    stack.enter_context(subscribers)
    subscribers.expect("SYNCED", 40)
    time.sleep(1.0)
    after = _private_kib(publisher.pid)
    subscribers.stop()
    leaked = subscribers.report(10)["leaked_bytes"]
    return {
        "per_connection": (after - before) / case.subs,
        "peak_pub": after / 1024,
        "wrong": "sent what nobody asked for" if leaked else "",
    }


def _start(stack, name, role, case, endpoint, options, more=()):
    words = peers.argv(name, role, case) + ["--endpoint", endpoint, "--timeout", str(options.timeout)]
    words += ["--mode", case.mode, "--size", str(case.size), *more]
    count = ENOUGH
    if case.mode == "lat":
        count = int(options.secs * 10_000)
    elif peers.PEERS[name].unbounded:
        count = UNBOUNDED_OCTETS // max(case.size * case.sockets, 200)
    words += ["--count", str(count)]
    if role != "sub":
        words += ["--max-secs", str(options.secs)]
    if role != "pub":
        words += ["--subs", str(case.subs), "--zips", str(case.zips)]
    return stack.enter_context(Process(words))


def _metrics(case, pub, subs, calls):
    received, expected = sum(sub["n"] for sub in subs), sum(sub["expected"] for sub in subs)
    # From the first send until the last subscriber has seen the end: a library that takes everything
    # into a queue and then delivers it has done nothing faster.
    seconds = max((max(sub["last"] for sub in subs) - pub["t0"]) / 1e9, 1e-9)
    # Of weather updates most are for nobody, and sending them is the work.
    messages = max(1, pub["sent"] if case.mode == "weather" else received)
    thousands = messages / 1000
    metrics = {
        "rate": messages / seconds,
        "sent": pub["sent"],
        "received": received,
        "lost": (expected - received) / expected if expected else 0.0,
        "wrong": _wrong(received, expected, subs),
        "cpu_pub": (pub["user"] + pub["sys"]) * 1e6 / messages,
        "cpu_sub": sum(sub["user"] + sub["sys"] for sub in subs) * 1e6 / messages,
        "switches_pub": (pub["vcsw"] + pub["ivcsw"]) / thousands,
        "switches_sub": sum(sub["vcsw"] + sub["ivcsw"] for sub in subs) / thousands,
        "peak_pub": pub["peak_kb"] / 1024,
        "peak_sub": max(sub["peak_kb"] for sub in subs) / 1024,
    }
    for side, count in zip(("calls_pub", "calls_sub"), calls):
        metrics[side] = None if count is None else count / thousands
    return metrics | {key: subs[0][key] for key in ("p50", "p90", "p99", "p999", "max") if key in subs[0]}


def _wrong(received, expected, subs):
    """What no library may do, also one that drops."""
    total = {key: sum(sub.get(key, 0) for sub in subs) for key in ("disorder", "corrupt")}
    faults = [f"{count} in {key}" for key, count in total.items() if count]
    if received > expected:
        faults.append(f"{received - expected} too many")
    return ", ".join(faults)


def _endpoint(transport, stack):
    if transport == "ipc":
        folder = tempfile.mkdtemp(prefix="bench-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return f"ipc://{os.path.join(folder, 'socket')}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


def _private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))
