//! What goes over the network, and how soon.

use super::monitord::Monitord;
use super::site::{Site, halted, part, running, state};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::rand_core::OsRng;
use std::cell::Cell;
use std::time::{Duration, Instant};

#[test]
fn a_key_encrypts_all_of_it_and_auto_is_where_the_connection_came_from() {
    // As long as it need be to be one: making longer ones takes seconds.
    let private = RsaPrivateKey::new(&mut OsRng, 512).unwrap();
    let der = private.to_public_key().to_pkcs1_der().unwrap();
    let monitord = Monitord::with_key(Some(private));
    let mut site = Site::new(monitord.port);
    let (begin, end) = ("-----BEGIN RSA PUBLIC KEY-----", "-----END RSA PUBLIC KEY-----");
    // OpenNebula has blanks for its line breaks.
    site.network = vec![
        ("PUBKEY", format!("{begin} {} {end} ", STANDARD.encode(der.as_bytes()))),
        ("MONITOR_ADDRESS", "auto".to_owned()),
    ];
    site.vms(&[running(1)]);
    // What is printed is read by the one who asked.
    assert!(part(&site.start().ok(), "SYSTEM_HOST").contains("HYPERVISOR=\"xcp\"\n"));
    assert!(monitord.wait_for("MONITOR_VM", "ID=\"1\"", 0).success);
    let before = monitord.count();
    site.vms(&[halted(1)]);
    let told = monitord.wait_for("STATE_VM", "VM = ", before);
    assert!(told.by_tcp && told.text == state(1, "POWEROFF"), "{told:?}");
}

/// A busy machine may take longer over one of them, but not over each of several.
#[test]
fn a_host_is_told_within_a_second_and_a_state_within_its_period() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1)]);
    let quickest = |of: &dyn Fn()| {
        let times = (0..4).map(|_| {
            let start = Instant::now();
            of();
            start.elapsed()
        });
        times.min().unwrap()
    };
    let host = quickest(&|| {
        assert!(part(&site.start().ok(), "SYSTEM_HOST").contains("HYPERVISOR=\"xcp\"\n"));
    });
    assert!(host < Duration::from_secs(1), "{host:?}");
    let is_running = Cell::new(true);
    let change = quickest(&|| {
        let before = monitord.count();
        is_running.set(!is_running.get());
        site.vms(&[if is_running.get() { running(1) } else { halted(1) }]);
        monitord.wait_for("STATE_VM", "VM = ", before);
    });
    assert!(change < Duration::from_millis(1300), "{change:?}");
}
