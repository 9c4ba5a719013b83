//! The sandbox's pay page: plain HTML that needs no script.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use html_escape::encode_quoted_attribute;
use sha2::{Digest, Sha256};
use url::Url;

use super::{super::webhook_event::SessionChange, SandboxOrder, Stage, link::SessionId};
use crate::money::{Currency, Money};

/// What a button of the page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayAction {
    /// Pays at once.
    Pay,
    /// The card is declined; the session stays open.
    Decline,
    /// Pays by something slow: complete and unpaid for now.
    Later,
    /// The slow payment arrives.
    Arrived,
    /// The slow payment fails.
    Failed,
}

impl PayAction {
    /// From the form's `action`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "pay" => Some(Self::Pay),
            "decline" => Some(Self::Decline),
            "later" => Some(Self::Later),
            "arrived" => Some(Self::Arrived),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }

    /// Where a session in this stage goes and what is told of it; `None` when nothing happens.
    pub(super) const fn applied_to(self, stage: Stage) -> Option<(Stage, SessionChange)> {
        match (stage, self) {
            (Stage::Open, Self::Pay) => Some((Stage::Paid, SessionChange::Completed)),
            (Stage::Open, Self::Later) => Some((Stage::Pending, SessionChange::Completed)),
            // After a restart a pending session reads as open, and its page may still be.
            (Stage::Open | Stage::Pending, Self::Arrived) => {
                Some((Stage::Paid, SessionChange::AsyncPaymentSucceeded))
            }
            (Stage::Open | Stage::Pending, Self::Failed) => {
                Some((Stage::Failed, SessionChange::AsyncPaymentFailed))
            }
            _ => None,
        }
    }
}

