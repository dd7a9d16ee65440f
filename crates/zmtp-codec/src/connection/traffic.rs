//! After the handshake: decodes frames to messages and subscriptions, and answers heartbeats.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::heartbeat::Liveness;
use super::{Event, PeerInfo};
use crate::batch::Batch;
use crate::command::{Command, Name};
use crate::config::{Config, Limits};
use crate::error::{Error, ProtocolError};
use crate::frame::FrameHeader;
use crate::handshake::Channel;
use crate::message::Message;
use crate::socket_type::SocketType;
use crate::subscription::Subscription;
use crate::version::Version;
use crate::wire::{CHUNK, ReadBuffer, take_body, take_copy, take_frames};

/// How many octets of PONG may wait in the output. Beyond that, PINGs are not answered: a flood of
/// PINGs from a peer that reads nothing must not grow our memory.
const PONG_BACKLOG: usize = 64 * 1024;

/// How many parts the kept list has room for. A message rarely has more; a larger list is not kept.
const PARTS_KEPT: usize = 16;

/// The kind of a frame of a message to a publisher.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A whole subscription, to which the limit of a command applies.
    Subscription,
    /// A part of any other message.
    Part,
}

/// The state of a connection whose handshake is over.
#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) peer: Box<PeerInfo>,
    /// The version that both sides speak.
    pub(super) version: Version,
    limits: Limits,
    /// Whether we take subscriptions.
    publisher: bool,
    /// Whether we take messages: a PUB does not.
    hears: bool,
    /// How many octets of a skipped frame are still to come.
    unheard: u64,
    /// The buffer of the input.
    pub(super) buffer: ReadBuffer,
    /// The parts of a message that has not ended yet, and their octets.
    parts: Vec<Bytes>,
    parts_size: u64,
    /// An upper bound of the octets of PONG in the output.
    pongs: usize,
    /// Seals and opens the traffic, if it is sealed.
    pub(super) channel: Option<Box<Channel>>,
}

impl Traffic {
    pub(super) fn new(config: &Config, peer: PeerInfo, channel: Option<Box<Channel>>) -> Self {
        Self {
            version: config.version.min(peer.version),
            peer: Box::new(peer),
            limits: config.limits,
            publisher: config.socket_type.publishes(),
            hears: config.socket_type != SocketType::Pub,
            unheard: 0,
            buffer: ReadBuffer::default(),
            parts: Vec::new(),
            parts_size: 0,
            pongs: 0,
            channel,
        }
    }

    /// Takes frames from `input` until one gives an event, or more octets are needed.
    ///
    /// A size is checked as soon as it is announced, before the octets arrive.
    #[inline]
    pub(super) fn next(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
        liveness: &mut Liveness,
        now: Duration,
    ) -> Result<Option<Event>, Error> {
        match self.channel {
            None => self.next_plain(input, output, liveness, now),
            Some(_) => self.next_sealed(input, output, liveness, now),
        }
    }

    #[inline(never)]
    fn next_sealed(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
        liveness: &mut Liveness,
        now: Duration,
    ) -> Result<Option<Event>, Error> {
        loop {
            let mut opened = self.open(input)?;
            if opened.is_empty() {
                return Ok(None);
            }
            let event = self.next_plain(&mut opened, output, liveness, now);
            if !input.is_empty() {
                liveness.continued();
            }
            if !matches!(event, Ok(None)) {
                self.keep(opened);
                return event;
            }
            debug_assert!(opened.is_empty(), "only whole frames are opened");
        }
    }

    /// Takes the opened frames, which are all whole. If there are none, opens sealed frames in
    /// `input`.
    fn open(&mut self, input: &mut BytesMut) -> Result<BytesMut, ProtocolError> {
        let Some(channel) = &mut self.channel else { return Ok(BytesMut::new()) };
        let mut limits = self.limits;
        if !self.hears {
            // A sealed frame must have arrived whole to be known, and no subscription is larger.
            limits.message_size = limits.message_size.min(limits.command_size);
        }
        channel.take(input, self.parts_size, &limits)
    }

