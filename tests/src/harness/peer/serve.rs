//! HTTP, DNS, echo and the time, each on every service address, each answering with the domain's name.
//! Bound address by address: an answer over UDP must come from the address that was asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{dns, ntp};
use crate::harness::world::plan::{DNS4, DNS6, ECHO_PORT, WEB4, WEB6};

/// What was asked and answered, in order.
pub type Served = Arc<Mutex<Vec<String>>>;

const HTTP_PORT: u16 = 80;
const DNS_PORT: u16 = 53;
const NTP_PORT: u16 = 123;

/// Takes the list, leaving an empty one.
pub fn take(served: &Served) -> Vec<String> {
    std::mem::take(&mut *served.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Starts every service. One thread waits for all of them: a world is made for each test, and threads take time.
pub fn start(domain: &str, served: &Served) -> io::Result<()> {
    let answers: [(u16, Answer); 3] = [(HTTP_PORT, http), (DNS_PORT, dns_tcp), (ECHO_PORT, echo_tcp)];
    let addresses: [IpAddr; 4] = [WEB4.into(), WEB6.into(), DNS4.into(), DNS6.into()];
    let mut services = Vec::new();
    for address in addresses {
        for (port, answer) in answers {
            let listener = TcpListener::bind(SocketAddr::new(address, port))?;
            listener.set_nonblocking(true)?;
            services.push(Service::Tcp(listener, answer));
        }
        for port in [DNS_PORT, ECHO_PORT, NTP_PORT] {
            let socket = UdpSocket::bind(SocketAddr::new(address, port))?;
            socket.set_nonblocking(true)?;
            services.push(Service::Udp(socket, port));
        }
    }
    let (domain, served) = (domain.to_owned(), Arc::clone(served));
    std::thread::spawn(move || {
        loop {
            for service in ready(&services) {
                match service {
                    Service::Tcp(listener, answer) => tcp(listener, *answer, &domain, &served),
                    Service::Udp(socket, port) => udp(socket, *port, &domain, &served),
                }
            }
        }
    });
    Ok(())
}

/// One port on one address.
enum Service {
    Tcp(TcpListener, Answer),
    Udp(UdpSocket, u16),
}

/// Answers one connection and says what it answered.
type Answer = fn(TcpStream, &str) -> io::Result<String>;

/// Waits until somebody asks.
fn ready(services: &[Service]) -> impl Iterator<Item = &Service> {
    let mut wait: Vec<PollFd> =
        services.iter().map(|service| PollFd::new(service.as_fd(), PollFlags::POLLIN)).collect();
    // EINTR: none is ready, and the loop goes on.
    let _ = poll(&mut wait, PollTimeout::NONE);
    let asked: Vec<bool> = wait.iter().map(|one| one.any().unwrap_or(false)).collect();
    services.iter().zip(asked).filter_map(|(service, is_asked)| is_asked.then_some(service))
}

impl AsFd for Service {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener, _) => listener.as_fd(),
            Self::Udp(socket, _) => socket.as_fd(),
        }
    }
}

/// Each connection has its thread.
fn tcp(listener: &TcpListener, answer: Answer, domain: &str, served: &Served) {
    while let Ok((stream, _)) = listener.accept() {
        let (domain, served) = (domain.to_owned(), Arc::clone(served));
        std::thread::spawn(move || {
            // A client that goes away in the middle was not served; that is its own affair. One that says nothing has all
            // the time of its test: a test may want the connection for as long as it looks at it.
            if let Ok(line) = answer(stream, &domain) {
                note(&served, line);
            }
        });
    }
}

fn udp(socket: &UdpSocket, port: u16, domain: &str, served: &Served) {
    let mut message = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut message) {
        let (line, reply) = match port {
            DNS_PORT => match dns::answer(&message[..length], domain) {
                Some(reply) => (format!("dns {}", reply.name), reply.message),
                None => continue,
            },
            NTP_PORT => match ntp::answer(&message[..length], now()) {
                Some(reply) => ("ntp".to_owned(), reply),
                None => continue,
            },
            _ => ("echo".to_owned(), format!("{domain}\n").into_bytes()),
        };
        note(served, line);
        // The asker may be gone; what it asked is in the list all the same.
        let _ = socket.send_to(&reply, from);
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn http(mut stream: TcpStream, domain: &str) -> io::Result<String> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    write!(
        stream,
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{domain}\n",
        domain.len() + 1
    )?;
    Ok(format!("http {}", request.split(' ').nth(1).unwrap_or_default()))
}

fn dns_tcp(mut stream: TcpStream, domain: &str) -> io::Result<String> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut query)?;
    let reply = dns::answer(&query, domain).ok_or(io::ErrorKind::InvalidData)?;
    stream.write_all(&(reply.message.len() as u16).to_be_bytes())?;
    stream.write_all(&reply.message)?;
    Ok(format!("dns {}", reply.name))
}

/// Greets with the domain's name, then returns what it is sent until the client stops.
fn echo_tcp(mut stream: TcpStream, domain: &str) -> io::Result<String> {
    writeln!(stream, "{domain}")?;
    io::copy(&mut stream.try_clone()?, &mut stream)?;
    Ok("echo".to_owned())
}

fn note(served: &Served, line: String) {
    served.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}
