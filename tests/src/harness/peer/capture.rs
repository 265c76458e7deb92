//! Counts the IP packets that a peer's link brings. What the machine's kernel sends by itself to
//! keep a link alive (ARP, neighbour and router discovery, MLD) is no program's packet and no leak.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
};

use super::wire::Tally;

/// `lo`'s index, the same in every network namespace.
const LOOPBACK: usize = 1;
/// `sll_pkttype` of what this host itself sent (linux/if_packet.h).
const OUTGOING: u8 = 4;
/// Of a TCP header's flags.
const SYN: u8 = 2;

/// A packet socket and what it has seen.
#[derive(Debug)]
pub struct Capture {
    socket: Arc<OwnedFd>,
    view: Arc<Mutex<View>>,
}

/// The packets since the last call, and the TCP connections before it.
#[derive(Debug, Default)]
struct View {
    tally: Tally,
    begun: HashSet<Connection>,
    earlier: HashSet<Connection>,
}

/// A TCP connection as its packets name it: the address it goes to, and both ports.
type Connection = (IpAddr, [u8; 4]);

/// One packet.
#[derive(Debug, PartialEq, Eq)]
struct Packet {
    /// What it is: `udp 192.0.2.53 53`.
    flow: String,
    /// Its connection, where it is TCP's.
    connection: Option<Connection>,
    /// It begins that connection: SYN.
    is_first: bool,
}

impl View {
    fn count(&mut self, packet: Packet) {
        if let Some(connection) = packet.connection {
            if packet.is_first {
                self.earlier.remove(&connection);
                self.begun.insert(connection);
            } else if self.earlier.contains(&connection) {
                *self.tally.late.entry(packet.flow.clone()).or_default() += 1;
            }
        }
        *self.tally.flows.entry(packet.flow).or_default() += 1;
    }

    fn take(&mut self) -> Tally {
        self.earlier.extend(self.begun.drain());
        std::mem::take(&mut self.tally)
    }
}

