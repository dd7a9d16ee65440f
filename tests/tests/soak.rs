//! The short form of the soak: `just soak` for some seconds.

use std::process::Command;

#[test]
fn every_message_is_accounted_for_while_peers_come_and_go() {
    let minutes = "0.15";
    let soak = Command::new(env!("CARGO_BIN_EXE_soak")).args(["run", minutes, "7"]).output();
    let soak = soak.expect("it can be started");
    let (told, errors) =
        (String::from_utf8_lossy(&soak.stdout), String::from_utf8_lossy(&soak.stderr));
    assert!(soak.status.success(), "{told}\n{errors}");
    let held = "connections reckoned up, ours to ours";
    assert!(told.contains(held), "nothing was reckoned up: {told}\n{errors}");
}
