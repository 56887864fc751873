//! What this process holds in memory stays there: no core dump has it, and no debugger without rights of its own.
//! Children lose this with `execve`, so commands in sandboxes are as they would be elsewhere.

use anyhow::Context;

/// Before any key is read.
///
/// # Errors
/// The kernel does not know it.
pub fn keep() -> anyhow::Result<()> {
    nix::sys::prctl::set_dumpable(false).context("cannot forbid core dumps")
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_dumped() {
        super::keep().unwrap();
        assert!(!nix::sys::prctl::get_dumpable().unwrap());
    }
}
