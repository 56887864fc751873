//! What `--opt` means: options are kept as given and, where they are known, understood.

use crate::{Driver, NetworkSpec, SpecError, Vni};
use alloc::string::{String, ToString};
use core::str::FromStr;

impl NetworkSpec {
    /// Takes one option. An overlay knows `encrypted`, `mtu` and `vni`; the other drivers may know more, which is
    /// theirs to judge.
    pub fn set_option(&mut self, option: &str, value: &str) -> Result<(), SpecError> {
        match option {
            "encrypted" => self.encrypted = flag(value).ok_or_else(|| bad(option, value, FLAG))?,
            "mtu" => self.mtu = Some(number(option, value, MTU)?),
            "vni" => {
                let vni = Vni::new(number(option, value, VNI)?);
                self.vni = Some(vni.ok_or_else(|| bad(option, value, VNI))?);
            }
            _ if self.driver == Driver::Overlay => {
                return Err(SpecError::UnknownOption { option: cut(option) });
            }
            _ => {}
        }
        self.options.insert(option.to_string(), value.to_string());
        Ok(())
    }
}

const FLAG: &str = "nothing, true or false";
const MTU: &str = "a number from 576 to 65535";
const VNI: &str = "a number from 1 to 16777215";

fn flag(value: &str) -> Option<bool> {
    match value {
        "" | "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn number<T: FromStr>(option: &str, value: &str, expected: &'static str) -> Result<T, SpecError> {
    value.parse().map_err(|_| bad(option, value, expected))
}

fn bad(option: &str, value: &str, expected: &'static str) -> SpecError {
    SpecError::BadOption { option: option.to_string(), value: cut(value), expected }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
