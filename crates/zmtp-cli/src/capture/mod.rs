//! `zmtp tap --read`: prints the traffic of the connections in a capture (pcap or pcapng).

mod flow;
mod packet;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use pcap_parser::traits::PcapNGPacketBlock as _;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use zmtp_codec::{Observation, Observer, Said, Side};

use self::flow::Flow;
use self::packet::Segment;
use crate::ending::{Ending, Failure};
use crate::notes::Notes;
use crate::output::Writer;
use crate::text::counted;
use crate::traffic::{Heading, TrafficStyle};

/// The buffer for the file, in octets; no captured packet is larger.
const ROOM: usize = 1 << 20;

/// Prints the traffic of the connections in a capture.
pub(crate) async fn read(
    file: &Path,
    style: TrafficStyle,
    notes: &Notes,
) -> Result<Ending, Failure> {
    let name = file.display();
    let opened = File::open(file).map_err(|error| format!("{name}: {error}"))?;
    let mut writer = Writer::new();
    let mut conversations = Conversations::new(style);
    for_each_packet(opened, async |link, time, octets| {
        conversations.packet(link, time, octets, writer.buffer());
        writer.flush_if_full().await
    })
    .await
    .map_err(|error| format!("{name}: {error}"))?;
    writer.finish().await?;
    match (conversations.shown, conversations.begun_before) {
        (0, 0) => notes.warn(format_args!("{name}: there is no ZMTP connection in it")),
        (_, 0) => {}
        (_, count) => notes.warn(format_args!(
            "{name}: left out {} that began before the capture",
            counted(count, "connection")
        )),
    }
    Ok(Ending::Done)
}

/// Passes each packet on, with the type of its link and its time since 1970.
async fn for_each_packet(
    file: impl Read + Send,
    mut packet: impl AsyncFnMut(Linktype, Duration, &[u8]) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut reader = create_reader(ROOM, file).map_err(no_capture)?;
    let mut links = Vec::new();
    let mut is_nano = false;
    loop {
        let offset = match reader.next() {
            Ok((offset, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        is_nano = header.is_nanosecond_precision();
                        links = vec![(header.network, 0, 0)];
                    }
                    PcapBlockOwned::Legacy(block) => {
                        let nanos = block.ts_usec.saturating_mul(if is_nano { 1 } else { 1000 });
                        let time = Duration::new(block.ts_sec.into(), nanos);
                        if let Some((link, ..)) = links.first() {
                            packet(*link, time, block.data).await?;
                        }
                    }
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => links.clear(),
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        let resolution = interface.ts_resolution().unwrap_or(1_000_000).max(1);
                        let offset = u64::try_from(interface.ts_offset()).unwrap_or(0);
                        links.push((interface.linktype, offset, resolution));
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
                        let interface = usize::try_from(block.if_id).unwrap_or(usize::MAX);
                        if let Some((link, offset, resolution)) = links.get(interface) {
                            let seconds = block.decode_ts_f64(*offset, *resolution);
                            let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                            packet(*link, time, block.packet_data()).await?;
                        }
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                offset
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => {
                let before = reader.data().len();
                reader.refill().map_err(no_capture)?;
                match reader.data().len() {
                    0 => return Ok(()),
                    after if after == before => return Err("the file ends within a packet".into()),
                    _ => {}
                }
                continue;
            }
            Err(PcapError::UnexpectedEof) => return Err("the file ends within a packet".into()),
            Err(error) => return Err(no_capture(error).into()),
        };
        reader.consume(offset);
    }
}

fn no_capture(error: PcapError<impl std::fmt::Debug>) -> String {
    format!("not a capture, pcap or pcapng: {error}")
}

/// The two addresses of a connection, the smaller first.
type Ends = (SocketAddr, SocketAddr);

/// The connections of a capture.
#[derive(Debug)]
struct Conversations {
    style: TrafficStyle,
    began: Option<Duration>,
    open: HashMap<Ends, Conversation>,
    shown: u64,
    begun_before: u64,
}

/// One connection.
#[derive(Debug)]
struct Conversation {
    client: SocketAddr,
    server: SocketAddr,
    /// The number of the connection, once it is known to be one of ZMTP.
    number: Option<u64>,
    observer: Observer,
    flows: [Flow; 2],
    /// Whether it is not a connection of ZMTP, or its beginning is missing.
    is_foreign: bool,
}

impl Conversations {
    fn new(style: TrafficStyle) -> Self {
        Self { style, began: None, open: HashMap::new(), shown: 0, begun_before: 0 }
    }

    fn packet(&mut self, link: Linktype, time: Duration, octets: &[u8], out: &mut Vec<u8>) {
        let began = *self.began.get_or_insert(time);
        let Some(segment) = Segment::of(link, octets) else { return };
        let Segment { from, to, .. } = segment;
        let ends = if from < to { (from, to) } else { (to, from) };
        if segment.syn && !segment.ack {
            // A new connection uses the ports of an old one.
            self.open.insert(ends, Conversation::between(from, to));
        }
        let conversation = self.open.entry(ends).or_insert_with(|| {
            self.begun_before += 1;
            Conversation { is_foreign: true, ..Conversation::between(from, to) }
        });
        let heading = |connection| Heading {
            since: time.saturating_sub(began),
            time: UNIX_EPOCH + time,
            connection,
        };
        conversation.segment(&segment, &self.style, &mut self.shown, heading, out);
    }
}

impl Conversation {
    fn between(client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            client,
            server,
            number: None,
            observer: Observer::default(),
            flows: Default::default(),
            is_foreign: false,
        }
    }

    fn segment(
        &mut self,
        segment: &Segment<'_>,
        style: &TrafficStyle,
        shown: &mut u64,
        heading: impl Fn(u64) -> Heading,
        out: &mut Vec<u8>,
    ) {
        if self.is_foreign {
            return;
        }
        let side = if segment.from == self.client { Side::Connecting } else { Side::Binding };
        let flow = match side {
            Side::Connecting => &mut self.flows[0],
            Side::Binding => &mut self.flows[1],
        };
        let observer = &mut self.observer;
        let ended = flow.take(segment, |octets| observer.feed(side, octets));
        while let Some(Observation { side, position, said, .. }) = self.observer.poll() {
            if self.number.is_none() {
                if matches!(said, Said::Broken(_)) {
                    // The capture may have many other protocols.
                    self.is_foreign = true;
                    return;
                }
                *shown += 1;
                self.number = Some(*shown);
                let note = format!("{} → {}", self.client, self.server);
                style.push_note(heading(*shown), &note, out);
            }
            let number = self.number.unwrap_or_default();
            style.push(heading(number), side, position, &said, out);
        }
        if let (Some(ended), Some(number)) = (ended, self.number) {
            let waiting = self.observer.waiting(side);
            let how = match waiting {
                0 => ended.to_owned(),
                waiting => format!(
                    "{ended}, with {} of an unfinished frame",
                    counted(waiting as u64, "octet")
                ),
            };
            style.push_end(heading(number), side, &how, out);
        }
    }
}
