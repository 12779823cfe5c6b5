//! The names of PCI vendors, devices and classes, from the list that `lspci` and XAPI take them from.

use std::collections::HashMap;
use std::fs;

/// Where distributions keep it; a dom0 in the first place.
const FILES: [&str; 2] = ["/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids"];

/// What there is a name for.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Vendor(u32),
    Device(u32, u32),
    BaseClass(u32),
    Class(u32),
}

pub struct Names(HashMap<Key, String>);

/// The list of this machine; without one there are no names.
impl Default for Names {
    fn default() -> Names {
        let text = FILES.iter().find_map(|file| fs::read(file).ok()).unwrap_or_default();
        Names::parse(&String::from_utf8_lossy(&text))
    }
}

impl Names {
    /// `10de  NVIDIA Corporation`, below it `<tab>1eb8  TU104GL`; `C 03  Display controller`, below it
    /// `<tab>02  3D controller`. Lines with two tabs are subsystems and interfaces.
    pub fn parse(text: &str) -> Names {
        let mut names = HashMap::new();
        let (mut above, mut is_class) = (None, false);
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("\t\t")) {
            let Some((number, name)) = line.trim_start_matches("C ").trim_start().split_once("  ") else {
                continue;
            };
            let Ok(number) = u32::from_str_radix(number, 16) else { continue };
            let key = match (line.starts_with('\t'), above) {
                (true, Some(class)) if is_class => Key::Class(class << 8 | number),
                (true, Some(vendor)) => Key::Device(vendor, number),
                _ => {
                    (above, is_class) = (Some(number), line.starts_with("C "));
                    if is_class { Key::BaseClass(number) } else { Key::Vendor(number) }
                }
            };
            names.insert(key, name.to_owned());
        }
        Names(names)
    }

    /// A number stands for a name that is not known.
    pub fn vendor(&self, vendor: u32) -> String {
        self.0.get(&Key::Vendor(vendor)).cloned().unwrap_or_else(|| format!("{vendor:04x}"))
    }

    pub fn device(&self, vendor: u32, device: u32) -> String {
        self.0.get(&Key::Device(vendor, device)).cloned().unwrap_or_else(|| format!("{device:04x}"))
    }

    /// That of its base class if its own is not known.
    pub fn class(&self, class: u32) -> String {
        let known = self.0.get(&Key::Class(class)).or_else(|| self.0.get(&Key::BaseClass(class >> 8)));
        known.cloned().unwrap_or_else(|| format!("{class:04x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn names_are_found_by_number() {
        let text = "# a comment\n8086  Intel Corporation\n\t10fb  82599ES\n\t\t8086 0003  X520\nC 02  Network controller\n\t\
                    00  Ethernet controller\n\t\t01  an interface\nC 0c  Serial bus controller\n";
        let names = Names::parse(text);
        assert_eq!(names.vendor(0x8086), "Intel Corporation");
        assert_eq!(names.device(0x8086, 0x10fb), "82599ES");
        assert_eq!(
            (names.class(0x0200), names.class(0x0c03)),
            ("Ethernet controller".into(), "Serial bus controller".into())
        );
        assert_eq!(
            (names.vendor(1), names.device(0x8086, 3), names.class(0x0100)),
            ("0001".into(), "0003".into(), "0100".into())
        );
    }
}
