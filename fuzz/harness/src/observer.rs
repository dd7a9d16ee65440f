use zmtp_codec::{Limits, Observer, Said, Side};

use crate::script::Script;

/// Low, so that the fuzzer reaches all of them.
const LIMITS: Limits =
    Limits::new().with_message_size(600).with_command_size(400).with_handshake_frame_size(300);

/// The longest incomplete frame that may be held, with its header.
const MOST_HELD: usize = 609;

/// The octets of one side of a connection, given to an observer. Instructions: the size of a piece.
///
/// The observations depend neither on how the octets are divided nor on the other side. Nothing is
/// held beyond the limits, and nothing is reported after a broken rule.
pub fn observer(data: &[u8]) {
    let mut script = Script::new(data);
    let piece = usize::from(script.octet()).max(1);
    let octets = script.rest();

    let at_once = told(Side::Connecting, [octets], &[]);
    assert_eq!(told(Side::Binding, octets.chunks(piece), octets), at_once);
    assert_eq!(told(Side::Connecting, octets.chunks(1), b"GET /"), at_once);
    for (at, (position, said)) in at_once.iter().enumerate() {
        assert!(*position <= octets.len() as u64);
        assert!(at + 1 == at_once.len() || !matches!(said, Said::Broken(_)));
    }
}

fn told<'a>(
    side: Side,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    others: &[u8],
) -> Vec<(u64, Said)> {
    let mut observer = Observer::new(LIMITS);
    let other = if side == Side::Binding { Side::Connecting } else { Side::Binding };
    let mut others = others.chunks(7);
    let mut told: Vec<(u64, Said)> = Vec::new();
    for piece in pieces {
        observer.feed(other, others.next().unwrap_or_default());
        observer.feed(side, piece);
        while let Some(observation) = observer.poll() {
            if observation.side == side {
                let is_further = |last: &(u64, Said)| last.0 < observation.position;
                assert!(told.last().is_none_or(is_further), "{observation:?} after {told:?}");
                told.push((observation.position, observation.said));
            }
        }
        let waiting = observer.waiting(side);
        assert!(waiting <= MOST_HELD, "{waiting} octets are held");
    }
    told
}
