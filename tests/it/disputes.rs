//! Disputes that are lost: what the client's bank took is gone, and nothing more (rule 10).

use companion::integrations::payments::{
    events::{DisputeObject, SessionObject, dispute_event},
    webhook_event::DisputeStatus,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Answer, paid::Shop};

/// The word of a dispute over a part of the payment.
fn dispute(
    shop: &Shop,
    number: i64,
    status: DisputeStatus,
    amount: i64,
    of: &SessionObject,
) -> Value {
    let object = DisputeObject {
        id: "dp_1".to_owned(),
        charge: "ch_1".to_owned(),
        payment_intent: of.payment_intent.clone().unwrap(),
        amount,
        currency: "eur".to_owned(),
    };
    dispute_event(&shop.head(number), status, &object)
}

fn refundable(answer: &Answer) -> &Value {
    &answer.data()["refundCreate"]["userErrors"][0]["details"]["refundableMinor"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partly_lost_dispute_leaves_the_rest_to_refund() {
    let shop = Shop::open().await;
    let (order, object) = shop.paid().await;
    let opened = dispute(&shop, 2, DisputeStatus::Open, 2000, &object);
    assert_eq!(shop.tell(&opened).await, 200);
    let held = shop.ask_refund(&order, Some(1), "held").await;
    assert_eq!(held.user_error_codes("refundCreate"), ["INVALID_STATE"]);
    let lost = dispute(&shop, 3, DisputeStatus::Lost, 2000, &object);
    assert_eq!(shop.tell(&lost).await, 200);
    let seen = shop.seen(&order).await;
    assert_eq!(seen["disputedAt"], json!(null));
    assert_eq!(seen["lost"]["amountMinor"], 2000);
    assert_eq!(seen["state"], "PAID");
    let why = seen["needsAttention"].as_str().unwrap();
    assert!(
        why.contains("dp_1 is lost") && why.contains("€20.00"),
        "{why}"
    );

    let beyond = shop.ask_refund(&order, Some(3001), "beyond").await;
    assert_eq!(beyond.user_error_codes("refundCreate"), ["INVALID_INPUT"]);
    assert_eq!(refundable(&beyond), 3000);
    // What cancelling gives back is what is left, and the quote says so before.
    let id = shop.booking.to_string();
    let quote = format!("{{ bookingCancelQuote(id: \"{id}\") {{ refund {{ amountMinor }} }} }}");
    let quote = shop.client.query(&quote).await;
    assert_eq!(
        quote.data()["bookingCancelQuote"]["refund"]["amountMinor"],
        3000
    );
    let rest = shop.ask_refund(&order, None, "rest").await;
    assert_eq!(
        rest.payload("refundCreate")["refund"]["amount"]["amountMinor"],
        3000
    );
    shop.app.run_jobs().await;
    let more = shop.ask_refund(&order, None, "more").await;
    assert_eq!(more.user_error_codes("refundCreate"), ["INVALID_STATE"]);
    let seen = shop.seen(&order).await;
    assert_eq!(seen["state"], "PARTIALLY_REFUNDED");
    assert_eq!(seen["refunds"][0]["state"], "SUCCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_beats_won_whatever_comes_first() {
    use DisputeStatus::{Lost, Open, Won};
    let mut outcomes = Vec::new();
    for order_of in [[Open, Won, Lost], [Lost, Won, Open], [Won, Lost, Open]] {
        let shop = Shop::open().await;
        let (order, object) = shop.paid().await;
        for status in order_of {
            let number = match status {
                Open => 2,
                Won => 3,
                Lost => 4,
            };
            let event = dispute(&shop, number, status, 2000, &object);
            for _ in 0..2 {
                assert_eq!(shop.tell(&event).await, 200);
            }
        }
        let seen = shop.seen(&order).await;
        assert_eq!(seen["lost"]["amountMinor"], 2000, "{order_of:?}");
        let kept = (
            seen["state"].clone(),
            seen["disputedAt"].clone(),
            seen["needsAttention"].clone(),
            shop.app.number("SELECT version FROM orders").await,
        );
        outcomes.push(kept);
    }
    assert!(
        outcomes.iter().all(|kept| *kept == outcomes[0]),
        "{outcomes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_refund_that_a_lost_dispute_leaves_no_money_for_is_never_sent() {
    let shop = Shop::open().await;
    let (order, object) = shop.paid().await;
    for (amount, key) in [(2500, "a"), (1000, "b")] {
        shop.ask_refund(&order, Some(amount), key)
            .await
            .payload("refundCreate");
    }
    let opened = dispute(&shop, 2, DisputeStatus::Open, 3000, &object);
    assert_eq!(shop.tell(&opened).await, 200);
    shop.app.run_jobs().await;
    assert_eq!(shop.stripe.refunds(), 0);
    let lost = dispute(&shop, 3, DisputeStatus::Lost, 3000, &object);
    assert_eq!(shop.tell(&lost).await, 200);
    shop.app.advance(SignedDuration::from_hours(1)).await;
    let seen = shop.seen(&order).await;
    let states: Vec<&str> = seen["refunds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refund| refund["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["FAILED", "SUCCEEDED"]);
    assert_eq!(shop.stripe.refunds(), 1);
    assert_eq!(seen["refunded"]["amountMinor"], 1000);
    // Staff decide about what is left.
    assert!(seen["needsAttention"].as_str().unwrap().contains("failed"));
    let rest = shop.ask_refund(&order, None, "rest").await;
    assert_eq!(
        rest.payload("refundCreate")["refund"]["amount"]["amountMinor"],
        1000
    );
}
