//! Which limits a request has to keep: tries at signing in, per address, account and init data (security.md, "brute
//! force"), and points of GraphQL, per person and address. The buckets are those of [`features::limits`](crate::features::limits).

use std::{net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderValue};

use super::proxies::network;
use crate::{
    app::App,
    config::{Config, PointLimit},
    db::ids::UserId,
    error::Result,
    features::limits::{
        bucket::{Charge, Charges, Rate, Standing},
        service::Buckets,
    },
    text,
};

const MINUTE: Duration = Duration::from_secs(60);
const USER: &str = "user";
const ADDRESS: &str = "address";
/// The limits of whom somebody else may be trying to be.
const HIDDEN: [&str; 3] = ["account", "init-data", "refresh-account"];

/// Seconds, begun ones counted, at least one.
pub fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

/// The limits of the settings, and the buckets of everybody.
pub struct RateLimits {
    buckets: Buckets,
    sign_in: Rate,
    init_data: Rate,
    account: Rate,
    refresh: Rate,
    refresh_account: Rate,
    user: Option<Rate>,
    address: Option<Rate>,
}

fn per_minute(name: &'static str, count: u32) -> Rate {
    Rate {
        name,
        quota: u64::from(count.max(1)),
        window: MINUTE,
    }
}

/// A bucket of points; none where the setting says so.
fn points(name: &'static str, limit: &PointLimit) -> Option<Rate> {
    let micros = u128::from(limit.burst) * MINUTE.as_micros();
    let micros = micros.checked_div(u128::from(limit.per_minute))?;
    Some(Rate {
        name,
        quota: limit.burst.max(1),
        window: Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)),
    })
}

impl RateLimits {
    /// As the settings say.
    pub fn new(config: &Config) -> Self {
        let limits = &config.sign_in_limits;
        // One comes back after the whole life of an init data, that is: none while it lives.
        let life = config.telegram_max_age.max(Duration::from_secs(1));
        let init_data = Rate {
            name: "init-data",
            quota: u64::from(limits.per_init_data.max(1)),
            window: life.saturating_mul(limits.per_init_data.max(1)),
        };
        Self {
            buckets: Buckets::new(config),
            sign_in: per_minute("sign-in", limits.per_address_per_minute),
            init_data,
            account: per_minute("account", limits.per_account_per_minute),
            refresh: per_minute("refresh", limits.refreshes_per_minute),
            refresh_account: per_minute("refresh-account", limits.refreshes_per_account_per_minute),
            user: points(USER, &config.points.user),
            address: points(ADDRESS, &config.points.address),
        }
    }

    /// What a request takes, to which is added what else it does.
    pub fn request(&self, address: Option<IpAddr>) -> Request<'_> {
        Request {
            limits: self,
            network: address.map(network).unwrap_or_default(),
            charges: Charges::new(),
        }
    }
}

/// How an account is tried. Each has a bucket of its own, so that tries of one kind shut nobody out of another.
#[derive(Clone, Copy, Debug)]
pub enum Tried {
    /// By its password, to sign in.
    Password,
    /// By its password, signed in.
    OwnPassword,
    /// By a code that makes an account.
    SignUpCode,
    /// By a code for a new password.
    ResetCode,
    /// By a code that adds an address to one's own account.
    LinkCode,
    /// By having a mail sent.
    Address,
}

impl Tried {
    fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::OwnPassword => "own-password",
            Self::SignUpCode => "sign-up-code",
            Self::ResetCode => "reset-code",
            Self::LinkCode => "link-code",
            Self::Address => "address",
        }
    }
}

/// What one request takes.
pub struct Request<'a> {
    limits: &'a RateLimits,
    network: String,
    charges: Charges,
}