impl Capture {
    /// Starts to count.
    pub fn start() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Packet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::EthAll,
        )?;
        // Room for a burst between two turns of the thread below; anything lost shows in `unseen`.
        setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20))?;
        let capture = Self { socket: Arc::new(socket), view: Arc::default() };
        let (socket, view) = (Arc::clone(&capture.socket), Arc::clone(&capture.view));
        std::thread::spawn(move || {
            loop {
                let mut wait = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
                // EINTR or a spurious wake-up: drain finds nothing and the loop goes on.
                let _ = poll(&mut wait, PollTimeout::NONE);
                drain(&socket, &mut view.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
        Ok(capture)
    }

    /// What came since the last call, with what was served meanwhile.
    pub fn take(&self, served: Vec<String>) -> io::Result<Tally> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        drain(&self.socket, &mut view);
        view.tally.served = served;
        view.tally.unseen = dropped(&self.socket)?;
        Ok(view.take())
    }
}

/// Reads all that is there.
fn drain(socket: &OwnedFd, view: &mut View) {
    // 64 bytes hold both IP headers and the ports; the rest of a packet is nobody's business.
    let mut head = [0; 64];
    loop {
        match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut head) {
            Ok((length, Some(from))) if from.ifindex() != LOOPBACK && from.pkttype() != OUTGOING => {
                let packet = &head[..length.min(head.len())];
                if let Some(packet) = recognise(u16::from_be(from.protocol()), packet) {
                    view.count(packet);
                }
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// How many packets the kernel had to drop from the socket's buffer since the last call.
fn dropped(socket: &OwnedFd) -> io::Result<u64> {
    // struct tpacket_stats: packets, drops.
    let mut statistics = [0u32; 2];
    let mut length = size_of_val(&statistics) as libc::socklen_t;
    // SAFETY: the pointers are to live locals, and `length` says how many bytes the first one has.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            statistics.as_mut_ptr().cast(),
            &mut length,
        )
    };
    Errno::result(result)?;
    Ok(u64::from(statistics[1]))
}

/// What a packet is, or nothing for the kernel's own link keeping.
fn recognise(ethertype: u16, packet: &[u8]) -> Option<Packet> {
    match i32::from(ethertype) {
        libc::ETH_P_IP => recognise_v4(packet),
        libc::ETH_P_IPV6 => recognise_v6(packet),
        _ => None,
    }
}

fn recognise_v4(packet: &[u8]) -> Option<Packet> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    Some(describe(*packet.get(9)?, IpAddr::from(to), packet.get(header..)?))
}

fn recognise_v6(packet: &[u8]) -> Option<Packet> {
    let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
    let (next, rest) = (*packet.get(6)?, packet.get(40..)?);
    // MLD reports come behind a hop-by-hop header; 130..=137 and 143 are MLD and neighbour discovery.
    let (next, rest) = if next == 0 { (*rest.first()?, rest.get(8..)?) } else { (next, rest) };
    if i32::from(next) == libc::IPPROTO_ICMPV6 && matches!(rest.first()?, 130..=137 | 143) {
        return None;
    }
    Some(describe(next, IpAddr::from(to), rest))
}

fn describe(protocol: u8, to: IpAddr, payload: &[u8]) -> Packet {
    let name = match i32::from(protocol) {
        libc::IPPROTO_TCP => "tcp",
        libc::IPPROTO_UDP => "udp",
        libc::IPPROTO_SCTP => "sctp",
        libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6 => return Packet::other(format!("icmp {to}")),
        other => return Packet::other(format!("protocol-{other} {to}")),
    };
    let &[from_high, from_low, high, low, ref rest @ ..] = payload else {
        return Packet::other(format!("{name} {to}"));
    };
    let flow = format!("{name} {to} {}", u16::from_be_bytes([high, low]));
    if name != "tcp" {
        return Packet::other(flow);
    }
    let flags = rest.get(9).copied().unwrap_or(0);
    Packet { flow, connection: Some((to, [from_high, from_low, high, low])), is_first: flags & SYN != 0 }
}

impl Packet {
    fn other(flow: String) -> Self {
        Self { flow, connection: None, is_first: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 20];
        (packet[0], packet[9]) = (0x45, protocol);
        packet[16..20].copy_from_slice(&[192, 0, 2, 53]);
        packet.extend_from_slice(payload);
        packet
    }

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        (packet[0], packet[6], packet[39]) = (0x60, next, 1);
        packet.extend_from_slice(payload);
        packet
    }

    fn flow(ethertype: u16, packet: &[u8]) -> Option<String> {
        recognise(ethertype, packet).map(|packet| packet.flow)
    }

    /// A TCP packet from this port to port 80.
    fn tcp(from: u8, flags: u8) -> Packet {
        let mut header = [0; 20];
        (header[1], header[3], header[13]) = (from, 80, flags);
        recognise(0x0800, &v4(6, &header)).expect("a packet")
    }

    #[test]
    fn packets_of_a_connection_that_began_earlier_are_late_until_it_begins_again() {
        let mut view = View::default();
        let mut late = |packets: &[(u8, u8)]| {
            packets.iter().for_each(|(from, flags)| view.count(tcp(*from, *flags)));
            let tally = view.take();
            (tally.packets(), tally.own().packets())
        };
        assert_eq!(late(&[(5, SYN), (5, 16)]), (2, 2));
        assert_eq!(late(&[(5, 4), (6, 16)]), (2, 1));
        assert_eq!(late(&[(5, SYN), (5, 16)]), (2, 2));
    }

    #[test]
    fn a_query_is_named_by_protocol_address_and_port() {
        let packet = v4(17, &[0x30, 0x39, 0, 53, 0, 8, 0, 0]);
        assert_eq!(flow(0x0800, &packet).as_deref(), Some("udp 192.0.2.53 53"));
    }

    #[test]
    fn neighbour_discovery_mld_and_arp_are_not_counted() {
        assert_eq!(flow(0x86dd, &v6(58, &[135, 0, 0, 0])), None);
        assert_eq!(flow(0x86dd, &v6(0, &[58, 0, 5, 2, 0, 0, 1, 0, 143, 0])), None);
        assert_eq!(flow(0x0806, &[0; 28]), None);
    }

    #[test]
    fn an_echo_request_is_counted_in_both_families() {
        assert_eq!(flow(0x0800, &v4(1, &[8, 0, 0, 0])).as_deref(), Some("icmp 192.0.2.53"));
        assert_eq!(flow(0x86dd, &v6(58, &[128, 0, 0, 0])).as_deref(), Some("icmp ::1"));
    }
}
