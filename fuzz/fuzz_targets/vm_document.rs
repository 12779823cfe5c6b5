//! Deployment files hold what tenants wrote: reading one ends, with a VM or with an error of one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use one_xcp::one::{Element, Vm};
use one_xcp::report::one_line;

fuzz_target!(|text: &str| {
    let vm = Element::parse("the deployment file", text).and_then(|element| Vm::read(element));
    if let Err(error) = vm {
        assert!(!one_line(&format!("{error:#}")).contains('\n'));
    }
});
