//! A look at the text before the parser, which recurses with the text's brackets and would overflow its stack.

use async_graphql::Pos;

use super::LimitError;

/// Brackets open at once. The deepest document that passes the other limits stays below it.
const DEEPEST: usize = 64;
/// Lexical tokens; each costs the parser and the validation some microseconds.
const TOKENS: usize = 10_000;

/// Refuses a text whose brackets nest too deep, or that has too many tokens, in one pass over its bytes.
///
/// # Errors
/// `QUERY_TOO_COMPLEX` for depth and tokens; `BAD_REQUEST` for a string that doesn't end, because what follows it
/// could hide brackets from this pass that the parser would see.
pub fn scan(text: &str) -> Result<(), LimitError> {
    let mut cursor = Cursor {
        rest: text.as_bytes(),
        line: 1,
        line_start: text.len(),
    };
    let (mut depth, mut tokens) = (0_usize, 0_usize);
    while let Some(byte) = cursor.next() {
        match byte {
            b' ' | b'\t' | b',' | b'\r' => continue,
            b'\n' => cursor.new_line(),
            b'#' => cursor.skip_while(|byte| !matches!(byte, b'\n' | b'\r')),
            b'"' => {
                let at = cursor.position();
                if !cursor.finish_string() {
                    return Err(LimitError::bad("Unterminated string.", Some(at)));
                }
            }
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(LimitError::complex(
                        format!("The document nests more than {DEEPEST} levels deep."),
                        Some(cursor.position()),
                    ));
                }
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ if is_word(byte) => cursor.skip_while(is_word),
            _ => {}
        }
        tokens += usize::from(!matches!(byte, b'\n' | b'#'));
        if tokens > TOKENS {
            return Err(LimitError::complex(
                format!("The document has more than {TOKENS} tokens."),
                Some(cursor.position()),
            ));
        }
    }
    Ok(())
}

/// Bytes of names and numbers, and of characters beyond ASCII, which are only legal inside strings and comments.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte >= 0x80
}

struct Cursor<'a> {
    rest: &'a [u8],
    line: usize,
    /// How many bytes were left where the line began.
    line_start: usize,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn new_line(&mut self) {
        self.line += 1;
        self.line_start = self.rest.len();
    }

    /// Where the byte just taken stands.
    fn position(&self) -> Pos {
        Pos {
            line: self.line,
            column: self.line_start.saturating_sub(self.rest.len()).max(1),
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while let Some((first, rest)) = self.rest.split_first()
            && wanted(*first)
        {
            self.rest = rest;
        }
    }

    /// Skips to the end of the string whose first quote was taken; false if it has none.
    fn finish_string(&mut self) -> bool {
        if let Some(rest) = self.rest.strip_prefix(b"\"\"") {
            self.rest = rest;
            return self.finish_block_string();
        }
        while let Some(byte) = self.next() {
            match byte {
                b'"' => return true,
                b'\\' => {
                    let _ = self.next();
                }
                b'\n' | b'\r' => return false,
                _ => {}
            }
        }
        false
    }

    fn finish_block_string(&mut self) -> bool {
        loop {
            if let Some(rest) = self.rest.strip_prefix(b"\\\"\"\"") {
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix(b"\"\"\"") {
                self.rest = rest;
                return true;
            } else {
                match self.next() {
                    Some(b'\n') => self.new_line(),
                    Some(_) => {}
                    None => return false,
                }
            }
        }
    }
}