impl Request<'_> {
    fn charge(&mut self, rate: Rate, whose: &[u8], cost: u64) {
        let key = self.limits.buckets.key(&rate, whose);
        self.charges.add(rate, key, cost);
    }

    /// Points of GraphQL, of the person's bucket and of the address's; of that alone where nobody is signed in.
    pub fn points(&mut self, user: Option<UserId>, cost: u64) {
        if let (Some(rate), Some(user)) = (self.limits.user, user) {
            self.charge(rate, user.0.as_bytes(), cost);
        }
        if let Some(rate) = self.limits.address {
            let network = self.network.clone();
            self.charge(rate, network.as_bytes(), cost);
        }
    }

    /// A try at signing in, by whatever means.
    pub fn try_sign_in(&mut self) {
        let network = self.network.clone();
        self.charge(self.limits.sign_in, network.as_bytes(), 1);
    }

    /// A sign-in with this init data.
    pub fn sign_in(&mut self, init_data: &str) {
        self.try_sign_in();
        for whose in init_data_keys(init_data) {
            self.charge(self.limits.init_data, &whose, 1);
        }
    }

    /// A try at this account, named as it was typed; of the account's bucket alone.
    pub fn account(&mut self, tried: Tried, account: &str) {
        // One key for one address, however it is written: as it is looked for.
        let account = text::email(account).unwrap_or_else(|_| account.trim().to_owned());
        let account = account.to_ascii_lowercase();
        if !account.is_empty() {
            let kind = tried.name();
            self.charge(
                self.limits.account,
                format!("{kind}:{account}").as_bytes(),
                1,
            );
        }
    }

    /// A refresh, of whatever token.
    pub fn refresh(&mut self) {
        let network = self.network.clone();
        self.charge(self.limits.refresh, network.as_bytes(), 1);
    }

    /// A refresh of a session of this person.
    pub fn refresh_of(&mut self, user: UserId) {
        self.charge(self.limits.refresh_account, user.0.as_bytes(), 1);
    }

    /// What asks for more than there ever is, if anything does.
    pub fn beyond(&self) -> Option<&Charge> {
        self.charges.beyond()
    }

    /// How the limits stand where they are known to refuse, before anything is asked of the database.
    pub fn refusal(&self, app: &App) -> Option<Standings> {
        let standings = self.limits.buckets.refusal(app, &self.charges)?;
        Some(Standings(standings))
    }

    /// Takes all of it, or nothing where a limit refuses.
    pub async fn take(self, app: &App) -> Result<Standings> {
        let standings = self.limits.buckets.take(app, &self.charges).await?;
        Ok(Standings(standings))
    }
}

/// How the limits of a request stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings(Vec<Standing>);

impl Standings {
    /// The limit that refuses, of several the one that takes longest.
    pub fn refused(&self) -> Option<&Standing> {
        let refused = self.0.iter().filter(|it| it.retry_after.is_some());
        refused.max_by_key(|standing| standing.retry_after)
    }

    /// The bucket of points with the fewest left.
    pub fn points(&self) -> Option<&Standing> {
        let points = self.0.iter();
        let points = points.filter(|standing| [USER, ADDRESS].contains(&standing.rate.name));
        points.min_by_key(|standing| standing.remaining)
    }

    /// What may be shown: when refused, what refuses. How much is left for an account or an init data is not, because
    /// that would tell whether somebody else tries it.
    fn shown(&self) -> Vec<&Standing> {
        match self.refused() {
            Some(refused) => vec![refused],
            None => {
                let all = self.0.iter();
                all.filter(|standing| !HIDDEN.contains(&standing.rate.name))
                    .collect()
            }
        }
    }

    /// Writes `RateLimit-Policy`, `RateLimit` (draft-ietf-httpapi-ratelimit-headers) and, when refused, `Retry-After`.
    pub fn write(&self, headers: &mut HeaderMap) {
        let shown = self.shown();
        let list = |item: fn(&Standing) -> String| {
            let items: Vec<String> = shown.iter().map(|standing| item(standing)).collect();
            items.join(", ")
        };
        let policy = list(|Standing { rate, .. }| {
            let window = whole_seconds(rate.window);
            format!("\"{}\";q={};w={window}", rate.name, rate.quota)
        });
        let standing = list(|standing| {
            let reset = standing.retry_after.unwrap_or(standing.full_in);
            let (name, left) = (standing.rate.name, standing.remaining);
            format!("\"{name}\";r={left};t={}", whole_seconds(reset))
        });
        let pairs = [("ratelimit-policy", policy), ("ratelimit", standing)];
        for (name, value) in pairs {
            if !value.is_empty()
                && let Ok(value) = HeaderValue::from_str(&value)
            {
                headers.insert(name, value);
            }
        }
        let retry_after = self.refused().and_then(|standing| standing.retry_after);
        if let Some(after) = retry_after {
            headers.insert(http::header::RETRY_AFTER, whole_seconds(after).into());
        }
    }
}

