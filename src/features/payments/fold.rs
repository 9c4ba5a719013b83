//! What the kept events and our refunds make of an order: one pure function of a **set**, so that any order and
//! repetition of the events ends in the same rows (rules 9 and 10; security.md, Stripe webhooks 5 and 6).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::model::{
    OrderState,
    checkouts::CheckoutState,
    refunds::{Refund, RefundCause, RefundState},
};
use crate::{
    db::ids::{OrderId, RefundId},
    integrations::payments::{
        GatewayRefundStatus, PaymentStatus,
        webhook_event::{
            ChargeFacts, DisputeFacts, DisputeStatus, EventKind, RefundFacts, SessionChange,
            SessionFacts, WebhookEvent,
        },
    },
    money::Money,
};

/// The longest text that `orders.needs_attention` takes, in characters.
const LONGEST_ATTENTION: usize = 500;

/// What of an order stays the same, and events must agree with.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The order.
    pub order: OrderId,
    /// What it costs.
    pub total: Money,
    /// Whether our gateway moves real money.
    pub livemode: bool,
}

/// What an order has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderFacts {
    /// The state; nothing while there is no payment, when the order stays pending or closed.
    pub state: Option<OrderState>,
    /// The payments, the one that counts first.
    pub payments: Vec<Payment>,
    /// All that was paid, in minor units.
    pub captured_minor: i64,
    /// All that was given back or is on its way, in minor units; at most what was captured.
    pub refunded_minor: i64,
    /// When the payment that counts was made.
    pub paid_at: Option<Timestamp>,
    /// What the client's bank took back, in minor units; at most what was captured.
    pub lost_minor: i64,
    /// When the first of the disputes that are still open began.
    pub disputed_at: Option<Timestamp>,
    /// What a person must look at, each reason once and in words that no other one has: they are how staff's word is
    /// kept that one is settled.
    pub reasons: BTreeSet<String>,
    /// How far each session is by its events.
    pub sessions: BTreeMap<String, CheckoutState>,
    /// How far each of our refunds is, and its id at the gateway.
    pub refunds: BTreeMap<RefundId, (RefundState, Option<String>)>,
    /// What of which event does not agree with the order; such events count for nothing else.
    pub mismatches: BTreeMap<String, &'static str>,
}

/// A payment of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The session in which it was made; two events of one session are one payment.
    pub session_id: String,
    /// What a refund names; absent where nothing had to be paid.
    pub payment_intent: Option<String>,
    /// In minor units.
    pub captured_minor: i64,
    /// Given back or on its way back, in minor units.
    pub refunded_minor: i64,
    /// Taken back by the client's bank in disputes that are lost, in minor units.
    pub lost_minor: i64,
    /// When it was made.
    pub paid_at: Timestamp,
    /// Whether it was given back because of what it is (late, or one too many); that is done once.
    pub returned: bool,
}

impl OrderFacts {
    /// What a person must look at, in one text, but for the reasons in `seen`, which staff have settled. Nothing where
    /// nothing is left.
    ///
    /// Events that do not agree come last and are counted: there may be any number of them, and they must not crowd out
    /// a dispute.
    pub fn attention(&self, seen: &[String]) -> Option<String> {
        let seen: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
        let unseen = |reason: &String| !seen.contains(reason.as_str());
        let mismatches: BTreeMap<String, &str> = self
            .mismatches
            .iter()
            .map(|(event, what)| (disagreement(event, what), *what))
            .collect();
        let mut left: Vec<String> = self
            .reasons
            .iter()
            .filter(|reason| !mismatches.contains_key(*reason) && unseen(reason))
            .cloned()
            .collect();
        let disagreeing = mismatches.iter().filter(|(reason, _)| unseen(reason));
        let what: Vec<&str> = disagreeing.map(|(_, what)| *what).collect();
        if !what.is_empty() {
            let count = what.len();
            let what: BTreeSet<&str> = what.into_iter().collect();
            let what = what.into_iter().collect::<Vec<_>>().join(", ");
            left.push(format!(
                "events that do not agree with the order: {count} ({what})"
            ));
        }
        joined(&left)
    }
}

