use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use zmtp_codec::{Batch, Config, Event, SocketType, Subscription};

use super::*;
use crate::error::Reason;

/// A session with bursts to write, which records what becomes of them.
#[derive(Default)]
struct Given {
    bursts: VecDeque<Burst>,
    written: (usize, usize),
    /// Torn messages, whole ones and their octets.
    given_back: Option<(usize, usize, Vec<u8>)>,
}

impl Session for Given {
    fn poll_room(&mut self, _: &mut Context<'_>) -> Poll<usize> {
        Poll::Ready(usize::MAX)
    }

    fn messages(&mut self, _: Batch) -> Result<(), Reason> {
        Ok(())
    }

    fn subscriptions(&mut self, _: &mut Vec<Subscription>) -> Result<(), Reason> {
        Ok(())
    }

    fn poll_outgoing(
        &mut self,
        _: &mut Context<'_>,
        _: &mut Connection,
        burst: &mut Burst,
    ) -> Poll<usize> {
        let Some(next) = self.bursts.pop_front() else { return Poll::Pending };
        *burst = next;
        Poll::Ready(0)
    }

    fn written(&mut self, messages: usize, octets: usize) {
        self.written = (self.written.0 + messages, self.written.1 + octets);
    }

    fn give_back(&mut self, unsent: Burst) {
        assert!(self.given_back.is_none(), "it is given back once");
        let (torn, whole) = unsent.into_whole();
        let (mut messages, mut octets) = (0, Vec::new());
        for (piece, ended, _) in whole {
            messages += ended;
            octets.extend_from_slice(&piece);
        }
        self.given_back = Some((torn, messages, octets));
    }
}

/// A transport that takes so many octets and then no more.
#[derive(Default)]
struct Narrow {
    room: usize,
    taken: Vec<u8>,
    /// Whether it has yet to write what it has taken.
    holds_back: bool,
}

