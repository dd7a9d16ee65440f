//! A relative ipc path is the same file after the process has changed its working directory. This is a
//! test of its own, since a process has one working directory.

use std::env::set_current_dir;

use zmtp_socket::PubSocket;

#[tokio::test]
async fn a_socket_file_is_removed_from_where_it_was_made() {
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let server = PubSocket::new();
    set_current_dir(&here).unwrap();
    server.bind("ipc://socket").await.unwrap();
    assert!(here.path().join("socket").exists());
    set_current_dir(&there).unwrap();
    server.close().await;
    assert!(!here.path().join("socket").exists());
}
