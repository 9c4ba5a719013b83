//! How often signing in may be tried: per client address, and per init data (security.md, "brute force").

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter, clock::Clock as GovernorClock, middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

use super::proxies::network;
use crate::{clock::Clock, config::Config};

const MINUTE: Duration = Duration::from_secs(60);
/// After how many checks the keys that are free again are forgotten.
const SWEEP: u32 = 4_096;

/// The injected clock, as governor reads it: time since 1970.
#[derive(Clone, Debug)]
struct Injected(Clock);

impl GovernorClock for Injected {
    type Instant = Duration;

    fn now(&self) -> Duration {
        u64::try_from(self.0.now().as_microsecond()).map_or(Duration::ZERO, Duration::from_micros)
    }
}

/// One limit over many keys.
struct Limit {
    name: &'static str,
    quota: u32,
    window: Duration,
    limiter: RateLimiter<Key, DashMapStateStore<Key>, Injected, StateInformationMiddleware>,
    checks: std::sync::atomic::AtomicU32,
}

type Key = [u8; 32];

/// What a limit says of a request, for its `RateLimit` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    name: &'static str,
    quota: u32,
    window: Duration,
    remaining: u32,
    /// How long until it is allowed, when it is not.
    retry_after: Option<Duration>,
}

impl Standing {
    /// How long to wait; nothing for a request that may pass.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Writes `RateLimit-Policy`, `RateLimit` (draft-ietf-httpapi-ratelimit-headers) and, when refused, `Retry-After`.
    pub fn write(&self, headers: &mut HeaderMap) {
        let reset = self.retry_after.map_or(0, whole_seconds);
        let policy = format!(
            "\"{}\";q={};w={}",
            self.name,
            self.quota,
            self.window.as_secs()
        );
        let standing = format!("\"{}\";r={};t={reset}", self.name, self.remaining);
        let pairs = [("ratelimit-policy", policy), ("ratelimit", standing)];
        for (name, value) in pairs {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        if let Some(after) = self.retry_after {
            headers.insert(http::header::RETRY_AFTER, whole_seconds(after).into());
        }
    }
}

/// Seconds, begun ones counted, at least one.
pub fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

impl Limit {
    fn new(name: &'static str, quota: u32, window: Duration, refill: Quota, clock: &Clock) -> Self {
        let limiter = RateLimiter::new(
            refill,
            DashMapStateStore::default(),
            Injected(clock.clone()),
        );
        Self {
            name,
            quota,
            window,
            limiter,
            checks: 0.into(),
        }
    }

    fn check(&self, key: Key) -> Standing {
        if self
            .checks
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            % SWEEP
            == SWEEP - 1
        {
            self.limiter.retain_recent();
        }
        let (remaining, retry_after) = match self.limiter.check_key(&key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refused) => {
                let wait = refused.wait_time_from(self.limiter.clock().now());
                (0, Some(wait))
            }
        };
        let Self {
            name,
            quota,
            window,
            ..
        } = *self;
        Standing {
            name,
            quota,
            window,
            remaining,
            retry_after,
        }
    }
}

/// The limits on signing in.
pub struct RateLimits {
    sign_in: Limit,
    init_data: Limit,
    account: Limit,
    refresh: Limit,
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

fn per_minute(count: u32) -> Quota {
    Quota::per_minute(at_least_one(count))
}

impl RateLimits {
    /// As the settings say, on this clock.
    pub fn new(config: &Config, clock: &Clock) -> Self {
        let limits = &config.sign_in_limits;
        // One more after the whole life of an init data, that is: none while it lives.
        let life = config.telegram_max_age.max(Duration::from_secs(1));
        let once = Quota::with_period(life)
            .unwrap_or(Quota::per_hour(NonZeroU32::MIN))
            .allow_burst(at_least_one(limits.per_init_data));
        let address = limits.per_address_per_minute;
        let refreshes = limits.refreshes_per_minute;
        Self {
            sign_in: Limit::new("sign-in", address, MINUTE, per_minute(address), clock),
            account: Limit::new(
                "account",
                limits.per_account_per_minute,
                MINUTE,
                per_minute(limits.per_account_per_minute),
                clock,
            ),
            init_data: Limit::new("init-data", limits.per_init_data, life, once, clock),
            refresh: Limit::new("refresh", refreshes, MINUTE, per_minute(refreshes), clock),
        }
    }

