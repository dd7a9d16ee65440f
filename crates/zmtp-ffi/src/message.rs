//! One part of a message, in the memory of a `zmq_msg_t`.

use std::mem;

use bytes::Bytes;
use zmtp_socket::Peer;

use crate::spare;

/// How many octets fit into the part itself.
pub(crate) const INLINE: usize = 38;

/// From this size on, sending shares the memory with the library, which saves a copy.
const LARGE: usize = 32 << 10;

/// The same inside the process, where the receiver gets the memory, too.
pub(crate) const LARGE_INSIDE: usize = 2 << 10;

/// One part of a message. It has no pointer to itself, so C may move it like any octets.
#[derive(Debug, Default)]
pub(crate) struct Part {
    body: Body,
    /// Whether further parts of the same message come after it.
    pub(crate) more: bool,
    /// Whether the octets may be shared with others.
    pub(crate) is_shared: bool,
    /// Whether the octets are the program's, with a function that frees them.
    pub(crate) is_lent: bool,
    /// The peer that it came from.
    pub(crate) peer: Option<Peer>,
}

#[derive(Debug)]
enum Body {
    Inline(u8, [u8; INLINE]),
    /// Octets that nobody else shares.
    Owned(Box<[u8]>),
    Shared(Bytes),
}

impl Default for Body {
    fn default() -> Self {
        Self::Inline(0, [0; INLINE])
    }
}

impl Part {
    /// Gives an empty part `size` octets for its user to write into: in the part itself, or else in a spare buffer,
    /// or in one that `make` returns.
    #[inline]
    pub(crate) fn set_size(
        &mut self,
        size: usize,
        make: impl FnOnce(usize) -> Option<Box<[u8]>>,
    ) -> Option<()> {
        self.body = match u8::try_from(size) {
            Ok(length) if size <= INLINE => Body::Inline(length, [0; INLINE]),
            _ => Body::Owned(spare::take(size).or_else(|| make(size))?),
        };
        Some(())
    }

    /// A part that shares these octets.
    pub(crate) fn sharing(octets: Bytes) -> Self {
        Self { body: Body::Shared(octets), ..Self::default() }
    }

    /// A received part. A small one is copied, so that it keeps no buffer.
    pub(crate) fn received(octets: Bytes, more: bool, peer: Option<Peer>) -> Self {
        let body =
            if octets.len() <= INLINE { Body::inline(&octets) } else { Body::Shared(octets) };
        Self { body, more, peer, ..Self::default() }
    }

    /// Replaces the content by a copy of these octets, from that peer. Returns octets that the part
    /// shared: dropping them may call their owner.
    #[inline]
    pub(crate) fn refill(&mut self, octets: &[u8], peer: &Peer) -> Option<Bytes> {
        let mut shared = None;
        match &mut self.body {
            Body::Inline(length, own) if octets.len() <= INLINE => {
                own[..octets.len()].copy_from_slice(octets);
                *length = octets.len() as u8;
            }
            Body::Owned(own) if own.len() == octets.len() => own.copy_from_slice(octets),
            body => {
                let new = match octets.len() {
                    ..=INLINE => Body::inline(octets),
                    _ => Body::Owned(copied(octets)),
                };
                shared = body.give_up();
                *body = new;
            }
        }
        (self.more, self.is_shared, self.is_lent) = (false, false, false);
        if !self.peer.as_ref().is_some_and(|own| own.is(peer)) {
            self.peer = Some(peer.clone());
        }
        shared
    }

    /// Empties the part. Returns octets that it shared: dropping them may call their owner.
    #[inline]
    pub(crate) fn clear(&mut self) -> Option<Bytes> {
        (self.more, self.is_shared, self.is_lent) = (false, false, false);
        self.peer = None;
        self.body.give_up()
    }

    /// The descriptor of the connection that the part came through, if the connection has one.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        self.peer.as_ref()?.descriptor()
    }

    #[inline]
    pub(crate) fn octets(&self) -> &[u8] {
        match &self.body {
            Body::Inline(length, octets) => &octets[..usize::from(*length)],
            Body::Owned(octets) => octets,
            Body::Shared(octets) => octets,
        }
    }

    /// The octets for writing, if nobody else shares them.
    pub(crate) fn octets_mut(&mut self) -> Option<&mut [u8]> {
        match &mut self.body {
            Body::Inline(length, octets) => Some(&mut octets[..usize::from(*length)]),
            Body::Owned(octets) => Some(octets),
            Body::Shared(_) => None,
        }
    }

    /// Whether sending shares the octets instead of copying them: they are many, or their owner may
    /// want to know how long they are used.
    #[inline]
    pub(crate) fn is_sent_shared(&self, is_local: bool) -> bool {
        let large = if is_local { LARGE_INSIDE } else { LARGE };
        matches!(self.body, Body::Shared(_)) || self.octets().len() >= large
    }

    /// The octets, if the program waits to free them and sending copies them.
    #[inline]
    pub(crate) fn lent(&mut self) -> Option<Bytes> {
        (self.is_lent && self.octets().len() < LARGE).then(|| self.share())
    }

    /// Octets to keep beyond the part: shared, unless they lie in the part itself. They do not
    /// move.
    pub(crate) fn share(&mut self) -> Bytes {
        if let Body::Owned(octets) = &mut self.body {
            self.body = Body::Shared(spare::share(mem::take(octets)));
        }
        match &self.body {
            Body::Shared(octets) => octets.clone(),
            _ => Bytes::copy_from_slice(self.octets()),
        }
    }

    /// Another part, which shares the same octets.
    pub(crate) fn copy(&mut self) -> Self {
        let (more, peer) = (self.more, self.peer.clone());
        if let Body::Inline(length, octets) = &self.body {
            let body = Body::Inline(*length, *octets);
            return Self { body, more, peer, ..Self::default() };
        }
        self.is_shared = true;
        let body = Body::Shared(self.share());
        Self { body, more, is_shared: true, is_lent: self.is_lent, peer }
    }
}

