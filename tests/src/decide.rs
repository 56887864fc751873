//! Writes made only to see that the managers decide. Knows what an answer says about what was done; must not know why
//! it is asked for.

use crate::host::Host;
use crate::poll::eventually;
use anyhow::{Result, bail};

/// One network, by one attempt.
pub fn create(host: &Host, name: &str) -> Result<()> {
    host.ctl(&format!("network create --attachable {name}"))?.ok().map(drop)
}

/// One network, by as many attempts as it takes. Only after one whose outcome was told to be unknown may a later one
/// find the name taken: whoever is told that nothing was done must not find it done.
pub fn decides(what: &str, host: &Host, name: &str) -> Result<()> {
    let mut unclear = false;
    eventually(what, || {
        let said = host.ctl(&format!("network create --attachable {name}"))?;
        if said.code == 0 || unclear && said.stderr.contains("already exists") {
            return Ok(());
        }
        unclear |= said.stderr.contains("is unknown");
        bail!("unclear before: {unclear}; {said}")
    })
}
