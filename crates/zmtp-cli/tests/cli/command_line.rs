//! Command lines, good and bad.

use std::net::TcpListener;

use crate::process::{Folder, Process, zmtp};

#[test]
fn a_wrong_command_line_has_status_2_and_says_what_is_wrong() {
    let rows: [(&[&str], &str); 14] = [
        (&[], "Usage: zmtp"),
        (&["sup"], "'sub'"),
        (&["sub"], "<ENDPOINT>"),
        (&["sub", "localhost:5556"], "expected transport://address"),
        (&["sub", "tcp://localhost"], "no port"),
        (
            &["sub", "inproc://feed"],
            "inproc reaches only sockets of the same process; use ipc or tcp",
        ),
        (&["sub", "--connect", "tcp://*:5556"], "to connect, name one host"),
        (&["sub", "tcp://localhost:1", "-n", "0"], "--count"),
        (&["sub", "tcp://localhost:1", "--timeout", "5"], "--timeout"),
        (&["sub", "tcp://localhost:1", "--format", "{tpoic}"], "{tpoic} is not one of {}, {0}"),
        (&["sub", "tcp://localhost:1", "--format", "{1}", "--json"], "cannot be used with"),
        (&["sub", "tcp://localhost:1", "-o", "sized", "--timestamp"], "no place for times"),
        (&["pub", "tcp://*:*", "--rate", "0"], "a number greater than 0"),
        (&["rep", "tcp://*:*", "--echo", "--exec", "true"], "cannot be used with"),
    ];
    for (arguments, said) in rows {
        let ended = zmtp(arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?} {ended:#?}");
        assert_eq!(ended.stdout, [""; 0], "{arguments:?} {ended:#?}");
        ended.says(said);
    }
}

#[test]
fn every_command_has_help_with_examples() {
    let help = zmtp(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stdout.iter().any(|line| line.contains("124")), "the statuses: {help:#?}");
    let commands = help.stdout.iter().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = commands
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().next().unwrap())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 12, "{commands:?}");
    for command in commands {
        let help = zmtp(&[command, "--help"]);
        assert_eq!(help.status.code(), Some(0), "{command}");
        let line = format!("  zmtp {command} ");
        assert!(help.stdout.iter().any(|it| it.contains(line.trim_end())), "{command}: {help:#?}");
        assert!(help.stdout.iter().any(|it| it == "Examples:"), "{command}: {help:#?}");
        assert!(help.stdout.iter().all(|it| it.chars().count() <= 100), "{command}: {help:#?}");
    }
}

#[test]
fn what_cannot_be_bound_is_said_with_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", taken.local_addr().unwrap());
    for endpoint in [endpoint.as_str(), "ipc:///there/is/no/such/folder"] {
        let ended = zmtp(&["sub", "--bind", endpoint]);
        ended.expect(1, &[]);
        ended.says(endpoint);
    }
}

#[test]
fn a_time_limit_has_a_status_of_its_own() {
    let rows: [&[&str]; 3] = [
        &["sub", "tcp://127.0.0.1:*", "-w", "10ms"],
        &["req", "--bind", "tcp://127.0.0.1:*", "-m", "hello?", "-w", "10ms"],
        &["pub", "tcp://127.0.0.1:*", "-m", "hello?", "-w", "10ms", "--wait-for-peer"],
    ];
    for arguments in rows {
        let ended = zmtp(arguments);
        ended.expect(124, &[]);
        ended.says("within 10ms");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let folder = Folder::new();
    let endpoint = folder.ipc("socket");
    let script = format!(
        "{} sub --bind {endpoint} | head -n 1 >/dev/null; test ${{PIPESTATUS[0]}} = 0",
        env!("CARGO_BIN_EXE_zmtp")
    );
    let mut reader = std::process::Command::new("bash").arg("-c").arg(script).spawn().unwrap();
    let feeder = Process::start(&["pub", "--connect", &endpoint, "-m", "x", "--repeat", "-q"]);
    assert!(reader.wait().unwrap().success());
    feeder.terminate();
    let ended = feeder.end();
    assert_eq!(ended.status.code(), Some(143), "{ended:#?}");
}

#[test]
fn a_log_is_written_if_it_is_asked_for() {
    let mut command = crate::process::command(&["pub", "tcp://127.0.0.1:*", "-m", "x"]);
    let output = command.env("RUST_LOG", "zmtp_socket=info").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("listening"), "{output:?}");
    let output = command.env("RUST_LOG", "a=b=c").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new();
    let ended = zmtp(&["man", &folder.path("man1")]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    for name in ["zmtp", "zmtp-sub", "zmtp-bench-latency", "zmtp-proxy"] {
        let page = std::fs::read_to_string(folder.path(&format!("man1/{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
        let foot = concat!("\"zmtp ", env!("CARGO_PKG_VERSION"), "\"");
        assert!(page.lines().any(|it| it.starts_with(".TH") && it.contains(foot)), "{name}");
    }
    let page = std::fs::read_to_string(folder.path("man1/zmtp-sub.1")).unwrap();
    assert!(page.contains("Examples:") && page.contains("\\-\\-topic"), "{page}");
}

#[test]
fn shells_complete_commands_and_options() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = zmtp(&["completions", shell]);
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        let script = ended.stdout.join("\n");
        assert!(script.contains("inspect") && script.contains("wait-for-peer"), "{shell}");
    }
    // The completions of bash after "zmtp su".
    let script = format!(
        "source <({} completions bash); COMP_WORDS=(zmtp su); COMP_CWORD=1; _zmtp zmtp su zmtp; \
         echo ${{COMPREPLY[@]}}",
        env!("CARGO_BIN_EXE_zmtp")
    );
    let output = std::process::Command::new("bash").arg("-c").arg(script).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "sub", "{output:?}");
}
