//! Sockets that receive, and the messages that they have received.

use zmtp_socket::kind::Kind;
use zmtp_socket::{Context, Handle, Socket};

use crate::book::{Book, Way};
use crate::flows::Flow;
use crate::streams::Plan;

/// A socket that receives.
pub(crate) struct Sink<F: Flow> {
    /// Its number, as the sender of answers.
    pub(crate) number: u64,
    socket: Socket<F::Sink>,
    /// The number of messages that it has received.
    taken: u64,
}

impl<F: Flow> Sink<F> {
    /// Makes one that dials all sources, or that they dial.
    pub(crate) async fn new(plan: &Plan, context: &Context, book: &mut Book, place: usize) -> Self {
        let socket = context.socket(F::sink(plan));
        if plan.sources_dial {
            socket.bind(sink_place(place)).await.expect("the place is free");
        } else {
            for place in 0..plan.sources {
                socket.connect(source_place(place)).expect("good options");
            }
        }
        Self { number: book.number(), socket, taken: 0 }
    }

    /// Receives the messages that have arrived, at most so many, and answers some.
    pub(crate) fn take(&mut self, plan: &mut Plan, book: &mut Book, most: usize) -> usize {
        for count in 0..most {
            let Some((peer, message)) = F::take(&mut self.socket) else { return count };
            self.taken += 1;
            // A sink that dials has taken all messages of one connection before it makes the next.
            let one_by_one = (!plan.sources_dial).then_some(Way::Receiver(self.number));
            let ways = [Some(Way::Connection(self.number, peer.id())), one_by_one];
            let ways: Vec<_> = ways.into_iter().flatten().collect();
            let name = book.receive(&message, &ways);
            if name.1.is_multiple_of(3) {
                let (name, answer) = book.write(self.number, false, plan.fill());
                if let Some(Ok(())) = F::answer(&self.socket, &peer, &answer) {
                    book.accept(name);
                }
            }
        }
        most
    }

    /// Ends it. Its unreceived messages are lost.
    pub(crate) async fn close(self, book: &Book) -> u64 {
        let (handle, taken) = (self.socket.handle(), self.taken);
        let left = self.socket.close().await;
        let stats = handle.stats();
        assert_eq!(stats.received, taken + left.unread as u64, "{stats:?}, {left:?}");
        book.expect_balance(self.number, &stats);
        stats.received_octets
    }

    /// Ends its endpoints and begins them anew.
    pub(crate) async fn dial_anew(&self, plan: &Plan) {
        for place in 0..plan.sources {
            redial(&self.socket, &source_place(place)).await;
        }
    }
}

/// Ends an endpoint that was connected, and begins it anew.
pub(crate) async fn redial<T: Kind>(socket: &Handle<T>, place: &str) {
    socket.disconnect(place).await.expect("it is connected");
    socket.connect(place).expect("good options");
}

pub(crate) fn sink_place(place: usize) -> String {
    format!("mem://sink-{place}")
}

pub(crate) fn source_place(place: usize) -> String {
    format!("mem://source-{place}")
}
