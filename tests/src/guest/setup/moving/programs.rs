//! What is moved.

/// Listens by TCP at 4001 (IPv4), 4002 (IPv6) and 4003 (both), answers by UDP at 4004 and 4005. SIGUSR1: sends by an
/// unconnected UDP, a ping and a raw socket that it has had from the beginning; SIGUSR2: by a new UDP socket, which it keeps.
pub const DAEMON: &str = "
import select, signal, socket as S, struct, sys
def made(family, kind, port, only=0):
    s = S.socket(family, kind); s.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1)
    if family == S.AF_INET6: s.setsockopt(S.IPPROTO_IPV6, S.IPV6_V6ONLY, only)
    s.bind(('::' if family == S.AF_INET6 else '0.0.0.0', port))
    if kind == S.SOCK_STREAM: s.listen(8)
    return s
T, U, V4, V6 = S.SOCK_STREAM, S.SOCK_DGRAM, S.AF_INET, S.AF_INET6
all = [made(V4, T, 4001), made(V6, T, 4002, 1), made(V6, T, 4003), made(V4, U, 4004), made(V6, U, 4005, 1)]
listeners, kept = all[:3], []
udp, ping, raw = S.socket(V4, U), S.socket(V4, U, S.IPPROTO_ICMP), S.socket(V4, S.SOCK_RAW, 253)
def old(*_):
    udp.sendto(b'x', ('192.0.2.80', 7)); raw.sendto(b'x', ('192.0.2.80', 0))
    ping.sendto(struct.pack('!BBHHH', 8, 0, 0, 0, 1), ('192.0.2.80', 0)); print('sent', flush=True)
def new(*_):
    kept.append(S.socket(V4, U)); kept[-1].sendto(b'x', ('192.0.2.80', 7)); print('sent', flush=True)
signal.signal(signal.SIGUSR1, old); signal.signal(signal.SIGUSR2, new)
print('up', flush=True)
while True:
    for s in select.select(all, [], [])[0]:
        if s in listeners: c = s.accept()[0]; c.sendall(b'hello'); all.append(c)
        elif s.type == U: s.sendto(*s.recvfrom(99))
        else:
            try: data = s.recv(99)
            except OSError: data = b''
            if data: s.sendall(data)
            else: all.remove(s); s.close()
";

/// Says which of the ports answer.
pub const CLIENT: &str = "
import socket as S, sys
for port in range(4001, 4006):
    address = sys.argv[2] if port in (4002, 4005) else sys.argv[1]
    s = S.socket(S.AF_INET6 if ':' in address else S.AF_INET, S.SOCK_DGRAM if port > 4003 else S.SOCK_STREAM)
    s.settimeout(60)
    try:
        s.connect((address, port))
        if port > 4003: s.send(b'hello')
        assert s.recv(99) == b'hello'; print(port, end=' ')
    except ConnectionRefusedError: pass
";

/// Keeps a connection, and says how it ends.
pub const HOLDER: &str = "
import socket as S, sys, time
s = S.create_connection((sys.argv[1], 4001)); s.recv(99); print('on', flush=True)
try:
    while True: s.sendall(b'x'); assert s.recv(99); print('.', end='', flush=True); time.sleep(0.2)
except ConnectionError as error: print(error.strerror)
";

/// Children without end, each of which sends by a socket of its own; the first one lives on.
pub const FORKS: &str = "
import os, socket as S, time
def send(): s = S.socket(S.AF_INET, S.SOCK_DGRAM); s.sendto(b'x', ('192.0.2.80', 7)); time.sleep(0.05)
if os.fork() == 0:
    while True: send()
print('up', flush=True)
while True:
    if os.fork() == 0: send(); os._exit(0)
    time.sleep(0.02)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
";

/// A packet socket, one that is bound to a device by its own wish, one of another network namespace, and one of SCTP.
pub const ODD: &str = "
import ctypes, os, socket as S, time
own = os.open('/proc/self/ns/net', os.O_RDONLY); assert ctypes.CDLL(None).unshare(0x40000000) == 0
foreign = S.socket(S.AF_INET, S.SOCK_DGRAM); assert ctypes.CDLL(None).setns(own, 0) == 0
packet, bound = S.socket(S.AF_PACKET, S.SOCK_RAW, 0), S.socket(S.AF_INET, S.SOCK_DGRAM)
bound.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, b'eth0')
print('up', flush=True); time.sleep(600)
";
