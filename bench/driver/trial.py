"""One run of one pair, and what is made of its reports."""

import contextlib
import os
import shutil
import socket
import tempfile
import time
from functools import partial

from . import peers, perf
from .processes import Failure, Late, Process
from .tables import PERCENTILES

ENOUGH = 1_000_000_000  # messages: the time ends the run
UNBOUNDED_OCTETS = 2_000_000_000  # what is sent at most into a queue without a mark
IDLE_SUBSCRIBERS = "ours"


def run(pair, case, options, count_calls=False):
    """Runs a pair once; gives the metrics, `{"late": …}` if the set-up took too long, or `{"error": …}`."""
    trial = _asking if case.asks else _apart
    trial = {"idle": _idle, "inproc": _inproc}.get(case.mode if case.mode == "idle" else case.transport, trial)
    try:
        with contextlib.ExitStack() as stack:
            return trial(pair, case, options, count_calls, stack)
    except Late as late:
        return {"late": str(late)}
    except (Failure, OSError, ValueError, KeyError) as failure:
        return {"error": f"{type(failure).__name__}: {failure}"}


def _apart(pair, case, options, count_calls, stack):
    """Senders and receivers in processes of their own."""
    endpoint = _endpoint(case.transport, stack)
    begun = time.monotonic()
    if case.senders > 1:  # the receiver binds
        receivers = _receivers(stack, pair, case, [endpoint], options)
        receivers[0].expect("BOUND", 10)
        senders = _senders(stack, pair, case, endpoint, options)
    else:
        senders = _senders(stack, pair, case, endpoint, options)
        senders[0].expect("BOUND", 10)
        leaves = [endpoint]
        for level in range(case.proxies):
            branches = case.branches if level else 1
            leaves = [_proxied(stack, pair, case, leaf) for leaf in leaves for _ in range(branches)]
        receivers = _receivers(stack, pair, case, leaves, options)
    _synced(receivers, options)
    setup = time.monotonic() - begun
    counters = _counters(count_calls, senders, receivers)
    time.sleep(0.3 if case.mode == "weather" else 0.05)  # other prefixes than that of `~S` may be on their way
    for sender in senders:
        sender.say("go")
    received = [receiver.report(options.timeout + 3) for receiver in receivers]
    calls = [counter.read() for counter in counters]
    for sender in senders:
        sender.stop()
    return _metrics(case, [sender.report(8) for sender in senders], received, calls) | {"setup": setup}


def _senders(stack, pair, case, endpoint, options):
    start = partial(_start, stack, pair[0], "sender", case, endpoint, options)
    peers_of_each = ["--peers", str(case.receivers)]
    firsts = range(0, case.senders, case.own_senders)
    return [start([*peers_of_each, "--index", str(first)]) for first in firsts]


def _receivers(stack, pair, case, endpoints, options):
    start = partial(_start, stack, pair[1], "receiver", case)
    return [start(endpoints[index % len(endpoints)], options) for index in range(case.processes)]


def _proxied(stack, pair, case, endpoint):
    backend = _endpoint(case.transport, stack)
    proxy = peers.argv(pair[0], "proxy") + ["--endpoint", endpoint, "--backend", backend]
    stack.enter_context(Process(proxy)).expect("BOUND", 10)
    return backend


def _asking(pair, case, options, count_calls, stack):
    """All sockets that make requests in one process, and the one that answers in another."""
    endpoint = _endpoint(case.transport, stack)
    answers = _start(stack, pair[1], "receiver", case, endpoint, options)
    answers.expect("BOUND", 10)
    requests = _start(stack, pair[0], "sender", case, endpoint, options)
    _synced([requests], options)
    counters = _counters(count_calls, [requests], [answers])
    for each in (answers, requests):
        each.say("go")
    reports = _both_reports(requests, options)
    calls = [counter.read() for counter in counters]
    answers.stop()
    # The answers are checked where they arrive; what they cost, the other process knows.
    return _metrics(case, [reports["sender"]], [reports["receiver"] | answers.report(8)], calls)


def _inproc(pair, case, options, count_calls, stack):
    """Both in one process: what it uses stands with the sender."""
    if pair[0] != pair[1]:
        raise Failure("inproc takes one library")
    both = _start(stack, pair[0], "inproc", case, "inproc://bench", options)
    counters = [perf.Counter([both.pid])] if count_calls else []
    reports = _both_reports(both, options)
    calls = [counter.read() for counter in counters]
    metrics = _metrics(case, [reports["sender"]], [reports["receiver"]], calls)
    return {key: value for key, value in metrics.items() if not key.endswith("_receiver")}