impl AsyncWrite for Narrow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = octets.len().min(self.room);
        if count == 0 {
            return Poll::Pending;
        }
        self.room -= count;
        self.taken.extend_from_slice(&octets[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.holds_back { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Rig {
    writer: Writer,
    connection: Connection,
    session: Given,
    stream: Narrow,
    turn: Turn,
}

/// Messages of three octets, three and four.
const MESSAGES: &[u8] = b"\x00\x01A\x00\x01B\x00\x02CC";
const COMMAND: &[u8] = b"\x04\x05\x04JOIN";

impl Rig {
    /// A writer whose connection is in traffic, with messages to write.
    fn new() -> Self {
        let mut connection = Connection::new(Arc::new(Config::new(SocketType::Pub)));
        let greeting = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL";
        let ready = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB";
        connection.receive(Duration::ZERO, &[&greeting[..], &[0; 48], ready].concat());
        let event = connection.poll_event(Duration::ZERO);
        assert!(matches!(event, Ok(Some(Event::Ready(_)))), "{event:?}");
        connection.output().clear();
        let mut burst = Burst::default();
        burst.push(Bytes::from_static(MESSAGES), 3, 0);
        Self {
            writer: Writer::default(),
            connection,
            session: Given { bursts: VecDeque::from([burst]), ..Given::default() },
            stream: Narrow::default(),
            turn: Turn::new(),
        }
    }

    /// Writes while the transport takes octets, up to `room`.
    fn write(&mut self, room: usize) {
        self.stream.room = room;
        let cx = &mut Context::from_waker(Waker::noop());
        let Self { writer, connection, session, stream, turn } = self;
        let epoch = Instant::now();
        while writer.poll_write(cx, stream, connection, Some(session), turn, epoch).is_ready() {}
    }

    /// Seals the next burst, as for a peer whose traffic is sealed. Here that changes no octet.
    fn seal(&mut self) {
        self.writer.burst = self.session.bursts.pop_front().expect("it has one");
        self.writer.seal(&mut self.connection, &mut self.turn);
    }

    fn give_back(&mut self) -> bool {
        self.writer.give_back(&mut self.session, &mut self.connection)
    }
}

#[tokio::test]
async fn a_message_counts_when_its_last_octet_is_taken() {
    let mut rig = Rig::new();
    for (room, written) in [(2, (0, 2)), (1, (1, 3)), (4, (2, 7)), (9, (3, 10))] {
        rig.write(room);
        assert_eq!(rig.session.written, written);
        assert_eq!(rig.writer.has_sent, written.0 > 0);
    }
    assert_eq!(rig.stream.taken, MESSAGES);
}

#[tokio::test]
async fn what_the_transport_holds_back_does_not_count_and_when_it_is_much_no_more_is_written() {
    let mut rig = Rig::new();
    rig.stream.holds_back = true;
    rig.write(4);
    rig.write(100);
    assert_eq!((rig.session.written, rig.stream.taken.len()), ((0, 0), 10));
    for _ in 0..2 {
        let mut burst = Burst::default();
        let large = [&b"\x02\0\0\0\0\0\x04\0\0"[..], &[7; UNCOUNTED]].concat();
        burst.push(large.into(), 1, 0);
        rig.session.bursts.push_back(burst);
    }
    rig.write(usize::MAX);
    assert_eq!((rig.session.written, rig.session.bursts.len()), ((0, 0), 1), "it is much");
    assert!(!rig.writer.is_drained(&mut rig.connection));
    rig.stream.holds_back = false;
    rig.write(usize::MAX);
    assert_eq!((rig.session.written.0, rig.session.bursts.len()), (5, 0));
    assert!(rig.writer.is_drained(&mut rig.connection));
}

#[tokio::test]
async fn a_sealed_burst_waits_for_the_one_before_it() {
    let mut rig = Rig::new();
    rig.stream.holds_back = true;
    rig.seal();
    rig.write(10);
    assert_eq!((rig.session.written, rig.stream.taken.len()), ((0, 0), 10));
    rig.stream.holds_back = false;
    rig.write(1);
    assert_eq!(rig.session.written, (3, 10));
}

#[tokio::test]
async fn what_the_transport_holds_back_at_the_end_is_not_given_back() {
    let mut rig = Rig::new();
    rig.stream.holds_back = true;
    rig.write(10);
    assert!(!rig.give_back());
    assert_eq!((rig.session.written, rig.session.given_back), ((0, 0), Some((0, 0, Vec::new()))));
}

#[tokio::test]
async fn a_command_waits_for_the_end_of_a_frame_and_for_nothing_else() {
    let mut rig = Rig::new();
    rig.write(2);
    rig.connection.output().extend_from_slice(COMMAND);
    rig.write(0);
    assert!(!rig.writer.is_drained(&mut rig.connection));
    // A write may take more than the end of the frame; then the command waits for the next end.
    rig.write(1);
    rig.write(100);
    assert_eq!(rig.stream.taken, [b"\x00\x01A", COMMAND, b"\x00\x01B\x00\x02CC"].concat());
    assert!(rig.writer.is_drained(&mut rig.connection));
}

#[tokio::test]
async fn what_has_not_gone_out_is_given_back_but_for_the_message_that_is_torn() {
    for (room, is_mid_frame, torn, whole) in
        [(0, false, 0, 0..10), (3, false, 0, 3..10), (4, true, 1, 6..10), (10, false, 0, 10..10)]
    {
        let mut rig = Rig::new();
        rig.write(room);
        let messages = 3 - rig.session.written.0 - torn;
        assert_eq!(rig.give_back(), is_mid_frame);
        let expected = (torn, messages, MESSAGES[whole].to_vec());
        assert_eq!(rig.session.given_back, Some(expected), "after {room} octets");
    }
}

#[tokio::test]
async fn a_sealed_burst_counts_once_it_has_been_taken_whole() {
    let mut rig = Rig::new();
    rig.connection.output().extend_from_slice(COMMAND);
    rig.seal();
    rig.write(COMMAND.len() + MESSAGES.len() - 1);
    assert_eq!(rig.session.written, (0, 0));
    rig.write(1);
    assert_eq!(rig.session.written, (3, 10));
    rig.write(1);
    assert_eq!(rig.session.written, (3, 10));
    assert_eq!(rig.stream.taken, [COMMAND, MESSAGES].concat());
}

#[tokio::test]
async fn a_sealed_burst_is_given_back_if_nothing_of_it_has_gone_out_and_then_it_never_does() {
    for (begun, messages) in [(0, 3), (1, 0)] {
        let mut rig = Rig::new();
        rig.connection.output().extend_from_slice(COMMAND);
        rig.seal();
        rig.connection.output().extend_from_slice(COMMAND);
        rig.write(COMMAND.len() + begun);
        assert!(!rig.give_back());
        let octets = if messages > 0 { MESSAGES.to_vec() } else { Vec::new() };
        assert_eq!(rig.session.given_back, Some((0, messages, octets)));
        assert_eq!(rig.connection.output().is_empty(), begun == 0);
    }
}
