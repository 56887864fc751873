//! Join tokens: one spelling each, and every fault named.

use proptest::prelude::*;
use swarm_identity::{CaDigest, JoinToken, PartFault, TokenError, random, secrets_equal};

const SECRET: &str = "0123456789abcdefghijklmno";

fn token(digest: [u8; 32], secret: &str) -> JoinToken {
    JoinToken::new(CaDigest::from_bytes(digest), secret).expect("a token")
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(digest: [u8; 32], secret in "[0-9a-z]{25}") {
        let text = token(digest, &secret).to_string();
        prop_assert_eq!(text.len(), 85);
        let read: JoinToken = text.parse().expect("our own spelling");
        prop_assert_eq!(read.digest(), CaDigest::from_bytes(digest));
        prop_assert_eq!(read.secret(), secret.as_str());
        prop_assert_eq!(read.to_string(), text);
    }

    /// Any other character anywhere: no token, or one of another CA or with another secret.
    #[test]
    fn no_mutation_stays_the_same_token(digest: [u8; 32], at in 0usize..85, with in "[!-~é]") {
        let original = token(digest, SECRET);
        let mut text: Vec<char> = original.to_string().chars().collect();
        let with = with.chars().next().expect("one character");
        prop_assume!(text[at] != with);
        text[at] = with;
        if let Ok(read) = text.into_iter().collect::<String>().parse::<JoinToken>() {
            prop_assert!(read.digest() != original.digest() || !secrets_equal(read.secret(), SECRET));
        }
    }

    #[test]
    fn a_cut_token_is_malformed(digest: [u8; 32], keep in 0usize..85) {
        let text = token(digest, SECRET).to_string();
        prop_assert!(text[..keep].parse::<JoinToken>().is_err());
    }

    #[test]
    fn any_text_is_answered(text in ".{0,200}") {
        let _ = text.parse::<JoinToken>();
    }

    #[test]
    fn equal_means_the_same_text(one in "[a-c]{0,3}", other in "[a-c]{0,3}") {
        prop_assert_eq!(secrets_equal(&one, &other), one == other);
    }
}

#[test]
fn each_part_has_its_own_error() {
    let fault = |text: &str| text.parse::<JoinToken>().expect_err("malformed");
    let digest = "0".repeat(50);
    assert_eq!(fault("hello"), TokenError::Parts { found: 1 });
    assert_eq!(fault(""), TokenError::Parts { found: 1 });
    assert_eq!(fault(&format!("SWMTKX-1-{digest}-{SECRET}")), TokenError::Prefix);
    assert_eq!(fault(&format!("SWMTKN-2-{digest}-{SECRET}")), TokenError::Version { found: "2".to_owned() });
    let short = PartFault::Length { found: 49, expected: 50 };
    assert_eq!(fault(&format!("SWMTKN-1-{}-{SECRET}", &digest[1..])), TokenError::Digest(short));
    // The largest text of 50 digits is above 2^256.
    let large = "z".repeat(50);
    assert_eq!(fault(&format!("SWMTKN-1-{large}-{SECRET}")), TokenError::Digest(PartFault::Value));
    let upper = format!("SWMTKN-1-{digest}-0123456789Abcdefghijklmno");
    assert_eq!(fault(&upper), TokenError::Secret(PartFault::Character { at: 11 }));
    let long = PartFault::Length { found: 26, expected: 25 };
    assert_eq!(fault(&format!("SWMTKN-1-{digest}-{SECRET}p")), TokenError::Secret(long));
}

#[test]
fn a_token_from_a_file_may_end_in_a_newline() {
    let text = format!("{}\n", token([7; 32], SECRET));
    assert_eq!(text.parse::<JoinToken>().expect("a token").secret(), SECRET);
}

#[test]
fn debug_and_errors_do_not_tell_the_secret() {
    assert!(!format!("{:?}", token([1; 32], SECRET)).contains(SECRET));
    let digest = "0".repeat(49);
    let error = format!("SWMTKN-1-{digest}-{SECRET}").parse::<JoinToken>().expect_err("short digest");
    assert!(!format!("{error:?} {error}").contains(SECRET));
}

#[test]
fn made_secrets_fit_into_tokens_and_differ() {
    let (one, other) = (random::secret(), random::secret());
    assert_ne!(one, other);
    assert_eq!(token([0; 32], &one).secret(), one);
}
