//! The name of a CA, taken over letter by letter into a certificate of our making. Must not know keys.

use super::CaError;
use rcgen::{DistinguishedName, DnType, DnValue};
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::Tag;
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate};

/// Refuses names that would not come out as they went in: whoever looks for the issuer of a certificate compares bytes.
pub(super) fn of(cert: &CertificateDer<'_>) -> Result<DistinguishedName, CaError> {
    let (_, parsed) = X509Certificate::from_der(cert).map_err(|_| CaError::Certificate)?;
    let mut name = DistinguishedName::new();
    for part in parsed.subject().iter() {
        let attributes: Vec<_> = part.iter().collect();
        let [attribute] = attributes.as_slice() else { return Err(CaError::Name) };
        let (kind, value) = read(attribute)?;
        // A kind that comes twice would take the place of its first.
        if name.get(&kind).is_some() {
            return Err(CaError::Name);
        }
        name.push(kind, value);
    }
    if name.iter().next().is_none() { Err(CaError::Name) } else { Ok(name) }
}

fn read(attribute: &AttributeTypeAndValue<'_>) -> Result<(DnType, DnValue), CaError> {
    let kind: Option<Vec<u64>> = attribute.attr_type().iter().map(Iterator::collect);
    let text = attribute.as_str().map_err(|_| CaError::Name)?;
    let value = match attribute.attr_value().tag() {
        Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
        Tag::PrintableString => DnValue::PrintableString(text.try_into().map_err(|_| CaError::Name)?),
        Tag::Ia5String => DnValue::Ia5String(text.try_into().map_err(|_| CaError::Name)?),
        _ => return Err(CaError::Name),
    };
    Ok((DnType::from_oid(&kind.ok_or(CaError::Name)?), value))
}
