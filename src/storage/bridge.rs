//! Whose `xe` the storage scripts use: they run on the front-end, where there may be none.

use crate::one::Conf;
use crate::report::Result;
use crate::ssh;
use crate::xe::Xe;

/// Settles it: `XE_SERVER` means `xe -s` here; else the host that `XE_BRIDGE` or `candidates` name is asked over
/// ssh, unless it is this machine; with neither, the `xe` of this machine is taken.
pub fn set(xe: &mut Xe, conf: &Conf, candidates: &[&str]) -> Result<()> {
    if conf.optional("XE_SERVER").is_some() {
        return Ok(());
    }
    let named = conf.optional("XE_BRIDGE").into_iter().chain(candidates.iter().copied());
    for host in named.filter(|host| !host.is_empty()) {
        ssh::check_host(host)?;
        if !ssh::is_here(host) {
            xe.bridge = Some(host.to_owned());
            return Ok(());
        }
    }
    Ok(())
}
