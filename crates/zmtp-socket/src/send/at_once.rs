//! Writing to a peer without its driver: a single message to an idle peer, or the whole queue of a busy
//! one.

use std::io::IoSlice;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use zmtp_codec::FrameHeader;

use super::outbox::{LARGE, LARGE_INSIDE};
use super::outgoing::encode;
use super::pace::Pace;
use super::{Outbox, Outgoing};
use crate::engine::burst::{Burst, SLICES};
use crate::stats::Stats;

/// Leaves a message of so many octets in the queue of a peer in the same process, if nothing is on its way
/// there. Returns the receiver to be woken, if it waits; nothing if the message has to be queued here.
///
/// Small messages among others are queued: they cost less together, and sender and receiver
/// do not contend for one lock.
pub(crate) fn deliver(
    outbox: &mut Outbox,
    pace: &mut Pace,
    message: &Outgoing<'_>,
    length: usize,
) -> Option<Option<Waker>> {
    if !outbox.can_deliver() {
        return None;
    }
    let is_among_others = pace.is_among_others() && !outbox.is_answer();
    if is_among_others && length < LARGE_INSIDE {
        return None;
    }
    outbox.deliver(message.to_message(), length)
}

/// Writes a message of so many octets to an idle peer. That saves a wake-up of its driver and, for a
/// large message, the copy. Returns the number of octets that the transport has taken, and the waker of
/// the driver if it has to write the rest. Returns `None` if the message has to be queued, as when a
/// small message is among others: then the driver writes many at once.
pub(crate) fn write(
    outbox: &mut Outbox,
    pace: &mut Pace,
    message: &Outgoing<'_>,
    length: usize,
) -> Option<(usize, Option<Waker>)> {
    let outlet = outbox.idle_outlet()?;
    let (first, rest) = message.parts();
    // If the system takes no octet, or reports an error, the driver handles it.
    let (begun, written) = if message.has_large_part(LARGE) {
        let mut begun: Burst = message.to_runs(LARGE).iter().collect();
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = begun.slices(&mut slices);
        let written = outlet.try_write(&slices[..count]).ok()?;
        begun.advance(written);
        (begun, written)
    } else if length < LARGE {
        if pace.is_among_others() {
            return None;
        }
        let mut octets = BytesMut::with_capacity(length);
        encode(first, rest, &mut octets);
        let written = outlet.try_write(&[IoSlice::new(&octets)]).ok()?;
        // The call wakes the receiver, which may take long: what follows it soon follows the message closely.
        pace.note();
        (left_of(octets, written), written)
    } else if rest.is_empty() {
        let mut head = BytesMut::new();
        let size = first.len() as u64;
        FrameHeader { more: false, command: false, size }.encode(&mut head);
        let written = outlet.try_write(&[IoSlice::new(&head), IoSlice::new(first)]).ok()?;
        let begun = match written.checked_sub(head.len()) {
            _ if written == length => Burst::default(),
            Some(of_body) => Burst::of_torn(Bytes::copy_from_slice(&first[of_body..])),
            None => {
                head.extend_from_slice(first);
                left_of(head, written)
            }
        };
        (begun, written)
    } else {
        return None;
    };
    let waker = if begun.is_empty() { None } else { outbox.waker.take() };
    outbox.begin(begun, written, length - written);
    Some((written, waker))
}

/// The rest of a message of which the transport has taken so many octets.
fn left_of(message: BytesMut, written: usize) -> Burst {
    let mut left = Burst::default();
    if written < message.len() {
        left.push(message.freeze(), 1, 0);
        left.advance(written);
    }
    left
}

/// Writes the queued messages of a peer whose driver rests. Returns the numbers of messages and octets
/// that the transport has taken, and the waker of the driver if it has to write the rest, or all: where
/// only the driver may write, as if messages are sealed.
pub(crate) fn write_queued(outbox: &mut Outbox) -> (usize, usize, Option<Waker>) {
    if outbox.outlet().is_none() {
        return (0, 0, outbox.waker.take());
    }
    let mut burst = Burst::default();
    outbox.lend(&mut burst);
    let (mut messages, mut octets) = (0, 0);
    while let Some(outlet) = outbox.outlet()
        && !burst.is_empty()
    {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = burst.slices(&mut slices);
        // If the system takes no octet, or reports an error, the driver handles it.
        let Ok(written) = outlet.try_write(&slices[..count]) else { break };
        if written == 0 {
            break;
        }
        messages += burst.advance(written);
        octets += written;
    }
    (messages, octets, outbox.return_lent(burst))
}