    fn keep(&mut self, opened: BytesMut) {
        if let Some(channel) = &mut self.channel {
            channel.keep(opened);
        }
    }

    /// Adds whole plain frames to the output, sealed if traffic is.
    #[inline]
    pub(super) fn write(&mut self, output: &mut BytesMut, encode: impl FnOnce(&mut BytesMut)) {
        match &mut self.channel {
            Some(channel) => channel.write(output, encode),
            None => encode(output),
        }
    }

    #[inline]
    fn next_plain(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
        liveness: &mut Liveness,
        now: Duration,
    ) -> Result<Option<Event>, Error> {
        loop {
            if self.unheard > 0 && !self.pass_over(input) {
                return Ok(None);
            }
            let Some((header, header_len)) = FrameHeader::decode(input)? else { return Ok(None) };
            if header.command {
                self.check_command(header)?;
            } else if self.publisher {
                match self.is_for_us(input)? {
                    None => return Ok(None),
                    Some(false) => continue,
                    Some(true) => {}
                }
            } else {
                self.check_part(header)?;
            }
            let size = header.body_len()?;
            if input.len().saturating_sub(header_len) < size {
                return Ok(None);
            }
            if header.command {
                input.advance(header_len);
                if let Some(event) = self.command(size, input, output, liveness, now)? {
                    return Ok(Some(event));
                }
                continue;
            }
            let body = take_body(input, header_len, size, self.buffer_size());
            if self.is_single(header) {
                return Ok(Some(self.whole(body.into())));
            }
            if let Some(message) = self.part(header, body) {
                return Ok(Some(self.whole(message)));
            }
        }
    }

    /// Checks the frame of a message to a publisher. Returns whether the frame is to be decoded; if
    /// not, it is skipped. `None` if that is not known yet. It is a function of its own, so that
    /// connections of other socket types are not slowed down.
    #[inline(never)]
    fn is_for_us(&mut self, input: &mut BytesMut) -> Result<Option<bool>, ProtocolError> {
        let Some((header, header_len)) = FrameHeader::decode(input)? else { return Ok(None) };
        // The first octet tells whether the frame is a subscription. If the size alone exceeds the
        // limits of both, the error does not wait for that octet.
        if header.size > self.limits.command_size {
            self.check_part(header)?;
        }
        let Some(kind) = self.kind(header, input.get(header_len)) else { return Ok(None) };
        match kind {
            Kind::Subscription => self.check_command(header)?,
            Kind::Part => self.check_part(header)?,
        }
        if kind == Kind::Subscription || self.hears {
            return Ok(Some(true));
        }
        input.advance(header_len);
        self.unheard = header.size;
        if !self.is_single(header) {
            // The part is counted, but its octets are not kept.
            drop(self.part(header, Bytes::new()));
        }
        Ok(Some(false))
    }

    /// The kind of a frame of a message to a publisher; `None` if it is not known yet.
    fn kind(&self, header: FrameHeader, first: Option<&u8>) -> Option<Kind> {
        if !self.is_single(header) || header.size == 0 {
            return Some(Kind::Part);
        }
        first.map(|first| match Subscription::begins_with(*first) {
            true => Kind::Subscription,
            false => Kind::Part,
        })
    }

    /// Drops the octets of a skipped frame that have come. Returns whether they complete it.
    fn pass_over(&mut self, input: &mut BytesMut) -> bool {
        let here = usize::try_from(self.unheard).map_or(input.len(), |rest| rest.min(input.len()));
        input.advance(here);
        self.unheard = self.unheard.saturating_sub(here as u64);
        self.unheard == 0
    }

