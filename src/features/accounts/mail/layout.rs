//! The two forms of a mail, plain text and HTML, of one source of words.
//!
//! Plain functions: five mails of a few paragraphs need no template language, and a new one can't forget a part, since
//! both come from the same [`Words`].

use html_escape::{encode_double_quoted_attribute, encode_text};

use super::words::{Block, Words};

/// The plain text.
pub(super) fn text(words: &Words) -> String {
    let mut text = String::new();
    for block in &words.blocks {
        match block {
            Block::Paragraph(paragraph) => text.push_str(paragraph),
            Block::Code(code) => {
                text.push_str("    ");
                text.push_str(code.expose());
            }
        }
        text.push_str("\n\n");
    }
    text.push_str("-- \n");
    text.push_str(&words.signature);
    text.push('\n');
    text
}

/// The HTML: nothing to fetch, no link that could be forged, readable where styles are taken away.
pub(super) fn html(words: &Words, language: &str) -> String {
    let mut blocks = String::new();
    for block in &words.blocks {
        let line = match block {
            Block::Paragraph(paragraph) => format!("<p>{}</p>\n", encode_text(paragraph)),
            Block::Code(code) => format!(
                "<p style=\"font:bold 28px monospace;letter-spacing:6px\">{}</p>\n",
                encode_text(code.expose())
            ),
        };
        blocks.push_str(&line);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n</head>\n\
         <body style=\"font:16px/1.5 sans-serif;max-width:36em;margin:2em auto;padding:0 1em\">\n{blocks}\
         <p style=\"color:#666;font-size:14px\">{}</p>\n</body>\n</html>\n",
        encode_double_quoted_attribute(language),
        encode_text(&words.subject),
        encode_text(&words.signature),
    )
}
