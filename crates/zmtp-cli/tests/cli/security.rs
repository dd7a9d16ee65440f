//! Keys, names and passwords, from files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::process::{Folder, Process, zmtp};

#[test]
fn a_key_is_made_once_and_only_its_owner_may_read_it() {
    let folder = Folder::new();
    let file = folder.path("weather.key");
    let ended = zmtp(&["keygen", &file]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let public = fs::read_to_string(folder.path("weather.key.pub")).unwrap();
    assert_eq!(ended.stdout, [public.trim_end()]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(zmtp(&["keygen", "--public", &file]).stdout, ended.stdout);
    let again = zmtp(&["keygen", &file]);
    again.expect(1, &[]);
    again.says("File exists");
}

#[test]
fn only_who_has_the_right_keys_takes_part_under_curve() {
    let folder = Folder::new();
    let [server, client, stranger] = ["server", "client", "stranger"].map(|name| {
        zmtp(&["keygen", &folder.path(name)]);
        folder.path(name)
    });
    let [server_public, client_public] = [&server, &client].map(|it| format!("{it}.pub"));
    let (pull, endpoint) = Process::bound(&[
        "pull",
        "tcp://127.0.0.1:*",
        "-n",
        "1",
        "--curve-secret",
        &server,
        "--curve-allow",
        &client_public,
    ]);
    let push = |secret: &str, server_key: &str| {
        Process::start(&[
            "push",
            &endpoint,
            "-m",
            "psst",
            "--curve-secret",
            secret,
            "--curve-server",
            server_key,
        ])
    };
    let ended = push(&stranger, &server_public).end();
    ended.expect(1, &[]);
    ended.says("refused");
    let mut wrong = push(&client, &client_public);
    wrong.stderr.wait_for("another key");
    drop(wrong);
    let mut plain = Process::start(&["push", &endpoint, "-m", "psst"]);
    plain.stderr.wait_for("CURVE");
    drop(plain);
    push(&client, &server_public).end().expect(0, &[]);
    pull.end().expect(0, &["psst"]);
}

#[test]
fn only_who_knows_a_password_takes_part_under_plain() {
    let folder = Folder::new();
    let users = folder.file("users", b"ann:secret\nbob:hush\n");
    let [good, bad] = [folder.file("good", b"bob:hush\n"), folder.file("bad", b"bob:secret\n")];
    let (rep, endpoint) =
        Process::bound(&["rep", "tcp://127.0.0.1:*", "--echo", "--plain-users", &users]);
    let ended = zmtp(&["req", &endpoint, "-m", "hi", "--plain-login", &bad]);
    ended.expect(1, &[]);
    ended.says("refused");
    zmtp(&["req", &endpoint, "-m", "hi", "--plain-login", &good]).expect(0, &["hi"]);
    rep.terminate();
    rep.end().expect(0, &["hi"]);
}

#[test]
fn a_file_that_has_no_key_is_named() {
    let folder = Folder::new();
    let file = folder.file("nonsense", b"nonsense\n");
    let rows: [&[&str]; 4] = [
        &["--curve-secret", &file],
        &["--curve-server", &file],
        &["--plain-login", &file],
        &["--plain-users", &file],
    ];
    for option in rows {
        let ended = zmtp(&[&["sub", "tcp://127.0.0.1:1"], option].concat());
        ended.expect(1, &[]);
        ended.says(&file);
    }
    zmtp(&["sub", "tcp://127.0.0.1:1", "--curve-secret", "/no/such/file"]).says("/no/such/file");
}
