use std::collections::VecDeque;

use super::*;
use crate::integrations::{
    payments::{
        CheckoutLine,
        webhook_event::{EventKind, WebhookEvent},
    },
    stripe_signature::StripeSignature,
};

const SECRET: &str = "whsec_test";

fn clock() -> Clock {
    Clock::manual("2026-11-21T10:00:00Z".parse().unwrap())
}

fn gateway(clock: &Clock) -> SandboxGateway {
    let base = "http://localhost:8000/".parse().unwrap();
    SandboxGateway::new(base, SECRET.into(), clock.clone())
}

fn checkout() -> CheckoutRequest {
    CheckoutRequest {
        idempotency_key: "checkout-1".into(),
        order_id: "ord_1".into(),
        lines: vec![
            CheckoutLine {
                title: "Massage <b>&\"60\"</b>".into(),
                amount: 6_000,
                quantity: 2,
            },
            CheckoutLine {
                title: "Fahrt".into(),
                amount: 500,
                quantity: 1,
            },
        ],
        currency: "eur".into(),
        expires_at: "2026-11-21T10:45:00Z".parse().unwrap(),
        success_url: "http://shop.localhost:3000/done?a=1&b=2".into(),
        cancel_url: "http://shop.localhost:3000/back".into(),
        customer_email: None,
        locale: None,
        metadata: [("booking_id".into(), "bkg_1".into())].into(),
    }
}

/// The three parts of a pay page's address.
fn address(session: &CheckoutSession) -> (String, String, String) {
    let url = Url::parse(session.url.as_deref().unwrap()).unwrap();
    let id = url.path().strip_prefix("/sandbox/pay/").unwrap().to_owned();
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    (id, query["order"].clone(), query["sig"].clone())
}

async fn press(
    gateway: &SandboxGateway,
    session: &CheckoutSession,
    action: Option<PayAction>,
) -> PayAnswer {
    let (id, order, sig) = address(session);
    gateway.visit(&id, &order, &sig, action).await
}

fn html(answer: &PayAnswer, expected: u16) -> &str {
    let PayAnswer::Page { status, html, .. } = answer else {
        panic!("no page: {answer:?}")
    };
    assert_eq!(*status, expected, "{html}");
    html
}

fn events(gateway: &SandboxGateway) -> Vec<WebhookEvent> {
    gateway
        .take_events()
        .iter()
        .map(|event| WebhookEvent::parse(event.to_string().as_bytes()).unwrap())
        .collect()
}

fn types(events: &[WebhookEvent]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect()
}

fn session_facts(
    event: &WebhookEvent,
) -> &crate::integrations::payments::webhook_event::SessionFacts {
    let EventKind::CheckoutSession { session, .. } = &event.kind else {
        panic!("not of a session: {event:?}")
    };
    session
}

