//! `bench`: what it measures is there, with peers of our own and with libzmq.

use std::fs;
use std::thread;

use serde_json::Value;

use crate::process::{Ended, Folder, Process, zmtp};
use crate::with_libzmq::bound;

fn lines_of_json(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    ended.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn latencies_are_told_for_each_client_and_for_all() {
    let arguments = ["bench", "latency", "--transport", "ipc", "-n", "50", "-c", "2", "--json"];
    let reports = lines_of_json(&zmtp(&arguments));
    let clients = reports.iter().map(|report| report["client"].clone());
    assert_eq!(clients.collect::<Vec<_>>(), [0.into(), 1.into(), Value::Null]);
    let messages = reports.iter().map(|report| report["messages"].as_u64().unwrap());
    assert_eq!(messages.collect::<Vec<_>>(), [50, 50, 100]);
    for report in &reports {
        let at = |name: &str| report["latency_us"][name].as_f64().unwrap();
        let rising = ["min", "p50", "p90", "p99", "p99.9", "max"].map(at);
        assert!(rising.is_sorted() && rising[0] > 0.0, "{report:#}");
        assert!((at("min")..=at("max")).contains(&at("mean")), "{report:#}");
    }
}

#[test]
fn every_transport_is_measured() {
    for transport in ["tcp", "ws", "ipc", "inproc"] {
        let arguments = ["bench", "throughput", "--transport", transport, "-n", "100", "--json"];
        assert_eq!(lines_of_json(&zmtp(&arguments))[0]["messages"], 100, "{transport}");
    }
}

#[test]
fn each_size_has_its_row_and_its_panel() {
    let folder = Folder::new();
    let svg = folder.path("latency.svg");
    let ended = zmtp(&[
        "bench", "latency", "-n", "20", "--size", "1,2k", "--csv", "--svg", &svg, "--curve",
    ]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let fields: Vec<Vec<_>> = ended.stdout.iter().map(|line| line.split(',').collect()).collect();
    assert_eq!(fields[0][..4], ["kind", "client", "size", "messages"]);
    assert_eq!(fields[1][..4], ["latency", "all", "1", "20"]);
    assert_eq!(fields[2][..4], ["latency", "all", "2048", "20"]);
    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!(svg.matches("20 requests, median").count(), 2, "{svg}");
}

#[test]
fn throughput_is_measured_where_messages_arrive() {
    let arguments = ["bench", "throughput", "-n", "5000", "-c", "2", "--json"];
    let reports = lines_of_json(&zmtp(&arguments));
    let messages = reports.iter().map(|report| report["messages"].as_u64().unwrap());
    assert_eq!(messages.collect::<Vec<_>>(), [5000, 5000, 10_000]);
    assert!(reports[2]["per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn two_processes_are_measured() {
    let (echo, endpoint) = Process::bound(&["bench", "echo", "tcp://127.0.0.1:*"]);
    let reports = lines_of_json(&zmtp(&["bench", "latency", &endpoint, "-n", "20", "--json"]));
    assert_eq!(reports[0]["messages"], 20);
    echo.terminate();
    echo.end().expect(0, &[]);
    let (sink, endpoint) =
        Process::bound(&["bench", "sink", "tcp://127.0.0.1:*", "-n", "3000", "--json"]);
    let reports = lines_of_json(&zmtp(&["bench", "throughput", &endpoint, "-n", "3000", "--json"]));
    assert_eq!(reports[0]["messages"], 3000);
    assert_eq!(lines_of_json(&sink.end())[0]["messages"], 3000);
}

#[test]
fn libzmq_is_measured() {
    let (rep, endpoint) = bound(zmq::REP);
    let echo = thread::spawn(move || {
        for _ in 0..30 {
            let request = rep.recv_bytes(0).unwrap();
            rep.send(request, 0).unwrap();
        }
    });
    let arguments = ["bench", "latency", &endpoint, "-n", "20", "--warmup", "10", "--json"];
    assert_eq!(lines_of_json(&zmtp(&arguments))[0]["messages"], 20);
    echo.join().unwrap();
    let (pull, endpoint) = bound(zmq::PULL);
    let received = move || (0..500).map(|_| pull.recv_bytes(0).unwrap().len()).sum::<usize>();
    let sink = thread::spawn(received);
    let arguments = ["bench", "throughput", &endpoint, "-n", "500", "--size", "10", "--json"];
    assert_eq!(lines_of_json(&zmtp(&arguments))[0]["messages"], 500);
    assert_eq!(sink.join().unwrap(), 5000);
}

#[test]
fn what_was_measured_is_told_when_it_is_interrupted_or_nobody_answers() {
    let (echo, endpoint) = Process::bound(&["bench", "echo", "tcp://127.0.0.1:*"]);
    let (mut tap, relay) = Process::bound(&["tap", "tcp://127.0.0.1:*", &endpoint]);
    let bench = Process::start(&["bench", "latency", &relay, "-n", "1000000000", "--warmup", "0"]);
    tap.stdout.wait_for("← message");
    bench.interrupt();
    let ended = bench.end();
    assert_eq!(ended.status.code(), Some(130), "{ended:#?}");
    assert!(ended.stdout[0].starts_with("latency, 64 B: "), "{ended:#?}");
    drop((tap, echo));
    let ended = zmtp(&["bench", "latency", &Folder::new().ipc("nobody"), "-w", "20ms"]);
    assert_eq!(ended.status.code(), Some(124), "{ended:#?}");
    ended.says("is the other side there?");
}
