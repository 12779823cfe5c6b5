//! PCI and TPM → what XAPI passes through to a VM, and the TPM it emulates.

use crate::one::{Element, Vm};
use crate::report::Result;
use anyhow::{Context, ensure};

/// Parameters for `vm-param-set`: `0/0000:02:00.0,0/0000:04:00.0`, as XAPI's `other-config:pci` wants it
/// (pciops.ml `of_string`; the number before the address is an order of plugging).
pub fn params(vm: &Vm) -> Result<Vec<(String, String)>> {
    let devices = devices(vm).map(address).collect::<Result<Vec<_>>>()?;
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<String> = devices.iter().map(|device| format!("0/{device}")).collect();
    Ok(vec![("other-config:pci".to_owned(), all.join(","))])
}

/// Devices that the host's IOMMU hands over whole; parts of one (mediated devices) XAPI knows only as vGPUs.
fn devices(vm: &Vm) -> impl Iterator<Item = &Element> {
    vm.template.all("PCI").filter(|pci| !is_mediated(pci))
}

/// Whether the scheduler picked a mediated device.
pub fn is_mediated(pci: &Element) -> bool {
    !pci.text("PROFILE").is_empty() || !pci.text("MDEV_MODE").is_empty()
}

/// OpenNebula writes `0000:02:00:0` or `02:00.0`.
fn address(pci: &Element) -> Result<String> {
    let text = pci.text("ADDRESS");
    let numbers: Option<Vec<u32>> =
        text.split([':', '.']).map(|part| u32::from_str_radix(part, 16).ok()).collect();
    let numbers = numbers.with_context(|| format!("{}/ADDRESS is {text:?}: no PCI address", pci.path()))?;
    let (domain, bus, slot, function) = match *numbers.as_slice() {
        [domain, bus, slot, function] => (domain, bus, slot, function),
        [bus, slot, function] => (0, bus, slot, function),
        _ => anyhow::bail!("{}/ADDRESS is {text:?}: no PCI address", pci.path()),
    };
    let fits = domain <= 0xffff && bus <= 0xff && slot <= 0x1f && function <= 7;
    ensure!(fits, "{}/ADDRESS is {text:?}: no PCI address", pci.path());
    Ok(format!("{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"))
}

/// Whether the VM is to have a TPM. XAPI emulates version 2.0, whatever the MODEL.
pub fn has_tpm(vm: &Vm) -> bool {
    vm.template.all("TPM").any(|tpm| !tpm.text("MODEL").is_empty())
}

#[cfg(test)]
mod tests {
    use super::address;
    use crate::one::Element;

    fn written(text: &str) -> Result<String, String> {
        let pci = Element::parse("the test", &format!("<PCI><ADDRESS>{text}</ADDRESS></PCI>")).unwrap();
        address(&pci).map_err(|why| why.to_string())
    }

    #[test]
    fn addresses_are_written_as_xapi_reads_them() {
        for text in ["0000:02:00:0", "0000:02:00.0", "02:00.0"] {
            assert_eq!(written(text).unwrap(), "0000:02:00.0", "{text}");
        }
        assert_eq!(written("0001:af:1f:7").unwrap(), "0001:af:1f.7");
        for text in ["", "02:00", "0000:02:20.0", "0000:02:00.8", "xx:00.0"] {
            assert!(written(text).unwrap_err().contains("no PCI address"), "{text}");
        }
    }
}
