//! What the sandbox's ids and addresses carry, signed so that only ours are taken.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use url::Url;

use super::super::{CheckoutRequest, events::derived_id};
use crate::mac::hmac_sha256_of;

/// Hex digits of a MAC that stand in an id.
const MAC_DIGITS: usize = 32;

/// The longest order in a pay page's address, in characters.
const MAX_ORDER_CHARS: usize = 32 * 1024;

/// Makes and checks the MACs. Each use has a word of its own in front, and none begins with a
/// digit as a webhook's does, so that no MAC is good for another use.
pub(super) struct Signer(SecretString);

/// A checkout session as its id says: `cs_test_<nonce>_<amount>_<currency>_<expires>_<mac>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionId {
    /// The whole id.
    pub text: String,
    /// Follows from the idempotency key.
    nonce: String,
    /// In the gateway's unit.
    pub amount: i64,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// When it closes by itself.
    pub expires_at: Timestamp,
}

/// A payment as its id says: `pi_<nonce>_<amount>_<currency>_<mac>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PaymentIntent {
    /// The whole id.
    pub text: String,
    nonce: String,
    /// What was charged, in the gateway's unit.
    pub amount: i64,
    /// ISO 4217 code in lower case.
    pub currency: String,
}

impl PaymentIntent {
    /// The id of its one charge.
    pub(super) fn charge(&self) -> String {
        format!("ch_{}", self.nonce)
    }
}

/// What the pay page shows and its events carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxOrder {
    /// Our order's public id.
    pub order_id: String,
    /// Title, price of one in the gateway's unit, how many.
    pub lines: Vec<(String, i64, u32)>,
    /// Where the client goes after paying.
    pub success_url: String,
    /// Where the client goes without paying.
    pub cancel_url: String,
    /// What the client gave.
    pub customer_email: Option<String>,
    /// More for the session's `metadata`.
    pub metadata: BTreeMap<String, String>,
}

impl SandboxOrder {
    pub(super) fn of(request: &CheckoutRequest) -> Self {
        let line =
            |line: &super::super::CheckoutLine| (line.title.clone(), line.amount, line.quantity);
        Self {
            order_id: request.order_id.clone(),
            lines: request.lines.iter().map(line).collect(),
            success_url: request.success_url.clone(),
            cancel_url: request.cancel_url.clone(),
            customer_email: request.customer_email.clone(),
            metadata: request.metadata.clone(),
        }
    }
}

impl Signer {
    pub(super) const fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    fn mac(&self, word: &str, text: &str) -> String {
        let message = format!("{word}\n{text}");
        let mut mac = hex::encode(hmac_sha256_of(
            self.0.expose_secret().as_bytes(),
            message.as_bytes(),
        ));
        mac.truncate(MAC_DIGITS);
        mac
    }

    fn is_mac(&self, mac: &str, word: &str, text: &str) -> bool {
        self.mac(word, text).as_bytes().ct_eq(mac.as_bytes()).into()
    }

    /// The text before the MAC of an id, if the MAC is ours.
    fn signed<'a>(&self, word: &str, id: &'a str) -> Option<&'a str> {
        let (text, mac) = id.rsplit_once('_')?;
        self.is_mac(mac, word, text).then_some(text)
    }

    pub(super) fn session(&self, request: &CheckoutRequest, amount: i64) -> SessionId {
        let nonce = derived_id(
            "",
            &[&request.idempotency_key],
            self.0.expose_secret().as_bytes(),
        );
        let expires = request.expires_at.as_second();
        let text = format!("cs_test_{nonce}_{amount}_{}_{expires}", request.currency);
        let mac = self.mac("sandbox session", &text);
        SessionId {
            text: format!("{text}_{mac}"),
            nonce,
            amount,
            currency: request.currency.clone(),
            expires_at: Timestamp::from_second(expires).unwrap_or(request.expires_at),
        }
    }

    pub(super) fn read_session(&self, id: &str) -> Option<SessionId> {
        let text = self.signed("sandbox session", id)?;
        let mut parts = text.strip_prefix("cs_test_")?.split('_');
        Some(SessionId {
            text: id.to_owned(),
            nonce: parts.next()?.to_owned(),
            amount: parts.next()?.parse().ok()?,
            currency: parts.next()?.to_owned(),
            expires_at: Timestamp::from_second(parts.next()?.parse().ok()?).ok()?,
        })
    }

    pub(super) fn payment_intent(&self, session: &SessionId) -> String {
        let text = format!(
            "pi_{}_{}_{}",
            session.nonce, session.amount, session.currency
        );
        let mac = self.mac("sandbox payment", &text);
        format!("{text}_{mac}")
    }

    pub(super) fn read_payment_intent(&self, id: &str) -> Option<PaymentIntent> {
        let text = self.signed("sandbox payment", id)?;
        let mut parts = text.strip_prefix("pi_")?.split('_');
        Some(PaymentIntent {
            text: id.to_owned(),
            nonce: parts.next()?.to_owned(),
            amount: parts.next()?.parse().ok()?,
            currency: parts.next()?.to_owned(),
        })
    }

    /// The address of the session's pay page, which is the same however often it is made.
    pub(super) fn pay_url(&self, base: &Url, session: &SessionId, order: &SandboxOrder) -> String {
        let json = serde_json::to_vec(order).unwrap_or_default();
        let order = URL_SAFE_NO_PAD.encode(json);
        let sig = self.mac("sandbox order", &format!("{}\n{order}", session.text));
        let base = base.as_str().trim_end_matches('/');
        format!(
            "{base}/sandbox/pay/{}?order={order}&sig={sig}",
            session.text
        )
    }

    pub(super) fn read_order(
        &self,
        session: &SessionId,
        order: &str,
        sig: &str,
    ) -> Option<SandboxOrder> {
        if order.len() > MAX_ORDER_CHARS
            || !self.is_mac(sig, "sandbox order", &format!("{}\n{order}", session.text))
        {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(order).ok()?).ok()
    }
}
