//! What a real oned sent to its own network drivers, as it sends it to `xcp`.

use crate::common::{Host, Recorded, Said, said};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The decoded document of a recorded call, for our driver.
pub fn document(name: &str) -> String {
    let recorded = Recorded::load(&format!("vnm/{name}"));
    let packed: Vec<u8> = recorded.stdin.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let text = String::from_utf8(STANDARD.decode(packed).unwrap()).unwrap();
    let (driver, _) = name.split_once('-').unwrap();
    let own = format!("<VN_MAD><![CDATA[{driver}]]></VN_MAD>");
    assert!(text.contains(&own), "{text}");
    text.replace(&own, "<VN_MAD><![CDATA[xcp]]></VN_MAD>")
}

/// Runs a script as oned does: the document in base64 on standard input.
pub fn run(host: &Host, script: &str, args: &[&str], document: &str) -> Said {
    let mut command = host.command(host.path(&format!("remotes/vnm/xcp/{script}")));
    said(command.args(args), STANDARD.encode(document).as_bytes())
}