impl Body {
    fn inline(octets: &[u8]) -> Self {
        let mut inline = [0; INLINE];
        inline[..octets.len()].copy_from_slice(octets);
        Self::Inline(octets.len() as u8, inline)
    }

    /// Empties it, and keeps its buffer for the next message, if it has one. Returns octets that it shared.
    #[inline]
    fn give_up(&mut self) -> Option<Bytes> {
        let shared = match self {
            Self::Inline(length, _) => {
                *length = 0;
                return None;
            }
            Self::Owned(octets) => {
                spare::keep(mem::take(octets));
                None
            }
            Self::Shared(octets) => Some(mem::take(octets)),
        };
        *self = Self::default();
        shared
    }
}

/// A copy of these octets, in a spare buffer if there is one.
fn copied(octets: &[u8]) -> Box<[u8]> {
    match spare::take(octets.len()) {
        Some(mut spare) => {
            spare.copy_from_slice(octets);
            spare
        }
        None => octets.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_size(size: usize) -> Part {
        let mut part = Part::default();
        part.set_size(size, |size| Some(vec![0; size].into())).expect("there is so much memory");
        part
    }

    #[test]
    fn octets_stay_where_they_are_when_they_become_shared() {
        for size in [0, 1, INLINE, INLINE + 1, 100_000] {
            let mut part = with_size(size);
            part.octets_mut().expect("it is new").fill(7);
            let place = part.octets().as_ptr();
            let copy = part.copy();
            assert_eq!(copy.octets(), vec![7; size]);
            assert_eq!(part.octets().as_ptr(), place);
            assert_eq!((part.is_shared, copy.is_shared), (size > INLINE, size > INLINE));
            assert_eq!(part.octets_mut().is_some(), size <= INLINE);
            assert_eq!(part.share(), copy.octets());
        }
    }

    fn peer() -> Peer {
        use zmtp_socket::{PairOptions, PairSocket};

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let context = zmtp_socket::Context::new();
            let socket = || -> PairSocket { context.socket(PairOptions::new()) };
            let (one, mut other) = (socket(), socket());
            other.bind("inproc://one").await.unwrap();
            one.connect("inproc://one").unwrap();
            one.send("x").await.unwrap();
            other.recv_from().await.unwrap().0
        })
    }

    #[test]
    fn a_part_is_filled_anew_whatever_it_had() {
        let (one, other) = (peer(), peer());
        let shared = || Part::sharing(Bytes::from_static(&[1; 100]));
        for make in [&|| with_size(3), &|| with_size(100), &|| with_size(200), &shared]
            as [&dyn Fn() -> Part; 4]
        {
            for size in [0, INLINE, INLINE + 1, 100] {
                let mut part = make();
                (part.more, part.is_shared, part.peer) = (true, true, Some(other.clone()));
                let was_shared = matches!(part.body, Body::Shared(_));
                assert_eq!(part.refill(&vec![9; size], &one).is_some(), was_shared);
                assert_eq!(part.octets(), vec![9; size]);
                assert!(!part.more && !part.is_shared && part.octets_mut().is_some());
                assert!(part.peer.as_ref().unwrap().is(&one), "equal ones may be others");
            }
        }
    }

    #[test]
    fn a_part_that_is_emptied_gives_back_what_it_shared() {
        let mut part = Part::sharing(Bytes::from_static(b"shared"));
        assert_eq!(part.clear().as_deref(), Some(&b"shared"[..]));
        assert!(part.octets().is_empty() && part.clear().is_none());
    }

    #[test]
    fn the_buffer_of_a_part_that_is_emptied_is_the_next_ones() {
        let mut part = with_size(100);
        let place = part.octets().as_ptr();
        assert!(part.clear().is_none());
        let next = with_size(100);
        assert_eq!(next.octets().as_ptr(), place);
        let mut received = with_size(200);
        spare::keep(vec![0; 100].into());
        received.refill(&[7; 100], &peer());
        assert_eq!(received.octets(), [7; 100]);
        assert_eq!(spare::take(200).map(|octets| octets.len()), Some(200), "in place of its own");
    }

    #[test]
    fn only_memory_that_is_shared_or_large_is_shared_when_it_is_sent() {
        for (large, is_local) in [(LARGE, false), (LARGE_INSIDE, true)] {
            for (size, is_shared) in [(INLINE, false), (large - 1, false), (large, true)] {
                assert_eq!(with_size(size).is_sent_shared(is_local), is_shared);
            }
        }
        assert!(Part::sharing(Bytes::from_static(b"x")).is_sent_shared(false), "its owner may ask");
    }
}
