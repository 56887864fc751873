//! What our certificates say: names, usages, validity. Must not know keys.

use super::CaError;
use crate::peer::USER_UNIT;
use crate::{MANAGER_NAME, node_name, random};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use std::time::Duration;
use swarm_model::{ClusterId, NodeId, Role, UserId};

/// Certificates begin this long before they are made, so that a host whose clock is behind takes them.
pub(crate) const BACKDATED_MS: u64 = 3_600_000;
const ROOT_LIFETIME_MS: u64 = 20 * 365 * 24 * 3_600_000;
/// The last second X.509 can spell: 9999-12-31 23:59:59.
const LAST_MS: u64 = 253_402_300_799_000;

/// Whom a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub node: NodeId,
    pub role: Role,
    pub cluster: ClusterId,
}

/// Which user a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSubject {
    pub user: UserId,
    pub cluster: ClusterId,
}

/// When a certificate holds, milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub from_ms: u64,
    pub until_ms: u64,
}

impl Validity {
    /// From an hour before `now_ms` until `lifetime_ms` after it.
    pub fn starting(now_ms: u64, lifetime_ms: u64) -> Self {
        Self {
            from_ms: now_ms.saturating_sub(BACKDATED_MS),
            until_ms: now_ms.saturating_add(lifetime_ms).min(LAST_MS),
        }
    }
}

pub(super) fn root(cluster: ClusterId, now_ms: u64) -> Result<CertificateParams, CaError> {
    root_named("swarm-root-ca".to_owned(), cluster, now_ms)
}

/// Two roots of one name would be told apart by trial alone.
pub(super) fn successor(cluster: ClusterId, now_ms: u64) -> Result<CertificateParams, CaError> {
    let [a, b, c, d] = random::bytes::<4>();
    root_named(format!("swarm-root-ca-{a:02x}{b:02x}{c:02x}{d:02x}"), cluster, now_ms)
}

fn root_named(common: String, cluster: ClusterId, now_ms: u64) -> Result<CertificateParams, CaError> {
    let name = name(&[(DnType::OrganizationName, cluster.to_string()), (DnType::CommonName, common)]);
    ca(name, Validity::starting(now_ms, ROOT_LIFETIME_MS))
}

/// A CA that issues nodes' certificates and no further CAs.
pub(super) fn ca(name: DistinguishedName, validity: Validity) -> Result<CertificateParams, CaError> {
    let mut params = blank(validity)?;
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

pub(super) fn node(subject: &Subject, validity: Validity) -> Result<CertificateParams, CaError> {
    let mut params = blank(validity)?;
    params.distinguished_name = name(&[
        (DnType::OrganizationName, subject.cluster.to_string()),
        (DnType::OrganizationalUnitName, subject.role.organizational_unit().to_owned()),
        (DnType::CommonName, subject.node.to_string()),
    ]);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = vec![SanType::DnsName(node_name(subject.node).try_into()?)];
    if subject.role == Role::Manager {
        params.subject_alt_names.push(SanType::DnsName(MANAGER_NAME.try_into()?));
    }
    Ok(params)
}

/// For clients only, and without any name that a server could have.
pub(super) fn user(subject: &UserSubject, validity: Validity) -> Result<CertificateParams, CaError> {
    let mut params = blank(validity)?;
    params.distinguished_name = name(&[
        (DnType::OrganizationName, subject.cluster.to_string()),
        (DnType::OrganizationalUnitName, USER_UNIT.to_owned()),
        (DnType::CommonName, subject.user.to_string()),
    ]);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn blank(validity: Validity) -> Result<CertificateParams, CaError> {
    let Validity { from_ms, until_ms } = validity;
    if from_ms >= until_ms || until_ms > LAST_MS {
        return Err(CaError::Validity { from_ms, until_ms });
    }
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_millis(from_ms);
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_millis(until_ms);
    params.serial_number = Some(serial());
    Ok(params)
}

/// 127 random bits, positive and not zero (RFC 5280 §4.1.2.2).
fn serial() -> SerialNumber {
    let [first, rest @ ..] = random::bytes::<16>();
    let mut bytes = vec![first & 0x7f | 0x40];
    bytes.extend(rest);
    SerialNumber::from(bytes)
}

fn name(fields: &[(DnType, String)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    fields.iter().for_each(|(kind, value)| name.push(kind.clone(), value.as_str()));
    name
}