impl Payment {
    /// What can still be given back, in minor units (rule 10).
    pub fn refundable_minor(&self) -> i64 {
        let gone = self.refunded_minor.saturating_add(self.lost_minor);
        self.captured_minor.saturating_sub(gone).max(0)
    }

    /// Whether refunds and lost disputes come to more than was paid.
    pub fn is_overdrawn(&self) -> bool {
        self.refunded_minor.saturating_add(self.lost_minor) > self.captured_minor
    }
}

/// What one session's events say.
#[derive(Default)]
struct Session {
    paid_at: Option<Timestamp>,
    payment_intent: Option<String>,
    completed: bool,
    failed: bool,
    expired: bool,
}

/// A refund that the gateway told of and we did not ask for.
#[derive(Default)]
struct Foreign {
    payment_intent: Option<String>,
    amount_minor: i64,
    failed: bool,
}

/// A dispute, by all of its events. An open one holds every refund, a won one holds nothing any more; a lost one takes
/// its amount from its payment for good, since the client has the money. That it is lost beats that it is won, whatever
/// was told first.
struct Dispute {
    since: Timestamp,
    status: DisputeStatus,
    /// The amount that was lost, in minor units, and its payment; the largest that was told.
    lost: Option<(i64, String)>,
}

/// What is known of one payment's refunds.
#[derive(Default)]
struct Returned {
    not_failed: i64,
    failed: i64,
    cumulative: i64,
}

/// Collects what events say, then sums it up.
struct Fold<'a> {
    terms: &'a Terms,
    sessions: BTreeMap<String, Session>,
    cumulative: BTreeMap<String, i64>,
    ours: BTreeMap<RefundId, (&'a Refund, RefundState, BTreeSet<String>)>,
    foreign: BTreeMap<String, Foreign>,
    disputes: BTreeMap<String, Dispute>,
    mismatches: BTreeMap<String, &'static str>,
}

/// What the kept events and our refunds make of an order.
pub fn fold(terms: &Terms, events: &[WebhookEvent], refunds: &[Refund]) -> OrderFacts {
    let mut fold = Fold {
        terms,
        sessions: BTreeMap::new(),
        cumulative: BTreeMap::new(),
        ours: refunds
            .iter()
            .map(|refund| {
                let known = refund.gateway_refund_id.iter().cloned().collect();
                (refund.id, (refund, refund.state, known))
            })
            .collect(),
        foreign: BTreeMap::new(),
        disputes: BTreeMap::new(),
        mismatches: BTreeMap::new(),
    };
    for event in events {
        if let Err(what) = fold.take(event) {
            fold.mismatches.insert(event.id.clone(), what);
        }
    }
    fold.sum_up()
}

