use super::{super::layout, *};

fn topics() -> Vec<Topic> {
    let code = || Code::parse("012345").unwrap();
    vec![
        Topic::SignUp(code()),
        Topic::AccountExists,
        Topic::PasswordReset(code()),
        Topic::Link(code()),
        Topic::PasswordChanged("2026-11-21T12:34:56Z".parse().unwrap()),
        Topic::TelegramLinked("2026-11-21T12:34:56Z".parse().unwrap()),
    ]
}

#[test]
fn every_mail_has_its_own_words_in_every_language() {
    let mut subjects = std::collections::HashSet::new();
    for topic in topics() {
        for language in Language::ALL {
            let words = of(&topic, *language, "Companion");
            assert!(subjects.insert(words.subject.clone()), "{}", words.subject);
            let latin = words
                .subject
                .chars()
                .skip("Companion: ".len())
                .any(|c| c.is_ascii_alphabetic());
            assert_eq!(latin, *language == Language::En, "{}", words.subject);
            assert!(!words.subject.contains("012345"));
            let (text, html) = (layout::text(&words), layout::html(&words, tag(*language)));
            let dated = matches!(topic, Topic::PasswordChanged(_) | Topic::TelegramLinked(_));
            let coded = !dated && !matches!(topic, Topic::AccountExists);
            assert_eq!(text.matches("012345").count(), usize::from(coded));
            assert_eq!(html.matches("012345").count(), usize::from(coded));
            assert!(html.contains(&format!("<html lang=\"{}\">", tag(*language))));
            assert_eq!(text.contains("2026-11-21 12:34 UTC"), dated);
        }
    }
}

/// Both forms say the same: the HTML without its tags has every paragraph of the text.
#[test]
fn text_and_html_say_the_same_and_html_fetches_nothing() {
    for topic in topics() {
        for language in Language::ALL {
            let words = of(&topic, *language, "Companion");
            let html = layout::html(&words, tag(*language));
            for paragraph in layout::text(&words).split("\n\n") {
                let paragraph = paragraph.trim().trim_start_matches("-- \n");
                let escaped = html_escape::encode_text(paragraph);
                assert!(html.contains(&*escaped), "{paragraph} in {html}");
            }
            for word in ["http", "src=", "href=", "url(", "<img", "<script", "<link"] {
                assert!(!html.contains(word), "{word} in {html}");
            }
        }
    }
}

#[test]
fn the_name_of_the_service_can_be_any_text() {
    let words = of(&Topic::AccountExists, Language::En, "<b>A&B</b>");
    let html = layout::html(&words, "en");
    assert!(
        html.contains("&lt;b&gt;A&amp;B&lt;/b&gt;") && !html.contains("<b>"),
        "{html}"
    );
    assert!(layout::text(&words).ends_with("-- \n<b>A&B</b>\n"));
    let nameless = of(&Topic::AccountExists, Language::En, " ");
    assert_eq!(nameless.subject, "you already have an account");
}
