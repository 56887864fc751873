//! What others named or said, made harmless for a terminal. Must not know where it stands.

/// What a character that would move the cursor, colour or reorder the text is shown as.
const INSTEAD: char = '\u{fffd}';

/// For one cell, or the value of one line.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { INSTEAD } else { c }).collect()
}

/// For sentences and for what templates make, where line breaks and tabs have their place.
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) && c != '\n' && c != '\t' { INSTEAD } else { c }).collect()
}

/// Control characters, C1 among them, and those that turn the direction of the text.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_shown_and_do_nothing() {
        let given = "h3 \u{1b}[7mX\u{9b}2J\r\n\u{202e}evil\u{7f}";
        assert_eq!(line(given), "h3 \u{fffd}[7mX\u{fffd}2J\u{fffd}\u{fffd}\u{fffd}evil\u{fffd}");
        assert_eq!(lines("a\tb\nc\u{1b}[0m"), "a\tb\nc\u{fffd}[0m");
        assert_eq!(lines("größe λ 🙂"), "größe λ 🙂");
    }
}
