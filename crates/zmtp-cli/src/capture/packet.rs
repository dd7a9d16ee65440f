//! Finds the TCP segment in a packet.

use std::net::SocketAddr;

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_parser::Linktype;

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    pub(super) syn: bool,
    pub(super) ack: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The segment in a packet that was captured on a link of this type, if there is one.
    pub(super) fn of(link: Linktype, octets: &'a [u8]) -> Option<Self> {
        let packet = match link {
            Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(octets).ok()?,
            // The first four octets are the address family, which the packet shows too.
            Linktype::NULL | Linktype::LOOP => LaxSlicedPacket::from_ip(octets.get(4..)?).ok()?,
            Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => {
                LaxSlicedPacket::from_ip(octets).ok()?
            }
            // Linux's header for the interface "any". It ends with the type of the payload,
            Linktype::LINUX_SLL => ether(octets, 14, 16)?,
            // or, in its second form, at its beginning.
            Linktype::LINUX_SLL2 => ether(octets, 0, 20)?,
            _ => return None,
        };
        let (from, to) = match packet.net.as_ref()? {
            LaxNetSlice::Ipv4(ip) => {
                let header = ip.header();
                (header.source_addr().into(), header.destination_addr().into())
            }
            LaxNetSlice::Ipv6(ip) => {
                let header = ip.header();
                (header.source_addr().into(), header.destination_addr().into())
            }
            LaxNetSlice::Arp(_) => return None,
        };
        let TransportSlice::Tcp(tcp) = packet.transport? else { return None };
        Some(Self {
            from: SocketAddr::new(from, tcp.source_port()),
            to: SocketAddr::new(to, tcp.destination_port()),
            sequence: tcp.sequence_number(),
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            payload: tcp.payload(),
        })
    }
}

fn ether(octets: &[u8], kind_at: usize, len: usize) -> Option<LaxSlicedPacket<'_>> {
    let kind = octets.get(kind_at..)?.first_chunk()?;
    let kind = EtherType(u16::from_be_bytes(*kind));
    Some(LaxSlicedPacket::from_ether_type(kind, octets.get(len..)?))
}
