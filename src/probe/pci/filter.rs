//! Which of the host's PCI devices are told.

use crate::one::Conf;
use crate::report::Result;
use anyhow::ensure;

/// The settings, in the words of OpenNebula's pci.conf for KVM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Vendor, device and class; none: any.
    ids: Vec<[Option<u32>; 3]>,
    /// As `lspci` shows them: `04:00.0`. Empty: any.
    short_addresses: Vec<String>,
}

impl Filter {
    /// None if no device is given away, or the drivers do not run on the host itself.
    pub fn from_conf(conf: &Conf) -> Result<Option<Filter>> {
        let (ids, addresses) = (conf.text("PCI_FILTER", ""), conf.text("PCI_SHORT_ADDRESS", ""));
        if (ids.is_empty() && addresses.is_empty()) || conf.optional("XE_SERVER").is_some() {
            return Ok(None);
        }
        Filter::parse(ids, addresses).map(Some)
    }

    /// `10de:*` or `::0300,8086:10fb`, and `04:00.0,05:00.1`.
    pub(super) fn parse(ids: &str, short_addresses: &str) -> Result<Filter> {
        let ids = if ids.is_empty() { "*" } else { ids };
        Ok(Filter {
            ids: words(ids).map(numbers).collect::<Result<_>>()?,
            short_addresses: words(short_addresses).map(str::to_owned).collect(),
        })
    }

    /// Whether a device with these numbers of vendor, device and class is told.
    pub fn admits(&self, ids: [u32; 3], short_address: &str) -> bool {
        let fits = |wanted: &[Option<u32>; 3]| {
            wanted.iter().zip(ids).all(|(wanted, given)| wanted.is_none_or(|wanted| wanted == given))
        };
        let is_there =
            self.short_addresses.is_empty() || self.short_addresses.iter().any(|a| a == short_address);
        is_there && self.ids.iter().any(fits)
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// `10de:1eb8:0302` → numbers; `*` or nothing for any.
fn numbers(word: &str) -> Result<[Option<u32>; 3]> {
    let mut numbers = [None; 3];
    let mut parts = word.split(':');
    for (number, part) in numbers.iter_mut().zip(parts.by_ref()) {
        let part = part.trim();
        let any = part.is_empty() || part == "*";
        *number = if any { None } else { u32::from_str_radix(part, 16).ok() };
        ensure!(any || number.is_some(), "PCI_FILTER: {part:?} is not a hexadecimal number");
    }
    ensure!(parts.next().is_none(), "PCI_FILTER: {word:?} is not VENDOR:DEVICE:CLASS");
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn a_filter_is_three_numbers_or_less() {
        let gpu = [0x10de, 0x1eb8, 0x0302];
        for (ids, admits) in
            [("10de:*", true), (":1eb8", true), ("::0302", true), ("8086:*, 10de", true), ("0:0", false)]
        {
            assert_eq!(Filter::parse(ids, "").unwrap().admits(gpu, "04:00.0"), admits, "{ids}");
        }
        assert!(Filter::parse("10de:x", "").is_err());
        assert!(Filter::parse("1:2:3:4", "").is_err());
        assert!(!Filter::parse("*", "05:00.0").unwrap().admits(gpu, "04:00.0"));
    }
}
