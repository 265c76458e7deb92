//! dhclient's leases (dhclient.leases(5)): the last of an interface, while it lasts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::etc::given::Given;
use crate::etc::given::server::{Server, domain};
use crate::vrf::ports::Port;

/// What one lease says.
#[derive(Default)]
struct Lease<'a> {
    interface: &'a str,
    servers: Vec<&'a str>,
    domains: Vec<&'a str>,
    expire: &'a str,
}

/// Adds what the interface's last lease gives it.
pub fn read(text: &str, port: &Port, now: SystemTime, given: &mut Given) {
    let Some(lease) = last(text, &port.name).filter(|lease| !is_over(lease.expire, now)) else { return };
    let servers = lease.servers.iter().filter_map(|word| Server::parse(word, port));
    given.add(servers, lease.domains.iter().filter_map(|word| domain(word)), port);
}

/// One whose end was not written is none.
fn last<'a>(text: &'a str, interface: &str) -> Option<Lease<'a>> {
    let (mut last, mut open) = (None, None);
    for line in text.lines().map(str::trim) {
        match line {
            "lease {" => open = Some(Lease::default()),
            "}" => last = open.take().filter(|lease: &Lease| lease.interface == interface).or(last),
            statement => {
                if let (Some(lease), Some((statement, _))) = (&mut open, statement.split_once(';')) {
                    lease.take(statement);
                }
            }
        }
    }
    last
}

impl<'a> Lease<'a> {
    fn take(&mut self, statement: &'a str) {
        let (key, value) = statement.strip_prefix("option ").unwrap_or(statement).split_once(' ').unwrap_or_default();
        match key {
            "interface" => self.interface = unquoted(value),
            "expire" => self.expire = value,
            "domain-name-servers" => self.servers = value.split(',').map(str::trim).collect(),
            // Servers put several names into it, as they would stand in resolv.conf(5).
            "domain-name" => self.domains.extend(unquoted(value).split(' ')),
            "domain-search" => self.domains.extend(value.split(',').map(|word| unquoted(word.trim()))),
            _ => {}
        }
    }
}

fn unquoted(word: &str) -> &str {
    word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or_default()
}

/// `never`, `epoch SECONDS`, or `WEEKDAY YEAR/MONTH/DAY HOUR:MINUTE:SECOND`, in UTC. What is neither is over.
fn is_over(expire: &str, now: SystemTime) -> bool {
    let words: Vec<&str> = expire.split_whitespace().collect();
    let end = match words[..] {
        ["never"] => return false,
        ["epoch", seconds] => seconds.parse().ok(),
        [_, date, time] => seconds_of(date, time),
        _ => None,
    };
    let end = end.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    end.is_none_or(|end| end <= now)
}

fn seconds_of(date: &str, time: &str) -> Option<u64> {
    let [year, month, day] = numbers(date, '/')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let is_fit = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_fit = is_fit && hour < 24 && minute < 60 && second < 61;
    if !is_fit {
        return None;
    }
    // Days since 1970, the year beginning in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    Some(days.checked_sub(719_469)? * 86_400 + hour * 3600 + minute * 60 + second)
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split(separator).map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptests;

    fn port(name: &str) -> Port {
        Port { ifindex: 3, name: name.into() }
    }

    /// What is read 1000 seconds into 1970.
    fn servers(text: &str, name: &str) -> String {
        let mut given = Given::new("dhclient");
        read(text, &port(name), UNIX_EPOCH + Duration::from_secs(1000), &mut given);
        given.text()
    }

    const LEASES: &str = "default-duid \"x\";\n\
        lease {\n  interface \"eth0\";\n  option domain-name-servers 192.0.2.1;\n  expire never;\n}\n\
        lease {\n  interface \"eth0\";\n  option domain-name-servers 192.0.2.53, 192.0.2.54;\n  \
        option domain-name \"example.com\";\n  expire 4 1970/01/01 00:16:41;\n}\n\
        lease {\n  interface \"eth1\";\n  option domain-name-servers 192.0.2.7;\n  expire 4 1970/01/01 00:16:40;\n}\n\
        lease {\n  interface \"eth0\";\n  option domain-name-servers 192.0.2.99;\n";

    #[test]
    fn the_last_whole_lease_of_the_interface_counts() {
        let text = "nameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch example.com\n";
        assert_eq!(servers(LEASES, "eth0"), text);
        assert_eq!(servers(LEASES, "eth2"), "");
    }

    #[test]
    fn a_lease_that_is_over_gives_nothing() {
        assert_eq!(servers(LEASES, "eth1"), "");
        let now = UNIX_EPOCH + Duration::from_secs(1_732_838_400);
        for (expire, over) in [
            ("5 2024/11/29 00:00:00", true),
            ("5 2024/11/29 00:00:01", false),
            ("4 2024/02/29 23:59:59", true),
            ("epoch 1732838401", false),
            ("epoch 1732838400", true),
            ("4 0/1/1 0:0:0", true),
            ("4 18446744073709551615/1/1 0:0:0", true),
            ("never", false),
            ("", true),
            ("4 2030/13/01 00:00:00", true),
            ("4 99999999999999999999/1/1 0:0:0", true),
        ] {
            assert_eq!(is_over(expire, now), over, "{expire}");
        }
    }

    #[test]
    fn no_leases_make_a_panic() {
        const WORDS: [&str; 12] = [
            "lease {\n",
            "}\n",
            "interface \"eth0\";\n",
            "option domain-name-servers ",
            "192.0.2.53",
            ", ",
            ";\n",
            "expire ",
            "4 1970/01/01 ",
            "99:99:99",
            "epoch 18446744073709551615",
            "option domain-search \"",
        ];
        proptests::check(proptests::text_of(&WORDS), |text| {
            let lines = servers(&text, "eth0");
            assert!(lines.lines().all(|line| line.starts_with("nameserver ") || line.starts_with("search ")));
        });
    }
}
