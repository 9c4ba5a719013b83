//! Who is calling, past the proxies that are ours.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the last hop of the connection and `X-Forwarded-For` that is not a trusted proxy.
///
/// A hop that is no address ends the chain: what stands before it could be anyone's invention.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let trusts = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !trusts(&peer) {
        return peer;
    }
    let mut client = peer;
    let lines: Vec<&str> = headers
        .get_all(&FORWARDED_FOR)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = address(hop.trim()) else {
            break;
        };
        client = address;
        if !trusts(&client) {
            break;
        }
    }
    client
}

/// An address with or without a port.
fn address(hop: &str) -> Option<IpAddr> {
    let parsed = hop
        .parse::<IpAddr>()
        .ok()
        .or_else(|| {
            hop.parse::<std::net::SocketAddr>()
                .ok()
                .map(|address| address.ip())
        })
        .or_else(|| {
            hop.strip_prefix('[')?
                .strip_suffix(']')?
                .parse::<Ipv6Addr>()
                .ok()
                .map(IpAddr::V6)
        });
    parsed.map(|address| address.to_canonical())
}

/// What counts as one client for limits: an IPv4 address, or the /64 of an IPv6 one.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(&FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted
            .iter()
            .map(|network| network.parse().unwrap())
            .collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_not_ours() {
        let ours = &["10.0.0.0/8", "fd00::/8"];
        assert_eq!(client_of("198.51.100.1", &["1.1.1.1"], &[]), "198.51.100.1");
        assert_eq!(
            client_of("198.51.100.1", &["1.1.1.1"], ours),
            "198.51.100.1"
        );
        assert_eq!(
            client_of("10.0.0.1", &["6.6.6.6, 1.1.1.1"], ours),
            "1.1.1.1"
        );
        assert_eq!(
            client_of("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"], ours),
            "1.1.1.1"
        );
        assert_eq!(
            client_of("10.0.0.1", &["6.6.6.6", "1.1.1.1", "10.0.0.2"], ours),
            "1.1.1.1"
        );
        assert_eq!(
            client_of("10.0.0.1", &["1.1.1.1, nonsense, 10.0.0.2"], ours),
            "10.0.0.2"
        );
        assert_eq!(client_of("10.0.0.1", &[], ours), "10.0.0.1");
        assert_eq!(
            client_of("::ffff:10.0.0.1", &["1.1.1.1:443"], ours),
            "1.1.1.1"
        );
        assert_eq!(
            client_of("fd00::1", &["[2001:db8::5]:80"], ours),
            "2001:db8::5"
        );
    }

    #[test]
    fn ipv6_counts_by_its_network() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