/// The signatures in it, which spelling it in another way does not change; all of it when it has none.
fn init_data_keys(init_data: &str) -> Vec<Vec<u8>> {
    let whose = |kind: &str, value: &str| [kind.as_bytes(), &[0], value.as_bytes()].concat();
    let keys: Vec<Vec<u8>> = url::form_urlencoded::parse(init_data.as_bytes())
        .filter(|(name, _)| name == "hash" || name == "signature")
        .take(2)
        .map(|(name, value)| whose(&name, &value.to_ascii_lowercase()))
        .collect();
    if keys.is_empty() {
        vec![whose("all", init_data)]
    } else {
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> RateLimits {
        let mut config = Config::development();
        config.points.user = PointLimit {
            per_minute: 60_000,
            burst: 20_000,
        };
        config.points.address.per_minute = 0;
        RateLimits::new(&config)
    }

    fn keys(request: &Request<'_>, name: &str) -> Vec<[u8; 32]> {
        let charges = request.charges.as_slice().iter();
        let mut keys: Vec<_> = charges
            .filter(|charge| charge.rate.name == name)
            .map(|charge| charge.key)
            .collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let limits = limits();
        let refresh = |address: &str| {
            let mut request = limits.request(Some(address.parse().unwrap()));
            request.refresh();
            keys(&request, "refresh")
        };
        assert_eq!(
            refresh("2001:db8:1:2:3::1"),
            refresh("2001:db8:1:2:ffff::2")
        );
        assert_ne!(refresh("2001:db8:1:2:3::1"), refresh("2001:db8:1:3::1"));
    }

    #[test]
    fn an_init_data_is_limited_however_it_is_spelled() {
        let limits = limits();
        let sign_in = |host: u8, init_data: &str| {
            let mut request = limits.request(Some(IpAddr::from([198, 51, 100, host])));
            request.sign_in(init_data);
            keys(&request, "init-data")
        };
        let first = sign_in(1, "a=1&hash=abc");
        assert_eq!(first, sign_in(2, "hash=%61bc&a=1"));
        assert_eq!(first, sign_in(3, "a=%31&hash=ABC"));
        assert_ne!(first, sign_in(1, "a=1&hash=abd"));
        assert_eq!(sign_in(1, "hash=a&signature=b").len(), 2);
        // Its second use by another life only.
        assert_eq!(limits.init_data.window, Duration::from_secs(5 * 3_600));
    }

    #[test]
    fn one_bucket_is_no_other_limits() {
        let limits = limits();
        let mut request = limits.request(None);
        request.account(Tried::ResetCode, " A@example.org ");
        request.account(Tried::ResetCode, "a@EXAMPLE.org");
        request.account(Tried::ResetCode, "");
        request.refresh();
        assert_eq!(keys(&request, "account").len(), 1);
        let charges = request.charges.as_slice();
        let costs: Vec<_> = charges.iter().map(|it| (it.rate.name, it.cost)).collect();
        assert_eq!(costs, [("account", 2), ("refresh", 1)]);
    }

    #[test]
    fn a_bucket_of_points_is_as_large_and_as_fast_as_the_settings_say() {
        let limits = limits();
        let user = limits.user.unwrap();
        assert_eq!((user.quota, user.window), (20_000, Duration::from_secs(20)));
        assert_eq!(limits.address, None);
        let mut request = limits.request(None);
        request.points(None, 7);
        assert_eq!(request.charges, Charges::new());
    }

    #[test]
    fn headers_say_what_is_left_and_what_refuses() {
        let standing = |name, remaining, retry_after: Option<u64>| Standing {
            rate: per_minute(name, 3),
            remaining,
            full_in: Duration::from_millis(20_001),
            retry_after: retry_after.map(Duration::from_secs),
        };
        let headers = |standings: &[Standing]| {
            let mut headers = HeaderMap::new();
            Standings(standings.to_vec()).write(&mut headers);
            headers
        };
        let passed = headers(&[
            standing(USER, 2, None),
            standing("sign-in", 1, None),
            standing("account", 0, None),
            standing("refresh-account", 0, None),
        ]);
        let policy = "\"user\";q=3;w=60, \"sign-in\";q=3;w=60";
        assert_eq!(passed["ratelimit-policy"], policy);
        let left = "\"user\";r=2;t=21, \"sign-in\";r=1;t=21";
        assert_eq!(passed["ratelimit"], left);
        assert!(!passed.contains_key("retry-after"));
        let refused = headers(&[
            standing("sign-in", 0, Some(20)),
            standing("account", 0, Some(40)),
        ]);
        assert_eq!(refused["ratelimit"], "\"account\";r=0;t=40");
        assert_eq!(refused["retry-after"], "40");
        assert!(headers(&[]).is_empty());
    }
}
