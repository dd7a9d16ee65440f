//! Large messages, which are shared or copied once, and never under the lock.

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::send::outbox::COPY;

#[test]
fn large_parts_of_a_message_are_shared_and_the_rest_goes_in_its_place() {
    let core = publisher(10);
    let mut readers = [Reader::new(&core, ""), Reader::new(&core, "a")];
    let message = Message::multipart([
        Bytes::from_static(b"a"),
        Bytes::from(vec![1; LARGE]),
        Bytes::from_static(b"b"),
        Bytes::from(vec![2; LARGE - 1]),
    ]);
    let message = message.expect("there are parts");
    send(&core, b"before");
    core.try_send(&Outgoing::from(&message)).expect("the socket is open");
    send(&core, b"after");
    let mut expected = BytesMut::new();
    message.encode(&mut expected);
    for reader in &mut readers {
        assert!(reader.take());
        let large = pieces(reader).into_iter().filter(|(_, length)| *length >= LARGE);
        let large: Vec<_> = large.map(|(at, _)| at).collect();
        assert_eq!(large[0], message.parts()[1].as_ptr(), "the octets are the sender's");
        assert!(large.len() == 2 && large[1] != message.parts()[3].as_ptr(), "a copy");
        // Nothing else may be written within a shared part.
        let ahead = if reader.session.key() == 0 { 8 } else { 0 };
        assert_eq!(reader.write(ahead + 3 + 9 + 100), usize::from(ahead > 0));
        assert!(reader.burst.is_mid_frame());
        reader.write(usize::MAX);
        assert!(!reader.burst.is_mid_frame());
    }
    assert!(readers[1].received[..expected.len()] == expected);
    assert!(readers[0].received.ends_with(&[&expected[..], b"\x00\x05after"].concat()));
    assert_eq!(core.stats().sent, 5);
}

#[test]
fn a_large_body_that_is_borrowed_is_copied_once_for_all_and_not_into_the_journal() {
    let core = publisher(10);
    let mut readers = [Reader::new(&core, ""), Reader::new(&core, "a")];
    send(&core, b"a");
    let before = core.settled().journal.end();
    let body = [b'a'; 2 * COPY];
    send(&core, &body);
    let many = Message::multipart((0..20).map(|_| vec![b'a'; LARGE - 1])).expect("there are parts");
    core.try_send(&Outgoing::from(&many)).expect("the socket is open");
    assert_eq!(core.settled().journal.end(), before, "the journal is written under the lock");
    send(&core, b"a");
    assert!(readers.iter_mut().all(Reader::take));
    let [one, other] = readers.each_ref().map(pieces);
    let large = |pieces: &[(*const u8, usize)]| {
        pieces.iter().copied().find(|(_, length)| *length == 2 * COPY).expect("in one piece")
    };
    assert_eq!(large(&one), large(&other), "the same memory for both");
    let mut expected = BytesMut::from(&b"\x00\x01a"[..]);
    zmtp_codec::encode_message([&body[..]], &mut expected);
    many.encode(&mut expected);
    expected.extend_from_slice(b"\x00\x01a");
    for reader in &mut readers {
        reader.write(usize::MAX);
        assert!(reader.received == expected);
    }
}

#[test]
fn a_large_body_that_nobody_has_room_for_is_counted_for_each() {
    for when_full in [WhenFull::DropNew, WhenFull::DropOldest, WhenFull::Wait] {
        let core = publisher_with(1, Publishing { when_full, ..Publishing::default() });
        let _readers = [Reader::new(&core, "a"), Reader::new(&core, "a")];
        let body = [b'a'; 2 * COPY];
        send(&core, &[b'b'; 2 * COPY]);
        send(&core, &body);
        let second = core.try_send(&Outgoing::from(&body[..]));
        assert_eq!(second.is_err(), when_full == WhenFull::Wait);
        let stats = core.stats();
        let dropped = if second.is_ok() { 2 } else { 0 };
        let octets = (body.len() + 9) as u64;
        assert_eq!((stats.queued, stats.queued_octets), (2, 2 * octets));
        assert_eq!((stats.dropped, stats.dropped_octets), (dropped, dropped * octets));
    }
}

#[tokio::test]
async fn what_a_sender_writes_by_itself_of_a_message_and_cannot_finish_is_shared_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let ours = TcpStream::connect(address).await.expect("it listens");
    let (_theirs, _) = listener.accept().await.expect("it was dialled");
    ours.writable().await.expect("it is new");
    let outlet = Outlet::Tcp(Arc::new(ours.into_split().1));
    let core = publisher(1000);
    let (mut reader, _) = Reader::open(&core, 0, "", Some(&outlet));
    let message = Message::from(vec![7; COPY - 9]);
    let body = message.first().as_ptr_range();
    // The other side reads nothing, so at some time only a part is taken.
    for _ in 0..1000 {
        assert!(!reader.take(), "the driver has nothing to do");
        core.try_send(&Outgoing::from(&message)).expect("the socket is open");
        if core.stats().queued > 0 {
            break;
        }
    }
    assert_eq!(core.stats().queued, 1);
    let state = core.settled();
    let begun = state.peers[reader.session.key()].outbox.has_begun();
    drop(state);
    assert!(reader.take());
    for (octets, _) in pieces(&reader) {
        assert!(!begun || body.contains(&octets), "the octets are the sender's");
    }
}