    /// Takes the whole messages at the front of `input`, at most `most` of them and up to the first
    /// frame of another kind. An error in that frame is found by [`next`](Self::next).
    pub(super) fn batch(&mut self, input: &mut BytesMut, most: usize) -> Option<Batch> {
        if !self.parts.is_empty() || self.publisher {
            return None;
        }
        if self.channel.is_none() {
            return self.batch_plain(input, most);
        }
        // An error in the next frame is returned again by `next`.
        let mut opened = self.open(input).ok()?;
        let batch = self.batch_plain(&mut opened, most);
        self.keep(opened);
        batch
    }

    fn batch_plain(&self, input: &mut BytesMut, most: usize) -> Option<Batch> {
        let (mut end, mut messages) = (0, 0);
        let (mut ahead, mut size, mut parts) = (0_usize, 0_u64, 0_usize);
        while messages < most {
            let Ok(Some((header, header_len))) = FrameHeader::decode(input.get(ahead..)?) else {
                break;
            };
            size = size.saturating_add(header.size);
            parts = parts.saturating_add(1);
            let allowed = self.limits.allow(size, parts);
            let Ok(length) = usize::try_from(header.size) else { break };
            ahead = ahead.saturating_add(header_len).saturating_add(length);
            if header.command || !allowed || ahead > input.len() {
                break;
            }
            if !header.more {
                (end, size, parts) = (ahead, 0, 0);
                messages = messages.saturating_add(1);
            }
        }
        (messages > 0).then(|| {
            let (octets, pinned) = take_frames(input, end, self.buffer_size());
            Batch::of_frames(octets, messages, pinned)
        })
    }

    /// The least size of the buffer that frames are taken from: the read buffer, or that of opened
    /// octets.
    #[inline]
    fn buffer_size(&self) -> usize {
        if self.channel.is_none() { self.buffer.size() } else { CHUNK }
    }

    /// Whether only a part of a message has come.
    pub(super) fn is_within_message(&self) -> bool {
        !self.parts.is_empty() || self.unheard > 0
    }

    /// Takes note that the caller has access to the output: it may have removed PONGs.
    pub(super) fn output_seen(&mut self, output: &BytesMut) {
        self.pongs = self.pongs.min(output.len());
    }

    fn check_command(&self, header: FrameHeader) -> Result<(), ProtocolError> {
        let limit = self.limits.command_size;
        if header.size > limit {
            return Err(ProtocolError::CommandTooLarge { size: header.size, limit });
        }
        Ok(())
    }

    #[inline]
    fn check_part(&self, header: FrameHeader) -> Result<(), ProtocolError> {
        let size = self.parts_size.saturating_add(header.size);
        if size > self.limits.message_size {
            return Err(ProtocolError::MessageTooLarge { size, limit: self.limits.message_size });
        }
        if !self.parts.is_empty() && self.parts.len() >= self.limits.message_parts {
            return Err(ProtocolError::TooManyParts { limit: self.limits.message_parts });
        }
        Ok(())
    }

    /// Whether this part is a whole message, as most are.
    #[inline]
    fn is_single(&self, header: FrameHeader) -> bool {
        !header.more && self.parts.is_empty()
    }

    /// Adds this part. Returns the message of several parts that it completes, if it does.
    #[cold]
    fn part(&mut self, header: FrameHeader, body: Bytes) -> Option<Message> {
        self.parts.push(body);
        if header.more {
            self.parts_size = self.parts_size.saturating_add(header.size);
            return None;
        }
        self.parts_size = 0;
        let message = Message::multipart(self.parts.drain(..));
        self.parts.shrink_to(PARTS_KEPT);
        message
    }

    #[inline]
    fn whole(&self, message: Message) -> Event {
        // A proxy sends subscriptions as messages to peers of any version.
        if self.publisher
            && let Some(subscription) = Subscription::from_message(&message)
        {
            return Event::Subscription(subscription);
        }
        Event::Message(message)
    }

