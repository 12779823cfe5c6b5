//! The administrator's settings: `etc/vmm/xcp/xcprc` beside the drivers, `NAME=value` lines that a shell
//! could source. An environment variable of the same name wins.

use super::shell_setting;
use crate::report::Result;
use anyhow::{Context, anyhow, ensure};
use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The value of XE_SERVER that means the host that OpenNebula names.
pub const NAMED_HOST: &str = "HOST";

/// Where a host tells which of XAPI's it is (xapi inventory.ml).
pub const INVENTORY: &str = "/etc/xensource-inventory";

/// What may be set, all of it (the file's comments tell what each is).
pub const NAMES: &[&str] = &[
    "XE",
    "XE_SERVER",
    "XE_PASSWORD_FILE",
    "XE_BRIDGE",
    "STAGING_DIR",
    "VERIFY_IMAGES",
    "XENSOURCE_INVENTORY",
    "QEMU_IMG_LINK",
    "XAPI_SOCKET",
    "XAPI_PORT",
    "XAPI_FINGERPRINT",
    "XAPI_CA_FILE",
    "CONSOLE",
    "POOL_SECRET_FILE",
    "CONSOLE_KEY_FILE",
    "STATE_DIR",
    "XE_TIMEOUT",
    "XE_TRANSFER_TIMEOUT",
    "XAPI_RESTART_TIMEOUT",
    "XE_AT_ONCE",
    "XE_RETRY_PAUSE",
    "SHUTDOWN_TIMEOUT",
    "FORCE_SHUTDOWN",
    "NO_TOOLS_SHUTDOWN",
    "DEFAULT_SR",
    "TEMPLATE",
    "TEMPLATES",
    "TRUSTED_TEMPLATES",
    "CPU_CAP",
    "CONTEXT_DEVICE",
    "MIGRATE_SR",
    "REMOTE_PASSWORD_FILE",
    "DATASTORE_LOCATION",
    "PCI_FILTER",
    "PCI_SHORT_ADDRESS",
];

/// The settings as given; defaults are beside their use.
#[derive(Debug, Default)]
pub struct Conf {
    values: HashMap<String, String>,
    /// Where the file is, for errors.
    file: Option<PathBuf>,
}

impl Conf {
    /// Reads the settings of the drivers that `called_as` belongs to.
    pub fn load(called_as: &Path) -> Result<Conf> {
        let mut conf = match Conf::find(called_as) {
            Some(file) => {
                let text =
                    fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
                let values = parse(&text).with_context(|| file.display().to_string())?;
                Conf { values, file: Some(file) }
            }
            None => Conf::default(),
        };
        for &name in NAMES {
            if let Ok(value) = env::var(name) {
                conf.values.insert(name.to_owned(), value);
            }
        }
        Ok(conf)
    }

    /// `…/remotes/vmm/xcp/deploy` → `…/remotes/etc/vmm/xcp/xcprc`; releases up to 5.4 keep it beside the scripts.
    pub fn find(called_as: &Path) -> Option<PathBuf> {
        let beside = called_as.parent()?.join("xcprc");
        let above = called_as.ancestors().skip(1).map(|folder| folder.join("etc/vmm/xcp/xcprc"));
        above.chain([beside]).find(|file| file.is_file())
    }

    /// A setting's text, or what stands for it when it is not set.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        match self.values.get(name).map(|value| value.trim()) {
            None | Some("") => default,
            Some(value) => value,
        }
    }

    /// A setting as given, even if it is empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.trim())
    }

    /// A setting that is empty unless the administrator sets it.
    pub fn optional(&self, name: &str) -> Option<&str> {
        Some(self.text(name, "")).filter(|value| !value.is_empty())
    }

    /// A time in whole seconds.
    pub fn seconds(&self, name: &str, default: u64) -> Result<Duration> {
        let Some(text) = self.optional(name) else { return Ok(Duration::from_secs(default)) };
        let seconds: u64 = text.parse().map_err(|_| self.wrong(name, text, "a number of seconds"))?;
        ensure!(seconds > 0, self.wrong(name, text, "more than 0 seconds"));
        Ok(Duration::from_secs(seconds))
    }

    /// How many of something, at least one.
    pub fn count(&self, name: &str, default: usize) -> Result<usize> {
        let Some(text) = self.optional(name) else { return Ok(default) };
        let count: Option<usize> = text.parse().ok().filter(|count| *count > 0);
        count.ok_or_else(|| self.wrong(name, text, "a number, at least 1"))
    }

    /// A yes-or-no setting.
    pub fn yes(&self, name: &str) -> Result<bool> {
        let text = self.text(name, "no");
        match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "1" => Ok(true),
            "no" | "false" | "0" => Ok(false),
            _ => Err(self.wrong(name, text, "yes or no")),
        }
    }

    /// A setting that is one of a few words; the first is the default.
    pub fn one_of<'a>(&self, name: &str, words: &[&'a str]) -> Result<&'a str> {
        let default = words.first().copied().unwrap_or_default();
        let text = self.text(name, default);
        words
            .iter()
            .copied()
            .find(|word| *word == text)
            .ok_or_else(|| self.wrong(name, text, &words.join(" or ")))
    }

    /// The folder of a VM's `disk.N` on the host, `DATASTORE_LOCATION/DS_ID/VM_ID`. Unless the administrator
    /// says where datastores are, it is what OpenNebula `said`. None if there is no way to tell.
    pub fn vm_folder(&self, ds_id: Option<u32>, vm_id: u32, said: Option<&Path>) -> Option<PathBuf> {
        let location = self.optional("DATASTORE_LOCATION");
        if let (Some(said), None) = (said, location) {
            return Some(said.to_owned());
        }
        let location = Path::new(location.unwrap_or("/var/lib/one/datastores"));
        Some(location.join(ds_id?.to_string()).join(vm_id.to_string()))
    }

    fn wrong(&self, name: &str, text: &str, right: &str) -> anyhow::Error {
        let place =
            self.file.as_ref().map_or("the environment".to_owned(), |file| file.display().to_string());
        anyhow!("{name} is {text:?} in {place}: it must be {right}")
    }
}

fn parse(text: &str) -> Result<HashMap<String, String>> {
    let mut values = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let Some((name, value)) = shell_setting::read(line).with_context(|| format!("line {number}"))? else {
            continue;
        };
        ensure!(NAMES.contains(&name), "line {number}: there is no setting {name}");
        values.insert(name.to_owned(), value.to_owned());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn each_line_is_a_setting() {
        let values = parse("# c\n\nXE=/opt/xe # there\nDEFAULT_SR=''\n").unwrap();
        assert_eq!((values["XE"].as_str(), values["DEFAULT_SR"].as_str()), ("/opt/xe", ""));
    }

    #[test]
    fn a_mistyped_name_is_named() {
        assert_eq!(
            parse("XE=xe\nSHUTDOWN_TIMOUT=5").unwrap_err().to_string(),
            "line 2: there is no setting SHUTDOWN_TIMOUT"
        );
    }
}