/// Counts a message of so many octets, of which a transport has taken `written` at once.
pub(crate) fn count(totals: &mut Stats, written: usize, length: usize) {
    let rest = length - written;
    totals.sent += u64::from(rest == 0);
    totals.sent_octets += written as u64;
    totals.queued += u64::from(rest > 0);
    totals.queued_octets += rest as u64;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use zmtp_codec::Message;

    use super::*;
    use crate::send::gathering::tests::outbox;
    use crate::send::outgoing::encoded_len;

    /// Writes a message at once, then what the driver would write. Returns whether there was such a rest.
    async fn is_continued(message: Outgoing<'_>) -> bool {
        let (mut outbox, mut peer) = outbox().await;
        let (first, rest) = message.parts();
        let mut expected = BytesMut::new();
        encode(first, rest, &mut expected);

        outbox.wait(Waker::noop());
        let (written, driver) =
            write(&mut outbox, &mut Pace::default(), &message, expected.len()).unwrap();
        let mut left = Burst::default();
        outbox.claim(&mut left);
        assert_eq!(written + left.len(), expected.len());
        assert_eq!(
            (driver.is_some(), outbox.sent.messages),
            (!left.is_empty(), left.is_empty().into())
        );

        let mut received = vec![0; written];
        peer.read_exact(&mut received).await.unwrap();
        received.extend(left.pieces().flatten());
        assert!(received == expected, "of {} octets, {written} were written", expected.len());
        assert_eq!(left.advance(left.len()), usize::from(driver.is_some()));
        driver.is_some()
    }

    #[tokio::test]
    async fn a_message_to_an_idle_peer_goes_as_far_as_the_transport_takes_it_and_the_driver_goes_on()
     {
        // More than the system takes at once.
        let much = vec![7; 32 << 20];
        let parts = |body: &[u8]| {
            Message::multipart(
                ["", "x"]
                    .map(|it| it.to_owned().into())
                    .into_iter()
                    .chain([Bytes::copy_from_slice(body), "end".into()]),
            )
            .unwrap()
        };
        assert!(!is_continued("small".into()).await);
        assert!(!is_continued((&parts(b"small")).into()).await);
        assert!(!is_continued((&much[..LARGE]).into()).await);
        assert!(!is_continued((&parts(&much[..LARGE])).into()).await);
        assert!(is_continued((&much).into()).await);
        assert!(is_continued(Bytes::from(much.clone()).into()).await);
        assert!(is_continued((&parts(&much)).into()).await);
    }

    #[tokio::test]
    async fn a_small_message_of_which_the_transport_takes_a_part_is_continued() {
        // Nobody reads. The length divides no buffer of the system.
        let (mut outbox, _peer) = outbox().await;
        outbox.wait(Waker::noop());
        let message = vec![7; 20_011];
        let length = encoded_len(&message, &[]);
        let mut torn = std::iter::repeat_with(|| {
            write(&mut outbox, &mut Pace::default(), &(&message).into(), length)
                .expect("the transport takes a part of some message before it takes none")
        });
        let (written, driver) = torn.find(|(written, _)| *written < length).unwrap();
        let mut left = Burst::default();
        outbox.claim(&mut left);
        assert_eq!((written + left.len(), driver.is_some()), (length, true));
    }

    #[tokio::test]
    async fn many_small_parts_are_left_to_the_driver_since_they_are_copied() {
        let (mut outbox, _peer) = outbox().await;
        outbox.wait(Waker::noop());
        let message = Message::multipart(vec![vec![7; LARGE - 1]; 2]).unwrap();
        assert!(
            write(&mut outbox, &mut Pace::default(), &(&message).into(), message.encoded_len())
                .is_none()
        );
    }
}