def _synced(processes, options):
    """Waits until all sockets have been heard of, in no more than the time for the set-up."""
    end = time.monotonic() + options.setup
    for process in processes:
        try:
            process.expect("SYNCED", max(0.0, end - time.monotonic()))
        except Late:
            raise Late(f"not set up in {options.setup:g} s") from None


def _both_reports(process, options):
    return {report["role"]: report for report in (process.report(options.timeout + 3), process.report(8))}


def _counters(count_calls, *sides):
    return [perf.Counter([each.pid for each in side]) for side in sides] if count_calls else []


def _idle(pair, case, options, _count_calls, stack):
    """Private memory of a PUB before and after its subscribers have come."""
    endpoint = _endpoint(case.transport, stack)
    wait = ["--mode", "idle", "--endpoint", endpoint, "--timeout", str(options.timeout + 30)]
    publisher = Process(peers.argv(pair[0], "sender") + wait + ["--peers", str(case.sockets)])
    stack.enter_context(publisher)
    publisher.expect("BOUND", 10)
    time.sleep(0.3)
    before = _private_kib(publisher.pid)
    subscribers = Process(peers.argv(IDLE_SUBSCRIBERS, "idle-subs") + wait + ["--sockets", str(case.sockets)])
    stack.enter_context(subscribers)
    subscribers.expect("SYNCED", 40)
    time.sleep(1.0)
    after = _private_kib(publisher.pid)
    subscribers.stop()
    leaked = subscribers.report(10)["leaked_bytes"]
    return {
        "per_connection": (after - before) / case.sockets,
        "peak_sender": after / 1024,
        "wrong": "sent what nobody asked for" if leaked else "",
    }


def _start(stack, name, role, case, endpoint, options, more=()):
    words = peers.argv(name, role, case) + ["--endpoint", endpoint, "--timeout", str(options.timeout)]
    words += ["--pattern", case.pattern, "--mode", case.mode, "--size", str(case.size), *more]
    words += ["--senders", str(case.senders), "--own-senders", str(case.own_senders)]
    words += ["--window", str(case.window), "--zips", str(case.zips), "--topics", str(case.topics)]
    count = ENOUGH
    if case.mode == "lat":
        count = int(options.secs * 10_000)
    elif peers.PEERS[name].unbounded:
        count = UNBOUNDED_OCTETS // max(case.size * case.senders * case.receivers, 200)
    words += ["--count", str(count), "--max-secs", str(options.secs), "--sockets", str(case.sockets)]
    return stack.enter_context(Process(words))


def _metrics(case, senders, receivers, calls):
    received, sent = sum(each["n"] for each in receivers), sum(each["sent"] for each in senders)
    # A receiver of a pipeline gets a part, and names the whole.
    whole = max if case.pattern == "push-pull" else sum
    expected = whole(each["expected"] for each in receivers)
    # From the first send until the last receiver has seen the end: a library that takes everything
    # into a queue and then delivers it has done nothing faster.
    seconds = max(each["last"] for each in receivers) - min(each["t0"] for each in senders)
    # Of weather updates most are for nobody, and sending them is the work.
    messages = max(1, sent if case.mode == "weather" else received)
    metrics = {
        "rate": messages / max(seconds / 1e9, 1e-9),
        "sent": sent,
        "received": received,
        "lost": (expected - received) / expected if expected else 0.0,
        "wrong": _wrong(received, expected, receivers),
    }
    thousands = messages / 1000
    for side, reports in (("sender", senders), ("receiver", receivers)):
        metrics[f"cpu_{side}"] = sum(each["user"] + each["sys"] for each in reports) * 1e6 / messages
        metrics[f"switches_{side}"] = sum(each["vcsw"] + each["ivcsw"] for each in reports) / thousands
        metrics[f"peak_{side}"] = max(each["peak_kb"] for each in reports) / 1024
    for side, count in zip(("calls_sender", "calls_receiver"), calls):
        metrics[side] = None if count is None else count / thousands
    # Of several processes the slowest.
    return metrics | {key: max(each[key] for each in receivers) for key in PERCENTILES if key in receivers[0]}


def _wrong(received, expected, receivers):
    """The faults that no library may have, also if it drops messages."""
    total = {key: sum(each.get(key, 0) for each in receivers) for key in ("disorder", "corrupt")}
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
        # Clean pages are those of the program's file: private only until another process maps the same file.
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))
