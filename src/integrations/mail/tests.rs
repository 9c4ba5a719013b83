use super::*;

fn mail() -> Mail {
    Mail {
        id: "ecd_01".to_owned(),
        to: "ada@example.com".to_owned(),
        language: "ru",
        subject: "Компаньон: подтвердите адрес".to_owned(),
        text: "Код: 123456\n".to_owned(),
        html: "<p>Код: 123456</p>".to_owned(),
        sent_at: "2026-11-21T12:00:00Z".parse().unwrap(),
    }
}

fn formatted(mail: &Mail, from: &str) -> String {
    let message = message::message(mail, &from.parse().unwrap()).unwrap();
    String::from_utf8(message.formatted()).unwrap()
}

#[test]
fn a_message_is_the_same_each_time_and_needs_no_answer() {
    let from = "Companion <no-reply@example.org>";
    let text = formatted(&mail(), from);
    assert_eq!(text, formatted(&mail(), from));
    for line in [
        "From: Companion <no-reply@example.org>\r\n",
        "To: ada@example.com\r\n",
        "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n",
        "Message-ID: <ecd_01@example.org>\r\n",
        "Content-Language: ru\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "MIME-Version: 1.0\r\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.contains("multipart/alternative"));
    assert!(text.contains("text/plain; charset=utf-8"));
    assert!(text.contains("text/html; charset=utf-8"));
    assert!(text.is_ascii());
}

#[test]
fn no_header_can_be_smuggled_in() {
    let mut mail = mail();
    mail.subject = "Hello\r\nBcc: eve@example.com".to_owned();
    let text = formatted(&mail, "no-reply@example.org");
    assert!(!text.contains("\nBcc:"), "{text}");
    for to in [
        "ada@example.com\r\nBcc: eve@example.com",
        "ada",
        "ada@example.com, eve@example.com",
    ] {
        mail.to = to.to_owned();
        let refused = message::message(&mail, &"no-reply@example.org".parse().unwrap());
        assert!(matches!(refused, Err(MailError::Refused(_))), "{to}");
    }
}

#[tokio::test]
async fn without_settings_nothing_leaves_in_production() {
    assert!(!NoMailer.is_configured());
    assert!(matches!(
        NoMailer.send(&mail()).await,
        Err(MailError::Later(_))
    ));
}