/// What the page answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayAnswer {
    /// A page.
    Page {
        /// Its HTTP status.
        status: u16,
        /// Its text.
        html: String,
        /// Its `Content-Security-Policy`.
        policy: String,
    },
    /// Back to the shop (303).
    Return(String),
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1d21;--dim:#5c606b;--paper:#fff;--ground:#f1f2f5;--line:#d9dbe1;--main:#3d4fd6;--on-main:#fff}\
@media(prefers-color-scheme:dark){:root{--ink:#ecedf1;--dim:#a4a8b4;--paper:#1f2127;--ground:#14151a;--line:#3a3d47;--main:#8e9bff;--on-main:#14151a}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{width:100%;max-width:28rem;padding:2rem;background:var(--paper);border:1px solid var(--line);border-radius:.75rem}\
h1{margin:0 0 .25rem;font-size:1.4rem;line-height:1.25}\
p{margin:.5rem 0;overflow-wrap:anywhere}.dim{color:var(--dim);font-size:.9rem}\
table{width:100%;margin:1.25rem 0;border-collapse:collapse}\
td,th{padding:.5rem 0;border-top:1px solid var(--line);text-align:left;font-weight:400;vertical-align:top;overflow-wrap:anywhere}\
td{padding-left:1rem;text-align:right;white-space:nowrap}\
tfoot th,tfoot td{font-weight:700}\
form{display:grid;gap:.6rem}\
button{padding:.7rem 1rem;border:1px solid var(--line);border-radius:.5rem;background:transparent;color:var(--ink);font:inherit;cursor:pointer}\
button.main{border-color:var(--main);background:var(--main);color:var(--on-main);font-weight:600}\
button:focus-visible,a:focus-visible{outline:3px solid var(--main);outline-offset:2px}\
a{color:var(--main)}\
.note{padding:.75rem 1rem;border:1px solid var(--line);border-left:4px solid var(--main);border-radius:.25rem}";

/// The answer to an address that isn't ours.
pub(super) fn no_such_page() -> PayAnswer {
    let body = "<h1>No such payment</h1><p>This address is not one of the sandbox's.</p>";
    page(404, "No such payment", body, &[])
}

/// The answer to a visit that left the session in `stage`, by `change` if it changed.
pub(super) fn answer(
    session: &SessionId,
    order: &SandboxOrder,
    stage: Stage,
    action: Option<PayAction>,
    change: Option<SessionChange>,
) -> PayAnswer {
    if stage == Stage::Paid && change.is_some() {
        return PayAnswer::Return(order.success_url.clone());
    }
    let status = if action.is_some() && change.is_none() && action != Some(PayAction::Decline) {
        409
    } else {
        200
    };
    let (title, text, buttons, back) = match stage {
        Stage::Open if action == Some(PayAction::Decline) => (
            "Your order",
            "The card was declined. Nothing was charged; you can try again.",
            PAY_BUTTONS,
            (&order.cancel_url, "Go back without paying"),
        ),
        Stage::Open => (
            "Your order",
            "",
            PAY_BUTTONS,
            (&order.cancel_url, "Go back without paying"),
        ),
        Stage::Pending => (
            "Payment on its way",
            "The order waits for the money. Decide here whether it arrives.",
            PENDING_BUTTONS,
            (&order.success_url, "Continue"),
        ),
        Stage::Paid => (
            "Paid",
            "This order is paid.",
            NO_BUTTONS,
            (&order.success_url, "Continue"),
        ),
        Stage::Failed => (
            "Payment failed",
            "The money did not arrive. Nothing was charged.",
            NO_BUTTONS,
            (&order.cancel_url, "Go back"),
        ),
        Stage::Expired => (
            "This payment has expired",
            "Nothing was charged, and nobody can pay here any more.",
            NO_BUTTONS,
            (&order.cancel_url, "Go back"),
        ),
    };
    let mut body = format!("<p class=\"dim\">Sandbox: no real money</p><h1>{title}</h1>");
    if !text.is_empty() {
        let _ = write!(body, "<p class=\"note\" role=\"status\">{text}</p>");
    }
    write_lines(&mut body, session, order);
    if !buttons.is_empty() {
        // Without an action the form goes to the page's own address, query included.
        body.push_str("<form method=\"post\">");
        for (word, class, label) in buttons {
            let _ = write!(
                body,
                "<button name=\"action\" value=\"{word}\" class=\"{class}\">{label}</button>"
            );
        }
        body.push_str("</form>");
    }
    let (url, label) = back;
    let _ = write!(
        body,
        "<p><a href=\"{}\">{label}</a></p>",
        encode_quoted_attribute(url)
    );
    // A browser holds a form's target against the policy after a redirect too.
    page(
        status,
        title,
        &body,
        &[&order.success_url, &order.cancel_url],
    )
}

type Button = (&'static str, &'static str, &'static str);

const PAY_BUTTONS: &[Button] = &[
    ("pay", "main", "Pay"),
    ("later", "", "Pay later (asynchronous)"),
    ("decline", "", "Decline"),
];
const PENDING_BUTTONS: &[Button] = &[
    ("arrived", "main", "Payment arrived"),
    ("failed", "", "Payment failed"),
];
const NO_BUTTONS: &[Button] = &[];

fn write_lines(body: &mut String, session: &SessionId, order: &SandboxOrder) {
    let _ = write!(
        body,
        "<p class=\"dim\">Order {}</p>",
        encode_quoted_attribute(&order.order_id)
    );
    body.push_str("<table><tbody>");
    for (title, amount, quantity) in &order.lines {
        let times = if *quantity == 1 {
            String::new()
        } else {
            format!("{quantity} × ")
        };
        let _ = write!(
            body,
            "<tr><th scope=\"row\">{}</th><td>{times}{}</td></tr>",
            encode_quoted_attribute(title),
            encode_quoted_attribute(&formatted(*amount, &session.currency)),
        );
    }
    let _ = write!(
        body,
        "</tbody><tfoot><tr><th scope=\"row\">Total</th><td>{}</td></tr></tfoot></table>",
        encode_quoted_attribute(&formatted(session.amount, &session.currency)),
    );
}

fn formatted(amount: i64, currency: &str) -> String {
    let code = currency.to_ascii_uppercase();
    Currency::parse(&code)
        .and_then(|currency| Money::from_gateway(amount, currency))
        .map_or_else(|_| format!("{amount} {code}"), Money::formatted)
}

fn page(status: u16, title: &str, body: &str, targets: &[&str]) -> PayAnswer {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{}</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>",
        encode_quoted_attribute(title)
    );
    let mut policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self'",
        STANDARD.encode(Sha256::digest(STYLE))
    );
    for target in targets {
        // An origin has no space, comma or semicolon that could end the directive.
        if let Ok(url) = Url::parse(target) {
            let _ = write!(policy, " {}", url.origin().ascii_serialization());
        }
    }
    PayAnswer::Page {
        status,
        html,
        policy,
    }
}
