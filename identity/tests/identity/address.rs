//! Addresses as people write them.

use proptest::prelude::*;
use swarm_identity::{Address, AddressError};

#[test]
fn the_usual_spellings() {
    for (given, means) in [
        ("10.0.0.1:2377", "10.0.0.1:2377"),
        ("10.0.0.1", "10.0.0.1:2377"),
        ("[2001:db8::1]:1234", "[2001:db8::1]:1234"),
        ("[::1]", "[::1]:2377"),
        ("m1.example.org:2400", "m1.example.org:2400"),
        (" localhost \n", "localhost:2377"),
    ] {
        assert_eq!(given.parse::<Address>().expect(given).to_string(), means);
    }
}

#[test]
fn each_slip_has_its_own_error() {
    let error = |given: &str| given.parse::<Address>().expect_err(given);
    let given = |text: &str| text.to_owned();
    assert_eq!(error(" "), AddressError::Empty);
    assert_eq!(error("2001:db8::1:2377"), AddressError::Brackets { given: given("2001:db8::1:2377") });
    for text in ["h:", "h:0", "h:65536", "h:-1", "h:+1", "[::1]2377", "[::1]:"] {
        assert_eq!(error(text), AddressError::Port { given: given(text) });
    }
    for text in ["[::1", "[10.0.0.1]:1", "[]:1"] {
        assert_eq!(error(text), AddressError::Ipv6 { given: given(text) });
    }
    for text in [":2377", "10.0.0.256:1", "10.0.1:1", "a b:1", "http//x:1", "é:1"] {
        assert_eq!(error(text), AddressError::Host { given: given(text) });
    }
}

proptest! {
    #[test]
    fn any_text_is_answered_and_what_parses_prints_itself(text in "[a-z0-9.:\\[\\]]{0,24}") {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }
}
