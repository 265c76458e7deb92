//! Counts the IP packets that a peer's link brings. What the machine's kernel sends by itself to
//! keep a link alive (ARP, neighbour and router discovery, MLD) is no program's packet and no leak.

use std::io;
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

/// A packet socket and what it has seen.
#[derive(Debug)]
pub struct Capture {
    socket: Arc<OwnedFd>,
    tally: Arc<Mutex<Tally>>,
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
        let capture = Self { socket: Arc::new(socket), tally: Arc::default() };
        let (socket, tally) = (Arc::clone(&capture.socket), Arc::clone(&capture.tally));
        std::thread::spawn(move || {
            loop {
                let mut wait = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
                // EINTR or a spurious wake-up: drain finds nothing and the loop goes on.
                let _ = poll(&mut wait, PollTimeout::NONE);
                drain(&socket, &mut tally.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
        Ok(capture)
    }

    /// What came since the last call, with what was served meanwhile.
    pub fn take(&self, served: Vec<String>) -> io::Result<Tally> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        drain(&self.socket, &mut tally);
        tally.served = served;
        tally.unseen = dropped(&self.socket)?;
        Ok(std::mem::take(&mut *tally))
    }
}

/// Reads all that is there.
fn drain(socket: &OwnedFd, tally: &mut Tally) {
    // 64 bytes hold both IP headers and the ports; the rest of a packet is nobody's business.
    let mut head = [0; 64];
    loop {
        match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut head) {
            Ok((length, Some(from))) if from.ifindex() != LOOPBACK && from.pkttype() != OUTGOING => {
                let packet = &head[..length.min(head.len())];
                if let Some(flow) = flow(u16::from_be(from.protocol()), packet) {
                    *tally.flows.entry(flow).or_default() += 1;
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
fn flow(ethertype: u16, packet: &[u8]) -> Option<String> {
    match i32::from(ethertype) {
        libc::ETH_P_IP => flow_v4(packet),
        libc::ETH_P_IPV6 => flow_v6(packet),
        _ => None,
    }
}

fn flow_v4(packet: &[u8]) -> Option<String> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    Some(describe(*packet.get(9)?, &std::net::Ipv4Addr::from(to).to_string(), packet.get(header..)?))
}

fn flow_v6(packet: &[u8]) -> Option<String> {
    let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
    let (next, rest) = (*packet.get(6)?, packet.get(40..)?);
    // MLD reports come behind a hop-by-hop header; 130..=137 and 143 are MLD and neighbour discovery.
    let (next, rest) = if next == 0 { (*rest.first()?, rest.get(8..)?) } else { (next, rest) };
    if i32::from(next) == libc::IPPROTO_ICMPV6 && matches!(rest.first()?, 130..=137 | 143) {
        return None;
    }
    Some(describe(next, &std::net::Ipv6Addr::from(to).to_string(), rest))
}

fn describe(protocol: u8, to: &str, payload: &[u8]) -> String {
    let name = match i32::from(protocol) {
        libc::IPPROTO_TCP => "tcp",
        libc::IPPROTO_UDP => "udp",
        libc::IPPROTO_SCTP => "sctp",
        libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6 => return format!("icmp {to}"),
        other => return format!("protocol-{other} {to}"),
    };
    match payload.get(2..4) {
        Some(&[high, low]) => format!("{name} {to} {}", u16::from_be_bytes([high, low])),
        _ => format!("{name} {to}"),
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