impl Fold<'_> {
    /// Takes one event in, or says what of it does not agree with the order.
    fn take(&mut self, event: &WebhookEvent) -> Result<(), &'static str> {
        if event.livemode != self.terms.livemode {
            return Err("livemode");
        }
        match &event.kind {
            EventKind::CheckoutSession { change, session } => {
                self.session(event.created, *change, session)
            }
            EventKind::ChargeRefunded(charge) => self.charge(charge),
            EventKind::RefundUpdated(refund) => self.refund(refund),
            EventKind::Dispute(dispute) => self.dispute(event.created, dispute),
            EventKind::Unreadable => Err("unreadable"),
            EventKind::Other => Ok(()),
        }
    }

    fn session(
        &mut self,
        created: Timestamp,
        change: SessionChange,
        facts: &SessionFacts,
    ) -> Result<(), &'static str> {
        if facts.order_id.as_deref() != Some(self.terms.order.to_string().as_str()) {
            return Err("order");
        }
        self.same_currency(facts.currency.as_deref())?;
        if self.minor(facts.amount_total)? != self.terms.total.amount_minor() {
            return Err("amount");
        }
        let settled = match (change, facts.payment_status) {
            (SessionChange::Completed, None) => return Err("payment status"),
            (SessionChange::Completed, Some(status)) => status.settles(),
            (SessionChange::AsyncPaymentSucceeded, status) => {
                status.is_none_or(|status| status != PaymentStatus::Unpaid)
            }
            (SessionChange::AsyncPaymentFailed | SessionChange::Expired, _) => false,
        };
        let session = self.sessions.entry(facts.id.clone()).or_default();
        if settled {
            session.paid_at = earliest(session.paid_at, created);
        }
        if let Some(payment) = &facts.payment_intent {
            // One session has one payment; should there ever be two, the choice must not depend on what came first.
            let first = session
                .payment_intent
                .take()
                .unwrap_or_else(|| payment.clone());
            session.payment_intent = Some(first.min(payment.clone()));
        }
        match change {
            SessionChange::Completed | SessionChange::AsyncPaymentSucceeded => {
                session.completed = true;
            }
            SessionChange::AsyncPaymentFailed => session.failed = true,
            SessionChange::Expired => session.expired = true,
        }
        Ok(())
    }

    fn charge(&mut self, facts: &ChargeFacts) -> Result<(), &'static str> {
        self.same_currency(facts.currency.as_deref())?;
        if self.minor(facts.amount)? != self.terms.total.amount_minor() {
            return Err("amount");
        }
        let refunded = self.minor(facts.amount_refunded)?;
        let payment = facts.payment_intent.clone().ok_or("payment")?;
        let known = self.cumulative.entry(payment).or_default();
        *known = refunded.max(*known);
        Ok(())
    }

    fn refund(&mut self, facts: &RefundFacts) -> Result<(), &'static str> {
        self.same_currency(facts.currency.as_deref())?;
        let amount = self.minor(facts.amount)?;
        let ours = facts
            .refund_id
            .as_deref()
            .and_then(|id| id.parse::<RefundId>().ok())
            .filter(|id| self.ours.contains_key(id))
            .or_else(|| {
                let known = |row: &Refund| row.gateway_refund_id.as_ref() == Some(&facts.id);
                let found = self.ours.iter().find(|(_, (row, ..))| known(row));
                found.map(|(id, _)| *id)
            });
        let state = match facts.status {
            Some(GatewayRefundStatus::Succeeded) => RefundState::Succeeded,
            Some(GatewayRefundStatus::Failed | GatewayRefundStatus::Canceled) => {
                RefundState::Failed
            }
            Some(GatewayRefundStatus::Pending | GatewayRefundStatus::RequiresAction) | None => {
                RefundState::Pending
            }
        };
        if let Some((row, known_state, gateway_ids)) = ours.and_then(|id| self.ours.get_mut(&id)) {
            if row.amount_minor != amount {
                return Err("amount");
            }
            // What was refused at once has no id at the gateway; if it tells of one after all, its word counts.
            let refused = *known_state == RefundState::Failed && gateway_ids.is_empty();
            *known_state = if refused {
                state
            } else {
                state.max(*known_state)
            };
            gateway_ids.insert(facts.id.clone());
            return Ok(());
        }
        let foreign = self.foreign.entry(facts.id.clone()).or_default();
        foreign.amount_minor = amount.max(foreign.amount_minor);
        foreign.failed |= state == RefundState::Failed;
        if foreign.payment_intent.is_none() {
            foreign.payment_intent.clone_from(&facts.payment_intent);
        }
        Ok(())
    }

    fn dispute(&mut self, created: Timestamp, facts: &DisputeFacts) -> Result<(), &'static str> {
        self.same_currency(facts.currency.as_deref())?;
        let lost = match facts.status {
            DisputeStatus::Lost => {
                let payment = facts.payment_intent.clone().ok_or("payment")?;
                Some((self.minor(facts.amount)?, payment))
            }
            DisputeStatus::Open | DisputeStatus::Won => None,
        };
        let known = self.disputes.entry(facts.id.clone()).or_insert(Dispute {
            since: created,
            status: facts.status,
            lost: None,
        });
        known.since = known.since.min(created);
        known.status = known.status.max(facts.status);
        known.lost = known.lost.take().max(lost);
        Ok(())
    }

    fn same_currency(&self, currency: Option<&str>) -> Result<(), &'static str> {
        let ours = self.terms.total.currency().code();
        if currency.is_some_and(|theirs| theirs.eq_ignore_ascii_case(ours)) {
            Ok(())
        } else {
            Err("currency")
        }
    }

    /// The gateway's amount in our minor units.
    fn minor(&self, amount: Option<i64>) -> Result<i64, &'static str> {
        amount
            .filter(|amount| *amount >= 0)
            .and_then(|amount| Money::from_gateway(amount, self.terms.total.currency()).ok())
            .map(Money::amount_minor)
            .ok_or("amount")
    }

    fn sum_up(self) -> OrderFacts {
        let returned = self.returned();
        let mut reasons: BTreeSet<String> = BTreeSet::new();
        for (event, what) in &self.mismatches {
            reasons.insert(disagreement(event, what));
        }
        let mut disputed_at = None;
        let mut lost: BTreeMap<&str, i64> = BTreeMap::new();
        for (id, dispute) in &self.disputes {
            match (dispute.status, &dispute.lost) {
                (DisputeStatus::Open, _) => {
                    reasons.insert(format!("{id} disputes the payment"));
                    disputed_at = earliest(disputed_at, dispute.since);
                }
                (DisputeStatus::Lost, Some((amount, payment))) => {
                    let known = lost.entry(payment).or_default();
                    *known = known.saturating_add(*amount);
                    let amount = formatted(self.terms, *amount);
                    reasons.insert(format!(
                        "{id} is lost: the bank has given {amount} back to the client"
                    ));
                }
                (DisputeStatus::Lost, None) | (DisputeStatus::Won, _) => {}
            }
        }
        let mut sessions = BTreeMap::new();
        let mut payments = Vec::new();
        for (session_id, session) in self.sessions {
            let state = if session.paid_at.is_some() {
                CheckoutState::Complete
            } else if session.failed {
                CheckoutState::Failed
            } else if session.completed {
                CheckoutState::Complete
            } else {
                CheckoutState::Expired
            };
            sessions.insert(session_id.clone(), state);
            let Some(paid_at) = session.paid_at else {
                continue;
            };
            let captured_minor = self.terms.total.amount_minor();
            let mut refunded_minor = 0;
            match session.payment_intent.as_ref() {
                Some(payment) => {
                    if let Some(known) = returned.get(payment) {
                        refunded_minor = known
                            .not_failed
                            .max(known.cumulative.saturating_sub(known.failed));
                    }
                }
                None => {
                    reasons.insert(format!("{session_id} is paid without a payment"));
                }
            }
            let lost_minor = session
                .payment_intent
                .as_deref()
                .and_then(|payment| lost.get(payment))
                .map_or(0, |lost| (*lost).min(captured_minor));
            let beyond = refunded_minor
                .saturating_add(lost_minor)
                .saturating_sub(captured_minor);
            if beyond > 0 {
                let beyond = formatted(self.terms, beyond);
                reasons.insert(format!(
                    "{session_id} is refunded {beyond} beyond its payment"
                ));
            }
            let rows = || {
                let of_it = session.payment_intent.as_deref();
                self.ours
                    .values()
                    .map(|(row, ..)| *row)
                    .filter(move |row| Some(row.payment_intent.as_str()) == of_it)
            };
            let duplicate = rows().any(|row| row.cause == RefundCause::DuplicatePayment);
            let late = rows().any(|row| row.cause == RefundCause::LatePayment);
            let by_decision = rows().any(|row| row.cause != RefundCause::DuplicatePayment);
            let payment = Payment {
                captured_minor,
                refunded_minor: refunded_minor.clamp(0, captured_minor),
                lost_minor,
                paid_at,
                returned: duplicate || late,
                payment_intent: session.payment_intent,
                session_id,
            };
            // The payment that counts is the one about which something was decided, else the first.
            payments.push(((duplicate, !by_decision, paid_at), payment));
        }
        payments.sort_by(|(a, one), (b, other)| {
            a.cmp(b).then_with(|| one.session_id.cmp(&other.session_id))
        });
        let payments: Vec<Payment> = payments.into_iter().map(|(_, payment)| payment).collect();
        let mut refunds = BTreeMap::new();
        for (id, (_, state, gateway_ids)) in self.ours {
            if state == RefundState::Failed {
                reasons.insert(format!("{id} failed"));
            }
            refunds.insert(id, (state, gateway_ids.into_iter().next()));
        }
        OrderFacts {
            state: payments.first().map(|payment| match payment {
                Payment {
                    refunded_minor: 0, ..
                } => OrderState::Paid,
                whole if whole.refunded_minor == whole.captured_minor => OrderState::Refunded,
                _ => OrderState::PartiallyRefunded,
            }),
            captured_minor: sum(payments.iter().map(|payment| payment.captured_minor)),
            refunded_minor: sum(payments.iter().map(|payment| payment.refunded_minor)),
            lost_minor: sum(payments.iter().map(|payment| payment.lost_minor)),
            paid_at: payments.first().map(|payment| payment.paid_at),
            payments,
            disputed_at,
            reasons,
            sessions,
            refunds,
            mismatches: self.mismatches,
        }
    }

    /// What is known of each payment's refunds. Only what reached the gateway can be part of its cumulative amount.
    fn returned(&self) -> BTreeMap<String, Returned> {
        let mut all: BTreeMap<String, Returned> = BTreeMap::new();
        for (row, state, gateway_ids) in self.ours.values() {
            let known = all.entry(row.payment_intent.clone()).or_default();
            if *state != RefundState::Failed {
                known.not_failed = known.not_failed.saturating_add(row.amount_minor);
            } else if !gateway_ids.is_empty() {
                known.failed = known.failed.saturating_add(row.amount_minor);
            }
        }
        for foreign in self.foreign.values() {
            let Some(payment) = &foreign.payment_intent else {
                continue;
            };
            let known = all.entry(payment.clone()).or_default();
            if foreign.failed {
                known.failed = known.failed.saturating_add(foreign.amount_minor);
            } else {
                known.not_failed = known.not_failed.saturating_add(foreign.amount_minor);
            }
        }
        for (payment, cumulative) in &self.cumulative {
            all.entry(payment.clone()).or_default().cumulative = *cumulative;
        }
        all
    }
}

