#!/usr/bin/env python3
"""Measures this library beside others. Build the peers first: ./build.sh

  ./run.py                                      every scenario, every peer
  ./run.py one latency --peers ours,libzmq-bp --rounds 3
  ./run.py one --pairs ours:libzmq-bp,libzmq-bp:ours        (sender:receiver)
  ./run.py one --impl mine='/path/to/peer --flag' --peers ours,mine
  ./run.py --read results/all.jsonl --charts ../docs/charts

A round runs every pair once, one after the other, so that a change of the machine's mood meets all
of them; the tables show medians over the rounds. The exit status is 1 if any run failed or was wrong.
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from driver import peers, perf, results, tables, trial
from driver.scenarios import GROWTH, SCENARIOS, octets


def main():
    options = arguments()
    for definition in options.impl:
        peers.add(definition)
    pairs = pairs_of(options)
    records = results.load(options.read) if options.read else measure(options, pairs)
    if not records:
        sys.exit("nothing was measured")
    show(options, records)
    if any(record.get("error") or record.get("wrong") for record in records):
        sys.exit(1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help=f"of {' '.join(SCENARIOS)}, or growth for all grow-*; by default all but these")
    parser.add_argument("--peers", default=",".join(peers.DEFAULT), help=f"of {' '.join(peers.PEERS)}")
    parser.add_argument("--pairs", default="", help="sender:receiver,… in place of --peers")
    parser.add_argument("--impl", action="append", default=[], metavar="NAME=COMMAND", help="a further peer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--secs", type=float, default=1.0, help="how long one run sends")
    parser.add_argument("--timeout", type=float, default=25.0, help="seconds until a run has failed")
    parser.add_argument("--setup", type=float, default=20.0, help="seconds for all to connect and subscribe, below --timeout")
    parser.add_argument("--sizes", default="", help="of the scenarios one and pipeline, in octets: 64,1024")
    parser.add_argument("--base", default="libzmq-bp", help="the peer that ratios refer to")
    parser.add_argument("--no-calls", action="store_true", help="do not count system calls")
    parser.add_argument("--out", default="", help="append every run to this file of JSON lines")
    parser.add_argument("--read", action="append", default=[], help="show such files; measure nothing")
    parser.add_argument("--charts", default="", metavar="DIR", help="write charts there (needs matplotlib)")
    options = parser.parse_args()
    if "growth" in options.scenarios:
        options.scenarios = [name for name in options.scenarios if name != "growth"] + list(GROWTH)
    for name in options.scenarios:
        if name not in SCENARIOS:
            parser.error(f"there is no scenario {name}")
    return options


def pairs_of(options):
    if options.pairs:
        pairs = [tuple(pair.split(":")) for pair in options.pairs.split(",")]
    else:
        pairs = [(name, name) for name in options.peers.split(",")]
    for name in {name for pair in pairs for name in pair}:
        if name not in peers.PEERS:
            sys.exit(f"there is no peer {name}")
    return pairs


def measure(options, pairs):
    if not options.no_calls and perf.why_not():
        note(f"system calls are not counted: {perf.why_not()}")
    count_calls = not options.no_calls and not perf.why_not()
    if options.out:
        Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    records = []
    for name in options.scenarios or [name for name, scenario in SCENARIOS.items() if scenario.default]:
        for case in cases(name, options):
            # System calls are counted in a round of their own: counting costs time.
            rounds = ["calls"] * (count_calls and case.mode != "idle") + list(range(options.rounds))
            for round_ in rounds:
                for pair in pairs:
                    if all(SCENARIOS[name].takes(peers.PEERS[side], case) for side in pair):
                        records.append(one_run(name, case, pair, round_, options))
    return records


def cases(name, options):
    if name in ("one", "pipeline") and options.sizes:
        one = SCENARIOS[name].cases[0]
        sizes = map(int, options.sizes.split(","))
        return [dataclasses.replace(one, key=octets(size), size=size) for size in sizes]
    return SCENARIOS[name].cases


def one_run(name, case, pair, round_, options):
    metrics = trial.run(pair, case, options, count_calls=round_ == "calls")
    if round_ == "calls":
        metrics = {key: value for key, value in metrics.items() if key.startswith(("calls", "error", "late"))}
    record = {"scenario": name, "case": case.key, "sender": pair[0], "receiver": pair[1], "round": round_, **metrics}
    told = "calls_sender" if round_ == "calls" else SCENARIOS[name].metric
    said = metrics.get("error") or metrics.get("late") or metrics.get("wrong") or tables.number(metrics.get(told))
    note(f"{name}, {case.key}, round {round_}: {tables.label(pair)}: {said}")
    if options.out:
        results.save(options.out, record)
    return record


def show(options, records):
    base = (options.base, options.base)
    order = list(dict.fromkeys((record["sender"], record["receiver"]) for record in records))
    for name, scenario in SCENARIOS.items():
        of_scenario = [record for record in records if record["scenario"] == name]
        if not of_scenario:
            continue
        grouped = results.Results(of_scenario)
        print(*tables.show(scenario, grouped, base), sep="\n")
        if options.charts:
            from driver import charts

            os.makedirs(options.charts, exist_ok=True)
            charts.draw(scenario, grouped, os.path.join(options.charts, f"{name}.svg"), order)


def note(words):
    print(f"# {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
