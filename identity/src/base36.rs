//! 256-bit numbers as 50 characters of `0-9a-z`, most significant first. Knows nothing of what they mean.

/// Characters that 256 bits take: 36^50 > 2^256 > 36^49.
pub(crate) const LEN_256: usize = 50;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// Index of the first character that is no digit.
    Character(usize),
    /// 2^256 or more: no digest is spelled so, and accepting it would give one number two spellings.
    TooLarge,
}

pub(crate) fn encode(number: &[u8; 32]) -> String {
    let mut rest = *number;
    let mut text = [b'0'; LEN_256];
    for digit in text.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in &mut rest {
            let value = remainder << 8 | u32::from(*byte);
            *byte = (value / 36) as u8;
            remainder = value % 36;
        }
        *digit = DIGITS.get(remainder as usize).copied().unwrap_or(b'0');
    }
    text.iter().map(|c| char::from(*c)).collect()
}

/// The value of one digit; upper case is no digit: a token has one spelling.
pub(crate) fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'z' => Some(character - b'a' + 10),
        _ => None,
    }
}

pub(crate) fn decode(text: &str) -> Result<[u8; 32], DecodeError> {
    let mut number = [0u8; 32];
    for (at, character) in text.bytes().enumerate() {
        let mut carry = u32::from(digit(character).ok_or(DecodeError::Character(at))?);
        for byte in number.iter_mut().rev() {
            let value = u32::from(*byte) * 36 + carry;
            *byte = value as u8;
            carry = value >> 8;
        }
        if carry != 0 {
            return Err(DecodeError::TooLarge);
        }
    }
    Ok(number)
}