#[tokio::test]
async fn paying_tells_the_webhook_and_goes_back_to_the_shop() {
    let gateway = gateway(&clock());
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    assert_eq!(session.status, CheckoutStatus::Open);
    assert_eq!(session.amount_total, 12_500);
    let answer = press(&gateway, &session, Some(PayAction::Pay)).await;
    assert_eq!(answer, PayAnswer::Return(checkout().success_url));

    let [event] = &events(&gateway)[..] else {
        panic!("one event")
    };
    assert_eq!(event.event_type, "checkout.session.completed");
    assert!(!event.livemode);
    let facts = session_facts(event);
    assert_eq!(facts.id, session.id);
    assert_eq!(facts.payment_status, Some(PaymentStatus::Paid));
    assert_eq!(facts.amount_total, Some(12_500));
    assert_eq!(facts.currency.as_deref(), Some("eur"));
    assert_eq!(facts.order_id.as_deref(), Some("ord_1"));

    let now = gateway.retrieve_checkout(&session.id).await.unwrap();
    assert_eq!(now.status, CheckoutStatus::Complete);
    assert_eq!(now.payment_status, PaymentStatus::Paid);
    assert_eq!(now.payment_intent, facts.payment_intent);
    assert_eq!(now.url, None);
    assert!(html(&press(&gateway, &session, None).await, 200).contains("This order is paid"));
    html(&press(&gateway, &session, Some(PayAction::Pay)).await, 409);
    assert!(events(&gateway).is_empty());
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open() {
    let gateway = gateway(&clock());
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    let answer = press(&gateway, &session, Some(PayAction::Decline)).await;
    assert!(html(&answer, 200).contains("The card was declined"));
    assert!(html(&answer, 200).contains("value=\"pay\""));
    assert_eq!(
        gateway.retrieve_checkout(&session.id).await.unwrap().status,
        CheckoutStatus::Open
    );
    assert!(events(&gateway).is_empty());
}

#[tokio::test]
async fn paying_later_completes_unpaid_and_the_money_comes_or_does_not() {
    for (action, event_type, paid) in [
        (
            PayAction::Arrived,
            "checkout.session.async_payment_succeeded",
            PaymentStatus::Paid,
        ),
        (
            PayAction::Failed,
            "checkout.session.async_payment_failed",
            PaymentStatus::Unpaid,
        ),
    ] {
        let gateway = gateway(&clock());
        let session = gateway.create_checkout(&checkout()).await.unwrap();
        let answer = press(&gateway, &session, Some(PayAction::Later)).await;
        assert!(html(&answer, 200).contains("Payment arrived"));
        press(&gateway, &session, Some(action)).await;
        let events = events(&gateway);
        assert_eq!(types(&events), ["checkout.session.completed", event_type]);
        assert_eq!(
            session_facts(&events[0]).payment_status,
            Some(PaymentStatus::Unpaid)
        );
        assert_eq!(session_facts(&events[1]).payment_status, Some(paid));
        assert_ne!(events[0].id, events[1].id);
        let now = gateway.retrieve_checkout(&session.id).await.unwrap();
        assert_eq!(
            (now.status, now.payment_status),
            (CheckoutStatus::Complete, paid)
        );
    }
}

#[tokio::test]
async fn the_page_shows_the_order_escaped_under_a_strict_policy() {
    let gateway = gateway(&clock());
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    let answer = press(&gateway, &session, None).await;
    let PayAnswer::Page { html, policy, .. } = answer else {
        panic!("no page")
    };
    for part in [
        "Massage &lt;b&gt;&amp;&quot;60&quot;&lt;/b&gt;",
        "Fahrt",
        "ord_1",
        "value=\"pay\"",
        "value=\"decline\"",
        "value=\"later\"",
        "href=\"http://shop.localhost:3000/back\"",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(html.contains("125.00"), "{html}");
    assert!(!html.contains("<b>") && !html.contains("<script") && !html.contains("style="));
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(
        policy.contains("form-action 'self' http://shop.localhost:3000"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn only_addresses_of_our_own_making_are_pay_pages() {
    let gateway = gateway(&clock());
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    let (id, order, sig) = address(&session);
    let request = CheckoutRequest {
        idempotency_key: "checkout-2".into(),
        ..checkout()
    };
    let other = gateway.create_checkout(&request).await.unwrap();
    let cheaper = id.replace("_12500_", "_1_");
    assert_ne!(cheaper, id);
    for (id, order, sig) in [
        (other.id.as_str(), order.as_str(), sig.as_str()),
        (&cheaper, &order, &sig),
        (&id, &order[1..], &sig),
        (&id, &order, &sig[1..]),
        (&id, &order, ""),
        (&id, "", &sig),
        ("", &order, &sig),
        ("cs_test_1", &order, &sig),
    ] {
        let answer = gateway.visit(id, order, sig, Some(PayAction::Pay)).await;
        html(&answer, 404);
    }
    assert!(events(&gateway).is_empty());
    assert_eq!(
        gateway.retrieve_checkout(&cheaper).await,
        Err(GatewayError::NotFound)
    );
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let clock = clock();
    let before = gateway(&clock);
    let session = before.create_checkout(&checkout()).await.unwrap();
    press(&before, &session, Some(PayAction::Pay)).await;
    let first = events(&before);

    let after = gateway(&clock);
    assert_eq!(
        after.create_checkout(&checkout()).await.unwrap(),
        session,
        "the same again"
    );
    let fresh = gateway(&clock);
    let found = fresh.retrieve_checkout(&session.id).await.unwrap();
    assert_eq!(
        found,
        CheckoutSession {
            url: None,
            ..session.clone()
        }
    );
    press(&fresh, &session, Some(PayAction::Pay)).await;
    assert_eq!(events(&fresh), first, "the same payment is the same event");
    let paid = fresh.retrieve_checkout(&session.id).await.unwrap();

    let refund = RefundRequest {
        idempotency_key: "refund-1".into(),
        payment_intent: paid.payment_intent.unwrap(),
        amount: 500,
        refund_id: "rfd_1".into(),
        metadata: BTreeMap::new(),
        reason: None,
    };
    let later = gateway(&clock);
    assert_eq!(later.create_refund(&refund).await.unwrap().amount, 500);
}

#[tokio::test]
async fn a_session_ends_by_request_or_by_time_and_then_takes_no_payment() {
    let clock = clock();
    let gateway = gateway(&clock);
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    let expired = gateway
        .expire_checkout(&session.id, "expire-1")
        .await
        .unwrap();
    assert_eq!(
        (expired.status, expired.url.clone()),
        (CheckoutStatus::Expired, None)
    );
    assert_eq!(
        gateway
            .expire_checkout(&session.id, "expire-1")
            .await
            .unwrap(),
        expired
    );
    let again = gateway.expire_checkout(&session.id, "expire-2").await;
    assert!(
        matches!(again, Err(GatewayError::InvalidState(_))),
        "{again:?}"
    );
    html(&press(&gateway, &session, Some(PayAction::Pay)).await, 409);

    let request = CheckoutRequest {
        idempotency_key: "checkout-2".into(),
        ..checkout()
    };
    let left = gateway.create_checkout(&request).await.unwrap();
    clock.set(request.expires_at);
    assert!(html(&press(&gateway, &left, None).await, 200).contains("has expired"));
    html(&press(&gateway, &left, Some(PayAction::Pay)).await, 409);
    let late = gateway.expire_checkout(&left.id, "expire-3").await;
    assert!(
        matches!(late, Err(GatewayError::InvalidState(_))),
        "{late:?}"
    );

    let events = events(&gateway);
    assert_eq!(types(&events), ["checkout.session.expired"; 2]);
    assert_eq!(session_facts(&events[0]).order_id.as_deref(), Some("ord_1"));

    let request = CheckoutRequest {
        idempotency_key: "checkout-3".into(),
        ..checkout()
    };
    let late = gateway.create_checkout(&request).await;
    assert!(
        matches!(late, Err(GatewayError::Declined { .. })),
        "{late:?}"
    );
}

#[tokio::test]
async fn a_paid_session_cannot_be_expired() {
    let gateway = gateway(&clock());
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    press(&gateway, &session, Some(PayAction::Pay)).await;
    let expired = gateway.expire_checkout(&session.id, "expire-1").await;
    assert!(
        matches!(expired, Err(GatewayError::InvalidState(_))),
        "{expired:?}"
    );
}

#[tokio::test]
async fn refunds_add_up_to_the_payment_and_are_told() {
    let gateway = gateway(&clock());
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    press(&gateway, &session, Some(PayAction::Pay)).await;
    events(&gateway);
    let paid = gateway.retrieve_checkout(&session.id).await.unwrap();
    let refund = |key: &str, amount| RefundRequest {
        idempotency_key: key.into(),
        payment_intent: paid.payment_intent.clone().unwrap(),
        amount,
        refund_id: format!("rfd_{key}"),
        metadata: BTreeMap::new(),
        reason: None,
    };
    let first = gateway.create_refund(&refund("a", 2_500)).await.unwrap();
    assert_eq!(first.status, GatewayRefundStatus::Succeeded);
    assert_eq!(
        gateway.create_refund(&refund("a", 2_500)).await.unwrap(),
        first
    );
    let told = events(&gateway);
    assert_eq!(
        types(&told),
        ["refund.created", "charge.refunded", "refund.updated"]
    );
    let EventKind::RefundUpdated(facts) = &told[0].kind else {
        panic!("no refund")
    };
    assert_eq!(facts.refund_id.as_deref(), Some("rfd_a"));
    assert_eq!(facts.payment_intent, paid.payment_intent);

    let changed = gateway.create_refund(&refund("a", 2_501)).await;
    assert!(
        matches!(changed, Err(GatewayError::Protocol(_))),
        "{changed:?}"
    );
    for (key, amount) in [("b", 10_001), ("c", 0), ("d", -1)] {
        let refused = gateway.create_refund(&refund(key, amount)).await;
        assert!(
            matches!(refused, Err(GatewayError::Declined { .. })),
            "{amount}: {refused:?}"
        );
    }
    gateway.create_refund(&refund("e", 10_000)).await.unwrap();
    let told = events(&gateway);
    let EventKind::ChargeRefunded(facts) = &told[1].kind else {
        panic!("no charge")
    };
    assert_eq!(
        (facts.amount, facts.amount_refunded),
        (Some(12_500), Some(12_500))
    );
    let over = gateway.create_refund(&refund("f", 1)).await;
    assert!(
        matches!(over, Err(GatewayError::InvalidState(_))),
        "{over:?}"
    );
    let unknown = RefundRequest {
        payment_intent: "pi_1".into(),
        ..refund("g", 1)
    };
    assert_eq!(
        gateway.create_refund(&unknown).await,
        Err(GatewayError::NotFound)
    );
}

#[tokio::test]
async fn what_the_sandbox_cannot_charge_is_declined() {
    let gateway = gateway(&clock());
    let line = |amount, quantity| {
        vec![CheckoutLine {
            title: "Tea".into(),
            amount,
            quantity,
        }]
    };
    for request in [
        CheckoutRequest {
            lines: vec![],
            ..checkout()
        },
        CheckoutRequest {
            lines: line(0, 1),
            ..checkout()
        },
        CheckoutRequest {
            lines: line(-5, 1),
            ..checkout()
        },
        CheckoutRequest {
            lines: line(i64::MAX, 2),
            ..checkout()
        },
        CheckoutRequest {
            currency: "EUR".into(),
            ..checkout()
        },
        CheckoutRequest {
            currency: "e_r".into(),
            ..checkout()
        },
        CheckoutRequest {
            success_url: "javascript:alert(1)".into(),
            ..checkout()
        },
        CheckoutRequest {
            cancel_url: "back".into(),
            ..checkout()
        },
    ] {
        let refused = gateway.create_checkout(&request).await;
        assert!(
            matches!(refused, Err(GatewayError::Declined { .. })),
            "{refused:?}"
        );
    }
    gateway.create_checkout(&checkout()).await.unwrap();
    let other = CheckoutRequest {
        order_id: "ord_2".into(),
        ..checkout()
    };
    let refused = gateway.create_checkout(&other).await;
    assert!(
        matches!(refused, Err(GatewayError::Protocol(_))),
        "{refused:?}"
    );
}

/// Refuses as often as told, then accepts; checks each signature.
struct Sink {
    clock: Clock,
    refusals: Mutex<u32>,
    got: Mutex<VecDeque<String>>,
}

#[async_trait]
impl WebhookSink for Sink {
    async fn deliver(&self, body: Vec<u8>, signature_header: String) -> bool {
        StripeSignature::new(&[SECRET.into()])
            .verify(&signature_header, &body, self.clock.now())
            .unwrap();
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return false;
        }
        self.got
            .lock()
            .unwrap()
            .push_back(WebhookEvent::parse(&body).unwrap().event_type);
        true
    }
}

#[tokio::test]
async fn events_reach_the_sink_signed_and_again_when_refused() {
    let clock = clock();
    let gateway = gateway(&clock);
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    press(&gateway, &session, Some(PayAction::Later)).await;
    assert!(!gateway.deliver().await, "nobody listens yet");
    let sink = Arc::new(Sink {
        clock: clock.clone(),
        refusals: Mutex::new(1),
        got: Mutex::default(),
    });
    gateway.connect(sink.clone());
    assert!(!gateway.deliver().await, "refused once");
    assert!(gateway.deliver().await);
    press(&gateway, &session, Some(PayAction::Arrived)).await;
    let got: Vec<_> = sink.got.lock().unwrap().drain(..).collect();
    assert_eq!(
        got,
        [
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded"
        ]
    );
    assert!(gateway.take_events().is_empty());
}
