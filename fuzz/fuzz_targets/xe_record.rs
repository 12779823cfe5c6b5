//! What `xe` prints holds names that tenants chose: what is read from any text
//! has no more records than the text has lines that could begin one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use one_xcp::xe::record;

fuzz_target!(|text: &str| {
    let records = record::parse(text, &["uuid", "name-label", "other-config"]);
    let beginnings = text.lines().filter(|line| !line.starts_with(' ')).count();
    assert!(records.len() <= beginnings);
    for record in &records {
        _ = record.map_value("other-config", "one_vm_id");
    }
});
