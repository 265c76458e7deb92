//! What a program inside sends in a second (iperf3), beside the same outside any VRF: after `socket` nothing of ours
//! stands in a packet's way.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::tell;
use super::timing::quiet;

const SERVER: &str = "192.0.2.80";
const SECONDS: &str = "3";
/// Name, domain, and what stands before the program.
const WAYS: [(&str, &[&str]); 5] = [
    ("outside", &[]),
    ("ip_vrf_exec", &["ip", "vrf", "exec", "blue"]),
    ("bpf", &["vrfrun", "-m", "bpf", "blue"]),
    ("preload", &["vrfrun", "-m", "preload", "blue"]),
    ("seccomp", &["vrfrun", "-m", "seccomp", "blue"]),
];

/// Measures it: nanoseconds for a megabit.
pub fn measure() -> io::Result<()> {
    let _servers = [Server::beside("default")?, Server::beside("blue")?];
    for (name, before) in WAYS {
        let words = [before, &["iperf3", "-c", SERVER, "-t", SECONDS, "-O", "1", "-J"]].concat();
        let mut child = quiet(&words)?.stdout(Stdio::piped()).spawn()?;
        let mut text = String::new();
        child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?.read_to_string(&mut text)?;
        child.wait()?;
        let rate = bits_per_second(&text).ok_or_else(|| io::Error::other(format!("{words:?} said {text}")))?;
        tell(&format!("throughput.{name}"), 1e15 / rate);
    }
    Ok(())
}

fn bits_per_second(report: &str) -> Option<f64> {
    let report: Value = serde_json::from_str(report).ok()?;
    report["end"]["sum_received"]["bits_per_second"].as_f64().filter(|rate| *rate > 0.0)
}

/// A server in the namespace of a domain's peer; ends with this value.
struct Server(Child, #[expect(dead_code, reason = "it ends who writes where nobody reads")] BufReader<ChildStdout>);

impl Server {
    fn beside(domain: &str) -> io::Result<Self> {
        let peer = format!("exec nsenter -n -t $(pgrep -f 'vrfpeer {domain}$') iperf3 -s --forceflush");
        let mut server = Command::new("sh").args(["-c", &peer]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(server.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let mut line = String::new();
        while !line.contains("Server listening") {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                return Err(io::Error::other("iperf3's server has ended"));
            }
        }
        Ok(Self(server, said))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is as good as killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_the_server_received() {
        let report = r#"{"end": {"sum_sent": {"bits_per_second": 3}, "sum_received": {"bits_per_second": 2.5e6}}}"#;
        assert_eq!(bits_per_second(report), Some(2.5e6));
        assert_eq!(bits_per_second(r#"{"error": "unable to connect"}"#), None);
    }
}
