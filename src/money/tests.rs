use proptest::prelude::*;

use super::*;

fn money(amount: i64, code: &str) -> Money {
    Money::new(amount, Currency::parse(code).unwrap()).unwrap()
}

#[test]
fn the_list_is_sorted_and_sane() {
    assert!(
        CURRENCIES
            .windows(2)
            .all(|pair| pair[0].code < pair[1].code)
    );
    for info in CURRENCIES {
        assert!(info.code.len() == 3 && info.code.bytes().all(|b| b.is_ascii_uppercase()));
        assert!(info.exponent <= 3 && info.gateway_exponent <= 3);
        let (times, per) = info.gateway_ratio();
        assert!(times == 1 || per == 1);
        assert_eq!(
            info.granularity % per,
            0,
            "{}: a step is no whole gateway unit",
            info.code
        );
    }
    let symbols: Vec<_> = CURRENCIES
        .iter()
        .map(|i| i.symbol)
        .filter(|s| !s.is_empty())
        .collect();
    let distinct: std::collections::BTreeSet<_> = symbols.iter().collect();
    assert_eq!(
        distinct.len(),
        symbols.len(),
        "a symbol names two currencies"
    );
}

#[test]
fn codes_are_exact() {
    assert_eq!(Currency::parse("EUR").unwrap().code(), "EUR");
    for code in ["eur", "EU", "EURO", "XXX", "", "BGN"] {
        assert_eq!(
            Currency::parse(code),
            Err(MoneyError::UnknownCurrency),
            "{code}"
        );
    }
    let read: Currency = serde_json::from_str("\"KWD\"").unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), "\"KWD\"");
}

#[test]
fn the_gateway_counts_in_its_own_units() {
    for (minor, code, gateway) in [
        (1250, "EUR", 1250),
        (500, "JPY", 500),
        (1250, "KWD", 1250),
        (5, "ISK", 500),
        (5, "UGX", 500),
        (500, "MGA", 5),
        (17_550, "HUF", 17_550),
        (100, "TWD", 100),
        (-500, "MGA", -5),
    ] {
        assert_eq!(money(minor, code).to_gateway(), Ok(gateway), "{code}");
        let back = Money::from_gateway(gateway, Currency::parse(code).unwrap());
        assert_eq!(back, Ok(money(minor, code)), "{code}");
    }
}

#[test]
fn what_the_gateway_cannot_say_is_refused() {
    assert_eq!(
        money(1251, "KWD").to_gateway(),
        Err(MoneyError::NotAMultiple(money(10, "KWD")))
    );
    assert_eq!(
        money(120, "MGA").to_gateway(),
        Err(MoneyError::NotAMultiple(money(100, "MGA")))
    );
    let isk = Currency::parse("ISK").unwrap();
    assert_eq!(
        Money::from_gateway(550, isk),
        Err(MoneyError::NotRepresentable)
    );
    assert_eq!(
        Money::from_gateway(i64::MAX / 100 * 100, isk),
        Err(MoneyError::OutOfRange)
    );
    let mga = Currency::parse("MGA").unwrap();
    assert_eq!(
        Money::from_gateway(i64::MAX, mga),
        Err(MoneyError::OutOfRange)
    );
}

#[test]
fn a_price_is_free_or_chargeable() {
    for (amount, code) in [
        (0, "EUR"),
        (50, "EUR"),
        (99_999_999, "EUR"),
        (50, "JPY"),
        (10, "KWD"),
        (1, "ISK"),
        (999_999, "ISK"),
        (1, "UGX"),
        (100, "MGA"),
        (9_999_999_900, "MGA"),
        (999_999_999_999, "IDR"),
    ] {
        assert_eq!(money(amount, code).check_price(), Ok(()), "{amount} {code}");
    }
    for (amount, code, error) in [
        (-1, "EUR", MoneyError::Negative),
        (49, "EUR", MoneyError::BelowMinimum(money(50, "EUR"))),
        (
            100_000_000,
            "EUR",
            MoneyError::AboveMaximum(money(99_999_999, "EUR")),
        ),
        (49, "JPY", MoneyError::BelowMinimum(money(50, "JPY"))),
        (
            17_499,
            "HUF",
            MoneyError::BelowMinimum(money(17_500, "HUF")),
        ),
        (5, "KWD", MoneyError::BelowMinimum(money(10, "KWD"))),
        (1_255, "KWD", MoneyError::NotAMultiple(money(10, "KWD"))),
        (
            1_000_000,
            "ISK",
            MoneyError::AboveMaximum(money(999_999, "ISK")),
        ),
        (150, "MGA", MoneyError::NotAMultiple(money(100, "MGA"))),
    ] {
        assert_eq!(
            money(amount, code).check_price(),
            Err(error),
            "{amount} {code}"
        );
    }
    assert_eq!(
        money(0, "EUR").check_chargeable(),
        Err(MoneyError::BelowMinimum(money(50, "EUR")))
    );
}

#[test]
fn amounts_are_written_plainly() {
    for (amount, code, text) in [
        (1250, "EUR", "€12.50"),
        (5, "EUR", "€0.05"),
        (-300, "USD", "-$3.00"),
        (1200, "JPY", "¥1,200"),
        (1250, "KWD", "KWD 1.250"),
        (-7, "KWD", "-KWD 0.007"),
        (500, "ISK", "ISK 500"),
        (50_000, "MGA", "MGA 500.00"),
        (123_456_789, "USD", "$1,234,567.89"),
    ] {
        assert_eq!(money(amount, code).formatted(), text);
    }
}

