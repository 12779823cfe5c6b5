//! FEATURES, INPUT, VIDEO and the keyboard's layout → XAPI's `platform` map.

use super::dom0;
use crate::one::Vm;
use crate::report::Result;

/// Parameters for `vm-param-set`: only what the template says, the rest is the XAPI template's.
pub fn params(vm: &Vm) -> Result<Vec<(String, String)>> {
    let features = vm.section("FEATURES");
    let mut params = Vec::new();
    let mut set = |key: &str, value: String| params.push((format!("platform:{key}"), value));
    for (name, key) in [("ACPI", "acpi"), ("PAE", "pae"), ("APIC", "apic")] {
        if let Some(yes) = features.yes_no(name) {
            set(key, u8::from(yes).to_string());
        }
    }
    if let Some(yes) = features.yes_no("VIRIDIAN").or_else(|| features.yes_no("HYPERV")) {
        set("viridian", yes.to_string());
    }
    if vm.template.all("INPUT").any(|input| input.text("TYPE").eq_ignore_ascii_case("tablet")) {
        set("usb", "true".to_owned());
        set("usb_tablet", "true".to_owned());
    }
    let video = vm.section("VIDEO");
    match video.text("TYPE").to_ascii_lowercase().as_str() {
        "vga" => set("vga", "std".to_owned()),
        "cirrus" => set("vga", "cirrus".to_owned()),
        _ => {}
    }
    let keymap = vm.section("GRAPHICS").text("KEYMAP").to_owned();
    if !keymap.is_empty() {
        dom0::check("VM/TEMPLATE/GRAPHICS/KEYMAP", "platform:keymap", &keymap)?;
        set("keymap", keymap);
    }
    if let Some(vram_kib) = video.get::<u64>("VRAM")? {
        set("videoram", vram_kib.div_ceil(1024).max(4).to_string());
    }
    Ok(params)
}