    /// Takes a command, whose body of `size` octets is at the front of `input`.
    fn command(
        &mut self,
        size: usize,
        input: &mut BytesMut,
        output: &mut BytesMut,
        liveness: &mut Liveness,
        now: Duration,
    ) -> Result<Option<Event>, Error> {
        let (name, data_at) = Name::decode(input.get(..size).unwrap_or_default())?;
        if self.ignores(name) {
            input.advance(size);
            return Ok(None);
        }
        match name.with_data(take_copy(input, data_at, size.saturating_sub(data_at)))? {
            Command::Subscribe(topic) => {
                Ok(Some(Event::Subscription(Subscription::Subscribe(topic))))
            }
            Command::Cancel(topic) => Ok(Some(Event::Subscription(Subscription::Cancel(topic)))),
            Command::Ping { ttl, context } => {
                if input.is_empty() {
                    liveness.pinged(ttl, now);
                } else {
                    liveness.continued();
                }
                self.pong(context, output);
                Ok(None)
            }
            Command::Pong { .. } => Ok(None),
            Command::Error(reason) => Err(Error::refused(&reason)),
            other => Err(other.unexpected("traffic, for the handshake is over").into()),
        }
    }

    /// Commands that mean nothing to our socket type are ignored.
    fn ignores(&self, name: Name) -> bool {
        match name {
            Name::Subscribe | Name::Cancel => !self.publisher,
            // Groups are for a RADIO.
            Name::Join | Name::Leave | Name::Unknown => true,
            _ => false,
        }
    }

    fn pong(&mut self, context: Bytes, output: &mut BytesMut) {
        self.output_seen(output);
        if self.pongs < PONG_BACKLOG {
            let before = output.len();
            self.write(output, |out| Command::Pong { context }.encode(out));
            self.pongs = self.pongs.saturating_add(output.len().saturating_sub(before));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(traffic: &mut Traffic, octets: &[u8]) -> (Result<Option<Event>, Error>, BytesMut) {
        let mut input = BytesMut::from(octets);
        let mut output = BytesMut::new();
        let now = Duration::ZERO;
        (traffic.next(&mut input, &mut output, &mut Liveness::default(), now), output)
    }

    fn traffic(socket_type: SocketType) -> Traffic {
        let peer = PeerInfo::new(Version { major: 4, minor: 2 });
        Traffic::new(&Config::new(socket_type), peer, None)
    }

    #[test]
    fn what_frames_mean_depends_on_our_type() {
        let subscribe = Event::Subscription(Subscription::Subscribe("A".into()));
        let rows: [(&[u8], Option<Event>, Option<Event>); 4] = [
            (b"\x04\x0B\x09SUBSCRIBEA", Some(subscribe.clone()), None),
            (b"\x00\x02\x01A", Some(subscribe), Some(Event::Message(b"\x01A".into()))),
            (b"\x00\x01A", Some(Event::Message("A".into())), Some(Event::Message("A".into()))),
            (b"\x04\x08\x04JOINabc", None, None),
        ];
        for (octets, publisher, subscriber) in rows {
            assert_eq!(next(&mut traffic(SocketType::XPub), octets).0, Ok(publisher));
            assert_eq!(next(&mut traffic(SocketType::XSub), octets).0, Ok(subscriber));
        }
    }

    #[test]
    fn a_ping_is_answered_with_its_context() {
        let (event, output) = next(&mut traffic(SocketType::Pub), b"\x04\x09\x04PING\0\0hi");
        assert_eq!(event, Ok(None));
        assert_eq!(&output[..], b"\x04\x07\x04PONGhi");
    }

    #[test]
    fn the_room_for_many_parts_is_given_back() {
        let mut traffic = traffic(SocketType::Sub);
        let many = [&b"\x01\x00".repeat(1000)[..], b"\x00\x00"].concat();
        let (event, _) = next(&mut traffic, &many);
        assert!(matches!(event, Ok(Some(Event::Message(m))) if m.part_count() == 1001));
        assert!(traffic.parts.capacity() <= PARTS_KEPT);
        assert_eq!(traffic.version, Version::V3_1, "the version both sides speak");
    }
}
