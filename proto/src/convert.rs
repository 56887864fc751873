//! The one error of all conversions, and the small steps they are made of.
//! Knows: how to name a bad field. Must not know: any particular message.

use std::fmt;
use std::str::FromStr;

/// A message with a field that is not what it must be. `field` is its path from the message, as in
/// `spec.ipam.gateway`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertError {
    pub field: String,
    /// As it came, cut at 80 characters.
    pub given: String,
    pub expected: &'static str,
}

impl ConvertError {
    pub fn new(field: &str, given: &dyn fmt::Display, expected: &'static str) -> Self {
        Self { field: field.to_owned(), given: given.to_string().chars().take(80).collect(), expected }
    }

    /// The same error seen from the message that holds the one it happened in.
    pub fn within(self, outer: &str) -> Self {
        Self { field: format!("{outer}.{}", self.field), ..self }
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, given, expected } = self;
        match given.is_empty() {
            true => write!(f, "the field {field} is missing: expected {expected}"),
            false => write!(f, "the field {field} is {given:?}: expected {expected}"),
        }
    }
}

impl std::error::Error for ConvertError {}

impl From<ConvertError> for tonic::Status {
    fn from(error: ConvertError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// Text that must be there and be a `T`.
pub fn parse<T: FromStr>(field: &str, given: &str, expected: &'static str) -> Result<T, ConvertError> {
    given.parse().map_err(|_| ConvertError::new(field, &given, expected))
}

/// Text that may be empty, which means "not set".
pub fn optional<T: FromStr>(
    field: &str,
    given: &str,
    expected: &'static str,
) -> Result<Option<T>, ConvertError> {
    if given.is_empty() { Ok(None) } else { parse(field, given, expected).map(Some) }
}

/// A list of texts each of which must be a `T`.
pub fn parse_all<T: FromStr>(
    field: &str,
    given: &[String],
    expected: &'static str,
) -> Result<Vec<T>, ConvertError> {
    given.iter().map(|text| parse(field, text, expected)).collect()
}

/// A message that must be there.
pub fn required<T>(field: &str, given: Option<T>) -> Result<T, ConvertError> {
    given.ok_or_else(|| ConvertError::new(field, &"", "a value"))
}

/// Converts a message that must be there, naming it in the error.
pub(crate) fn inner<W, M>(field: &str, given: Option<W>) -> Result<M, ConvertError>
where
    M: TryFrom<W, Error = ConvertError>,
{
    M::try_from(required(field, given)?).map_err(|e| e.within(field))
}

/// Converts each message of a list, naming the list in the error.
pub(crate) fn each<W, M, C>(field: &str, given: Vec<W>) -> Result<C, ConvertError>
where
    M: TryFrom<W, Error = ConvertError>,
    C: FromIterator<M>,
{
    given.into_iter().map(|one| M::try_from(one).map_err(|e| e.within(field))).collect()
}

/// A number that must fit a narrower type.
pub(crate) fn narrow<N: TryFrom<u32>>(
    field: &str,
    given: u32,
    expected: &'static str,
) -> Result<N, ConvertError> {
    N::try_from(given).map_err(|_| ConvertError::new(field, &given, expected))
}

pub(crate) const ID: &str = "an id: 25 characters of 0-9a-z";
pub(crate) const NAME: &str =
    "a name: 1 to 63 letters, digits, '-' or '_', beginning and ending with a letter or digit";
pub(crate) const IP: &str = "an IP address";
pub(crate) const CIDR: &str = "a CIDR as in 10.0.1.0/24";
pub(crate) const SOCKET: &str = "an address as in 192.0.2.1:2377 or [2001:db8::1]:2377";
pub(crate) const MAC: &str = "a MAC address as in 02:42:0a:00:00:05";