    /// Counts a sign-in with this init data from this address; answers the limit that says most.
    pub fn sign_in(&self, address: Option<IpAddr>, init_data: &str) -> Standing {
        let standing = self.sign_in.check(address_key(address));
        if standing.retry_after.is_some() {
            return standing;
        }
        for key in init_data_keys(init_data) {
            let of_data = self.init_data.check(key);
            if of_data.retry_after.is_some() {
                return of_data;
            }
        }
        standing
    }

    /// Counts a try at a password or a code: from this address, and for this account, named as it was typed.
    pub fn account(&self, address: Option<IpAddr>, account: &str) -> Standing {
        let standing = self.sign_in.check(address_key(address));
        if standing.retry_after.is_some() || account.is_empty() {
            return standing;
        }
        let of_account = self
            .account
            .check(key("account", account.trim().to_lowercase().as_bytes()));
        if of_account.retry_after.is_some() {
            return of_account;
        }
        standing
    }

    /// Counts a refresh from this address.
    pub fn refresh(&self, address: Option<IpAddr>) -> Standing {
        self.refresh.check(address_key(address))
    }
}

fn key(kind: &str, bytes: &[u8]) -> Key {
    Sha256::new()
        .chain_update(kind)
        .chain_update([0])
        .chain_update(bytes)
        .finalize()
        .into()
}

fn address_key(address: Option<IpAddr>) -> Key {
    key(
        "address",
        address.map(network).unwrap_or_default().as_bytes(),
    )
}

/// The signatures in it, which spelling it in another way does not change; all of it when it has none.
fn init_data_keys(init_data: &str) -> Vec<Key> {
    let keys: Vec<Key> = url::form_urlencoded::parse(init_data.as_bytes())
        .filter(|(name, _)| name == "hash" || name == "signature")
        .take(2)
        .map(|(name, value)| key(&name, value.to_ascii_lowercase().as_bytes()))
        .collect();
    if keys.is_empty() {
        vec![key("all", init_data.as_bytes())]
    } else {
        keys
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn limits() -> (RateLimits, Clock) {
        let clock = Clock::manual("2026-11-21T12:00:00Z".parse().unwrap());
        let mut config = Config::development();
        config.sign_in_limits.per_address_per_minute = 3;
        config.sign_in_limits.per_init_data = 2;
        config.sign_in_limits.refreshes_per_minute = 1;
        (RateLimits::new(&config, &clock), clock)
    }

    #[test]
    fn an_address_is_limited_and_free_again_in_time() {
        let (limits, clock) = limits();
        let address = Some("198.51.100.7".parse().unwrap());
        for remaining in [2, 1, 0] {
            let standing = limits.sign_in(address, &format!("hash={remaining}"));
            assert_eq!(
                (standing.remaining, standing.retry_after),
                (remaining, None)
            );
        }
        let refused = limits.sign_in(address, "hash=9");
        assert_eq!(refused.retry_after, Some(Duration::from_secs(20)));
        let mut headers = HeaderMap::new();
        refused.write(&mut headers);
        assert_eq!(headers["retry-after"], "20");
        assert_eq!(headers["ratelimit"], "\"sign-in\";r=0;t=20");
        assert_eq!(headers["ratelimit-policy"], "\"sign-in\";q=3;w=60");
        let other = Some("198.51.100.8".parse().unwrap());
        assert_eq!(limits.sign_in(other, "hash=8").retry_after, None);
        clock.advance(SignedDuration::from_secs(20));
        assert_eq!(limits.sign_in(address, "hash=7").retry_after, None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let (limits, _) = limits();
        let refresh = |address: &str| limits.refresh(Some(address.parse().unwrap())).retry_after;
        assert_eq!(refresh("2001:db8:1:2:3::1"), None);
        assert!(refresh("2001:db8:1:2:ffff::2").is_some());
        assert_eq!(refresh("2001:db8:1:3::1"), None);
    }

    #[test]
    fn an_init_data_is_limited_however_it_is_spelled() {
        let (limits, clock) = limits();
        let from = |host: u8| Some(IpAddr::from([198, 51, 100, host]));
        assert_eq!(limits.sign_in(from(1), "a=1&hash=abc").retry_after, None);
        assert_eq!(limits.sign_in(from(2), "hash=%61bc&a=1").retry_after, None);
        assert!(
            limits
                .sign_in(from(3), "a=%31&hash=ABC")
                .retry_after
                .is_some()
        );
        assert_eq!(limits.sign_in(from(4), "a=1&hash=abd").retry_after, None);
        clock.advance(SignedDuration::from_secs(3_599));
        assert!(
            limits
                .sign_in(from(5), "a=1&hash=abc")
                .retry_after
                .is_some()
        );
    }
}
