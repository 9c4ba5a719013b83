//! The Stripe gateway against the fake: what it sends, how it retries, what its errors become.

use std::time::{Duration, Instant};

use companion::{
    clock::Clock,
    integrations::payments::{
        CheckoutLine, CheckoutRequest, CheckoutStatus, GatewayError, GatewayRefundStatus,
        PaymentGateway, PaymentStatus, RefundReason, RefundRequest,
        stripe::{StripeGateway, StripeOptions},
    },
};
use jiff::{SignedDuration, Timestamp};

use crate::support::fake_stripe::{FakeStripe, SECRET_KEY, Trouble};

fn clock() -> Clock {
    Clock::manual("2026-11-21T10:00:00Z".parse().unwrap())
}

fn gateway(fake: &FakeStripe) -> StripeGateway {
    StripeGateway::new(&fake.key(), options(fake)).unwrap()
}

fn options(fake: &FakeStripe) -> StripeOptions {
    StripeOptions {
        attempt_timeout: Duration::from_secs(30),
        first_pause: Duration::from_millis(1),
        budget: Duration::from_secs(120),
        ..StripeOptions::new(fake.base.clone())
    }
}

fn checkout() -> CheckoutRequest {
    CheckoutRequest {
        idempotency_key: "checkout-1".into(),
        order_id: "ord_1".into(),
        lines: vec![
            CheckoutLine {
                title: "Massage & tea, 60 min [x]".into(),
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
        success_url: "https://app.example/done?order=1&x=y".into(),
        cancel_url: "https://app.example/back".into(),
        customer_email: Some("ann+1@example.com".into()),
        locale: Some("de".into()),
        metadata: [("booking_id".into(), "bkg_1".into())].into(),
    }
}

fn refund(payment_intent: &str, amount: i64) -> RefundRequest {
    RefundRequest {
        idempotency_key: "refund-1".into(),
        payment_intent: payment_intent.into(),
        amount,
        refund_id: "rfd_1".into(),
        metadata: [("order_id".into(), "ord_1".into())].into(),
        reason: Some(RefundReason::RequestedByCustomer),
    }
}

async fn paid_intent(fake: &FakeStripe, gateway: &StripeGateway) -> String {
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    fake.pay(&session.id).payment_intent.unwrap()
}

#[tokio::test]
async fn a_checkout_sends_what_was_asked_and_reads_the_session() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = gateway(&fake);
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    assert_eq!(session.status, CheckoutStatus::Open);
    assert_eq!(session.payment_status, PaymentStatus::Unpaid);
    assert_eq!(session.payment_intent, None);
    assert_eq!(session.amount_total, 12_500);
    assert_eq!(session.currency, "eur");
    assert_eq!(session.expires_at, checkout().expires_at);
    assert!(session.url.is_some());

    let [request] = &fake.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/checkout/sessions")
    );
    assert_eq!(request.idempotency_key.as_deref(), Some("checkout-1"));
    assert_eq!(
        request.version.as_deref(),
        Some(companion::integrations::payments::events::API_VERSION)
    );
    assert!(
        request
            .user_agent
            .as_deref()
            .unwrap()
            .contains("companion/")
    );
    let expires = checkout().expires_at.as_second().to_string();
    let expected = [
        ("cancel_url", "https://app.example/back"),
        ("client_reference_id", "ord_1"),
        ("customer_email", "ann+1@example.com"),
        ("expires_at", expires.as_str()),
        ("line_items[0][price_data][currency]", "eur"),
        (
            "line_items[0][price_data][product_data][name]",
            "Massage & tea, 60 min [x]",
        ),
        ("line_items[0][price_data][unit_amount]", "6000"),
        ("line_items[0][quantity]", "2"),
        ("line_items[1][price_data][currency]", "eur"),
        ("line_items[1][price_data][product_data][name]", "Fahrt"),
        ("line_items[1][price_data][unit_amount]", "500"),
        ("line_items[1][quantity]", "1"),
        ("locale", "de"),
        ("metadata[booking_id]", "bkg_1"),
        ("metadata[order_id]", "ord_1"),
        ("mode", "payment"),
        ("payment_intent_data[metadata][booking_id]", "bkg_1"),
        ("payment_intent_data[metadata][order_id]", "ord_1"),
        ("success_url", "https://app.example/done?order=1&x=y"),
    ];
    let sent: Vec<_> = request
        .form
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_language_without_a_page_is_left_out() {
    let fake = FakeStripe::start(clock()).await;
    let request = CheckoutRequest {
        locale: Some("tlh".into()),
        ..checkout()
    };
    gateway(&fake).create_checkout(&request).await.unwrap();
    assert!(!fake.requests()[0].form.contains_key("locale"));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key_and_makes_one_session() {
    let fake = FakeStripe::start(clock()).await;
    fake.trouble(Trouble::LoseAnswer, 2);
    let session = gateway(&fake).create_checkout(&checkout()).await.unwrap();
    assert_eq!(fake.sessions(), [session.id]);
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests
            .iter()
            .all(|r| r.idempotency_key.as_deref() == Some("checkout-1"))
    );
    assert!(requests.iter().all(|r| r.form == requests[0].form));
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_given_up_and_repeated() {
    let fake = FakeStripe::start(clock()).await;
    fake.trouble(Trouble::Hang, 1);
    let options = StripeOptions {
        attempt_timeout: Duration::from_secs(1),
        ..options(&fake)
    };
    let gateway = StripeGateway::new(&fake.key(), options).unwrap();
    let session = gateway.create_checkout(&checkout()).await.unwrap();
    assert_eq!(fake.sessions(), [session.id]);
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_silent_stripe_costs_no_more_than_the_budget() {
    let fake = FakeStripe::start(clock()).await;
    fake.trouble(Trouble::Hang, 100);
    let options = StripeOptions {
        attempts: 100,
        budget: Duration::from_millis(300),
        ..options(&fake)
    };
    let gateway = StripeGateway::new(&fake.key(), options).unwrap();
    let started = Instant::now();
    let error = gateway.create_checkout(&checkout()).await.unwrap_err();
    assert!(matches!(error, GatewayError::Unavailable(_)), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "an attempt alone may take 30 s"
    );
}

#[tokio::test]
async fn what_passes_is_repeated_and_what_stays_is_unavailable() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = gateway(&fake);
    for trouble in [
        Trouble::Status(409),
        Trouble::Status(429),
        Trouble::Status(500),
        Trouble::Status(503),
        Trouble::Garbage,
    ] {
        let before = fake.requests().len();
        fake.trouble(trouble, 2);
        gateway.create_checkout(&checkout()).await.unwrap();
        assert_eq!(fake.requests().len() - before, 3, "{trouble:?}");

        let before = fake.requests().len();
        fake.trouble(trouble, 3);
        let error = gateway.create_checkout(&checkout()).await.unwrap_err();
        assert!(error.is_temporary(), "{trouble:?}: {error}");
        assert_eq!(fake.requests().len() - before, 3, "{trouble:?}");
    }
    assert_eq!(fake.sessions().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = gateway(&fake);
    for (status, expected) in [
        (400, "Declined"),
        (402, "Declined"),
        (401, "Unauthorized"),
        (403, "Unauthorized"),
        (404, "NotFound"),
        (418, "Protocol"),
    ] {
        let before = fake.requests().len();
        fake.trouble(Trouble::Status(status), 1);
        let error = gateway.create_checkout(&checkout()).await.unwrap_err();
        assert!(
            format!("{error:?}").starts_with(expected),
            "{status}: {error:?}"
        );
        assert_eq!(fake.requests().len() - before, 1, "{status}");
    }
}

#[tokio::test]
async fn a_declined_request_says_stripes_code() {
    let fake = FakeStripe::start(clock()).await;
    let line = CheckoutLine {
        title: "Tea".into(),
        amount: 10,
        quantity: 1,
    };
    let request = CheckoutRequest {
        lines: vec![line],
        ..checkout()
    };
    let error = gateway(&fake).create_checkout(&request).await.unwrap_err();
    assert!(
        matches!(&error, GatewayError::Declined { code, .. } if code == "amount_too_small"),
        "{error}"
    );
}

#[tokio::test]
async fn one_key_for_two_requests_is_a_mistake_of_ours() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = gateway(&fake);
    gateway.create_checkout(&checkout()).await.unwrap();
    let other = CheckoutRequest {
        order_id: "ord_2".into(),
        ..checkout()
    };
    let error = gateway.create_checkout(&other).await.unwrap_err();
    assert!(matches!(error, GatewayError::Protocol(_)), "{error}");
    for key in ["", "a key", "clé", &"k".repeat(256)] {
        let request = CheckoutRequest {
            idempotency_key: key.to_owned(),
            ..checkout()
        };
        let error = gateway.create_checkout(&request).await.unwrap_err();
        assert!(matches!(error, GatewayError::Protocol(_)), "{error}");
    }
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_wrong_key_is_unauthorized() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = StripeGateway::new(&"sk_test_other".into(), options(&fake)).unwrap();
    let error = gateway.create_checkout(&checkout()).await.unwrap_err();
    assert_eq!(error, GatewayError::Unauthorized);
    for bad in ["", "sk test", "sk_\u{e9}"] {
        assert!(
            StripeGateway::new(&bad.into(), options(&fake)).is_err(),
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn the_key_says_whether_money_is_real() {
    let fake = FakeStripe::start(clock()).await;
    for (key, live) in [
        (SECRET_KEY, false),
        ("rk_test_1", false),
        ("sk_live_1", true),
        ("rk_live_1", true),
    ] {
        let gateway = StripeGateway::new(&key.into(), options(&fake)).unwrap();
        assert_eq!(gateway.livemode(), live, "{key}");
    }
}

#[tokio::test]
async fn an_open_session_can_be_expired_and_a_complete_one_cannot() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = gateway(&fake);
    let open = gateway.create_checkout(&checkout()).await.unwrap();
    fake.trouble(Trouble::LoseAnswer, 1);
    let expired = gateway.expire_checkout(&open.id, "expire-1").await.unwrap();
    assert_eq!(expired.status, CheckoutStatus::Expired);
    assert_eq!(expired.url, None);
    let error = gateway
        .expire_checkout(&open.id, "expire-2")
        .await
        .unwrap_err();
    assert!(matches!(error, GatewayError::InvalidState(_)), "{error}");

    let request = CheckoutRequest {
        idempotency_key: "checkout-2".into(),
        ..checkout()
    };
    let paid = gateway.create_checkout(&request).await.unwrap();
    fake.pay(&paid.id);
    let error = gateway
        .expire_checkout(&paid.id, "expire-3")
        .await
        .unwrap_err();
    assert!(matches!(error, GatewayError::InvalidState(_)), "{error}");
    let error = gateway
        .expire_checkout("cs_test_none", "expire-4")
        .await
        .unwrap_err();
    assert_eq!(error, GatewayError::NotFound);
}

#[tokio::test]
async fn a_session_is_retrieved_as_it_is_now() {
    let clock = clock();
    let fake = FakeStripe::start(clock.clone()).await;
    let gateway = gateway(&fake);
    let created = gateway.create_checkout(&checkout()).await.unwrap();
    assert_eq!(
        gateway.retrieve_checkout(&created.id).await.unwrap(),
        created
    );
    fake.pay_later(&created.id);
    let pending = gateway.retrieve_checkout(&created.id).await.unwrap();
    assert_eq!(pending.status, CheckoutStatus::Complete);
    assert_eq!(pending.payment_status, PaymentStatus::Unpaid);
    fake.pay(&created.id);
    let paid = gateway.retrieve_checkout(&created.id).await.unwrap();
    assert_eq!(paid.payment_status, PaymentStatus::Paid);
    assert!(paid.payment_intent.is_some());

    let request = CheckoutRequest {
        idempotency_key: "checkout-2".into(),
        ..checkout()
    };
    let left = gateway.create_checkout(&request).await.unwrap();
    clock.advance(SignedDuration::from_mins(45));
    let left = gateway.retrieve_checkout(&left.id).await.unwrap();
    assert_eq!(left.status, CheckoutStatus::Expired);
    assert!(
        fake.requests()
            .iter()
            .all(|r| r.method == "POST" || r.idempotency_key.is_none())
    );
}

#[tokio::test]
async fn no_id_reaches_another_path() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = gateway(&fake);
    for id in [
        "",
        "..",
        "cs_1/expire",
        "cs_1?x=1",
        "cs_1#x",
        "cs_1%2f",
        "cs 1",
        &"c".repeat(256),
    ] {
        assert_eq!(
            gateway.retrieve_checkout(id).await,
            Err(GatewayError::NotFound),
            "{id:?}"
        );
        assert_eq!(
            gateway.expire_checkout(id, "k").await,
            Err(GatewayError::NotFound),
            "{id:?}"
        );
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_session_must_live_between_half_an_hour_and_a_day() {
    let clock = clock();
    let fake = FakeStripe::start(clock.clone()).await;
    let gateway = gateway(&fake);
    let now: Timestamp = clock.now();
    for (index, (minutes, fits)) in [
        (29, false),
        (30, true),
        (24 * 60, true),
        (24 * 60 + 1, false),
    ]
    .into_iter()
    .enumerate()
    {
        let request = CheckoutRequest {
            idempotency_key: format!("checkout-{index}"),
            expires_at: now + SignedDuration::from_mins(minutes),
            ..checkout()
        };
        assert_eq!(
            gateway.create_checkout(&request).await.is_ok(),
            fits,
            "{minutes}"
        );
    }
}

#[tokio::test]
async fn a_refund_is_made_once_however_often_its_answer_is_lost() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = gateway(&fake);
    let intent = paid_intent(&fake, &gateway).await;
    fake.trouble(Trouble::LoseAnswer, 2);
    let made = gateway
        .create_refund(&refund(&intent, 2_500))
        .await
        .unwrap();
    assert_eq!(made.status, GatewayRefundStatus::Succeeded);
    assert_eq!(made.amount, 2_500);
    assert_eq!(
        gateway
            .create_refund(&refund(&intent, 2_500))
            .await
            .unwrap(),
        made
    );
    assert_eq!(fake.refunds(), 1);
    let sent = fake.requests().pop().unwrap();
    assert_eq!(sent.idempotency_key.as_deref(), Some("refund-1"));
    let sent: Vec<_> = sent
        .form
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    let expected = [
        ("amount", "2500"),
        ("metadata[order_id]", "ord_1"),
        ("metadata[refund_id]", "rfd_1"),
        ("payment_intent", intent.as_str()),
        ("reason", "requested_by_customer"),
    ];
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn refunds_that_stripe_refuses_say_why() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = gateway(&fake);
    let intent = paid_intent(&fake, &gateway).await;
    let asked = |key: &str, intent: &str, amount| RefundRequest {
        idempotency_key: key.into(),
        ..refund(intent, amount)
    };
    let error = gateway
        .create_refund(&asked("a", &intent, 12_501))
        .await
        .unwrap_err();
    assert!(matches!(error, GatewayError::Declined { .. }), "{error}");
    let error = gateway
        .create_refund(&asked("b", "pi_none", 1))
        .await
        .unwrap_err();
    assert_eq!(error, GatewayError::NotFound);

    fake.set_refund_status("pending");
    let made = gateway
        .create_refund(&asked("c", &intent, 12_500))
        .await
        .unwrap();
    assert_eq!(made.status, GatewayRefundStatus::Pending);
    let error = gateway
        .create_refund(&asked("d", &intent, 1))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        GatewayError::InvalidState("charge_already_refunded".into())
    );
    fake.dispute(&intent);
    let error = gateway
        .create_refund(&asked("e", &intent, 1))
        .await
        .unwrap_err();
    assert_eq!(error, GatewayError::InvalidState("charge_disputed".into()));
}

#[tokio::test]
async fn a_word_that_we_do_not_know_is_no_guess() {
    let fake = FakeStripe::start(clock()).await;
    let gateway = gateway(&fake);
    let intent = paid_intent(&fake, &gateway).await;
    fake.set_refund_status("some_new_word");
    let error = gateway
        .create_refund(&refund(&intent, 1))
        .await
        .unwrap_err();
    assert!(matches!(error, GatewayError::Protocol(_)), "{error}");
}