#[test]
fn halves_go_to_the_even_step() {
    for (amount, code, basis_points, expected) in [
        (5, "EUR", 5000, 2),
        (7, "EUR", 5000, 4),
        (-5, "EUR", 5000, -2),
        (-7, "EUR", 5000, -4),
        (1250, "KWD", 5000, 620),
        (1270, "KWD", 5000, 640),
        (500, "MGA", 5000, 200),
        (1, "JPY", 5000, 0),
        (1000, "USD", 333, 33),
        (3, "EUR", 10_000, 3),
        (3, "EUR", 0, 0),
    ] {
        let share = money(amount, code).percentage(basis_points).unwrap();
        assert_eq!(
            share.amount_minor(),
            expected,
            "{basis_points} bp of {amount} {code}"
        );
    }
    assert_eq!(
        money(1, "EUR").percentage(10_001),
        Err(MoneyError::NotAShare)
    );
}

#[test]
fn the_remainder_stays_with_the_payer() {
    let share = money(2501, "EUR").refund_share(50).unwrap();
    assert_eq!(
        (share.kept, share.refunded),
        (money(1250, "EUR"), money(1251, "EUR"))
    );
    let all = money(2501, "EUR").refund_share(100).unwrap();
    assert_eq!(
        (all.kept, all.refunded),
        (money(0, "EUR"), money(2501, "EUR"))
    );
    let none = money(2501, "EUR").refund_share(0).unwrap();
    assert_eq!(
        (none.kept, none.refunded),
        (money(2501, "EUR"), money(0, "EUR"))
    );
    assert_eq!(
        money(1, "EUR").refund_share(101),
        Err(MoneyError::NotAShare)
    );
}

#[test]
fn sums_are_checked() {
    let most = money(MAX_AMOUNT_MINOR, "EUR");
    assert_eq!(
        most.checked_add(money(1, "EUR")),
        Err(MoneyError::OutOfRange)
    );
    assert_eq!(
        money(1, "EUR").checked_sub(money(1, "USD")),
        Err(MoneyError::CurrencyMismatch)
    );
    assert_eq!(most.checked_mul(i64::MAX), Err(MoneyError::OutOfRange));
    assert_eq!(
        Money::new(i64::MIN, Currency::parse("EUR").unwrap()),
        Err(MoneyError::OutOfRange)
    );
    let eur = Currency::parse("EUR").unwrap();
    assert_eq!(
        Money::sum(eur, [money(1, "EUR"), money(2, "EUR")]),
        Ok(money(3, "EUR"))
    );
    assert_eq!(
        Money::sum(eur, [money(1, "USD")]),
        Err(MoneyError::CurrencyMismatch)
    );
    assert_eq!(Money::sum(eur, []), Ok(money(0, "EUR")));
}

fn any_currency() -> impl Strategy<Value = Currency> {
    (0..CURRENCIES.len()).prop_map(|index| Currency::all().nth(index).unwrap())
}

proptest! {
    #[test]
    fn parts_sum_to_the_whole(amount in 0..=MAX_AMOUNT_MINOR, currency in any_currency(),
                              percent in 0_u32..=100) {
        let whole = Money::new(amount, currency).unwrap();
        let share = whole.refund_share(percent).unwrap();
        prop_assert_eq!(share.kept.checked_add(share.refunded), Ok(whole));
        prop_assert!(share.kept.amount_minor() >= 0 && share.refunded.amount_minor() >= 0);
    }

    #[test]
    fn a_share_of_what_can_be_charged_can_be_refunded(steps in 1_i64..99_999, percent in 0_u32..=100,
                                                      currency in any_currency()) {
        let whole = Money::new(steps * currency.info().granularity, currency).unwrap();
        let share = whole.refund_share(percent).unwrap();
        prop_assert!(share.refunded.to_gateway().is_ok());
    }

    #[test]
    fn a_share_is_within_half_a_step_of_the_exact_one(amount in -1_000_000_i64..1_000_000,
                                                      currency in any_currency(),
                                                      basis_points in 0_u32..10_000) {
        let share = Money::new(amount, currency).unwrap().percentage(basis_points).unwrap();
        let exact = i128::from(amount) * i128::from(basis_points);
        let off = (i128::from(share.amount_minor()) * 10_000 - exact).abs();
        let half_step = i128::from(currency.info().granularity) * 5_000;
        prop_assert!(off <= half_step || amount.abs() < currency.info().granularity);
    }

    #[test]
    fn the_gateway_gives_back_what_it_got(steps in -1_000_000_i64..1_000_000,
                                          currency in any_currency()) {
        let amount = Money::new(steps * currency.info().granularity, currency).unwrap();
        prop_assert_eq!(Money::from_gateway(amount.to_gateway().unwrap(), currency), Ok(amount));
    }

    #[test]
    fn what_is_chargeable_is_within_the_gateways_limits(currency in any_currency(),
                                                        amount in -10_i64..2_000_000_000_000) {
        let price = Money::new(amount, currency).unwrap();
        if price.check_chargeable().is_ok() {
            let gateway = price.to_gateway().unwrap();
            let info = currency.info();
            prop_assert!((info.gateway_minimum..=info.gateway_maximum).contains(&gateway));
        }
    }
}