/// An amount in the order's currency, for people.
fn formatted(terms: &Terms, amount_minor: i64) -> String {
    Money::new(amount_minor, terms.total.currency())
        .map_or_else(|_| amount_minor.to_string(), Money::formatted)
}

fn earliest(known: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(at, |known| known.min(at)))
}

fn sum(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}

/// How the reason reads that an event does not agree with its order.
fn disagreement(event: &str, what: &str) -> String {
    format!("{event} does not agree with the order: {what}")
}

/// The reasons in one text, cut where it gets too long for a row, which then says how many are left out.
fn joined(reasons: &[String]) -> Option<String> {
    let whole = reasons.join("; ");
    if whole.chars().count() <= LONGEST_ATTENTION {
        return (!whole.is_empty()).then_some(whole);
    }
    let mut text = String::new();
    for (told, reason) in reasons.iter().enumerate() {
        let rest = format!("and {} more", reasons.len().saturating_sub(told));
        // The next one must leave room for the count of those after it, which has no more digits.
        let length = [&text, reason, &rest].map(|part| part.chars().count());
        if length.into_iter().sum::<usize>() + 2 > LONGEST_ATTENTION {
            text.push_str(&rest);
            break;
        }
        text.push_str(reason);
        text.push_str("; ");
    }
    Some(text)
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
