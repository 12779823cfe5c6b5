//! Each `xe` call of each script going wrong in each way: no image is lost, none half registered, and what is left
//! is found by its tags or its name when the script is called again.

use crate::common::steps::Wrong;
use crate::site::Site;
use std::process::Command;

/// What must hold after any step: repeated, the script succeeds.
fn again(site: &Site, script: &dyn Fn(&Site) -> (Command, Vec<u8>)) -> String {
    let (mut command, stdin) = script(site);
    crate::common::said(&mut command, &stdin).ok()
}

#[test]
fn an_import_is_whole_or_not_there() {
    let site = Site::new();
    site.image();
    let cp = |site: &Site| (site.ds_command("cp", "7"), site.cp_message("disk.raw", 10));
    site.each(&cp, &|site, step| {
        let made = site.tagged("one-image-7");
        match step.said.code {
            Some(0) => assert_eq!(made.len(), 1),
            Some(_) => assert_eq!(site.host.dump(), step.before, "{step:#?}"),
            None => {}
        }
        let uuid = again(site, &cp);
        let uuid = uuid.split(' ').next().unwrap();
        assert_eq!(site.vdi_param(uuid, "tags"), "one-image-7");
        let half: Vec<String> = site.tagged("one-incomplete");
        assert!(half.is_empty(), "{half:?} after {step:#?}");
    });
}

#[test]
fn a_clone_is_whole_or_found_again() {
    let site = Site::new();
    let source = site.image();
    let words = site.recorded("clone", &source);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let clone = |site: &Site| (site.tm_command("clone", &words), Vec::new());
    site.each(&clone, &|site, step| {
        if step.said.code.is_some_and(|code| code != 0) {
            assert_eq!(site.host.dump(), step.before, "{step:#?}");
        }
        again(site, &clone);
        let disks = site.host.xe(&["vdi-list", "name-label=one-2-disk-0", "params=uuid", "--minimal"]);
        assert_eq!(disks, site.disk(0), "{step:#?}");
        assert!(site.is_there(&source));
    });
}

#[test]
fn a_disk_is_reverted_or_as_before() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let first = site.disk(0);
    site.host.write_vdi(&first, 0, b"zero");
    site.tm_recorded("snap_create", "").ok();
    site.host.write_vdi(&first, 0, b"now!");
    let words = site.recorded("snap_revert", "");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let revert = |site: &Site| (site.tm_command("snap_revert", &words), Vec::new());
    site.each(&revert, &|site, step| {
        let now = site.host.vdi_bytes(&site.disk(0))[..4].to_vec();
        match step.said.code {
            Some(0) => assert_eq!(now, b"zero", "{step:#?}"),
            Some(_) => {
                assert_eq!((site.host.dump(), now), (step.before.clone(), b"now!".to_vec()), "{step:#?}");
            }
            None => assert!(now == b"zero" || now == b"now!"),
        }
        again(site, &revert);
        assert_eq!(&site.host.vdi_bytes(&site.disk(0))[..4], b"zero");
        site.tm_recorded("delete.2", "").ok();
        let left = site.tagged("one-2-disk-0");
        assert!(left.is_empty(), "{left:?} after {step:#?}");
    });
}

#[test]
fn an_image_is_saved_or_as_before() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let saved = site.ds("mkfs", "4", &site.message("mkfs.2", &[])).ok();
    let words = site.recorded("cpds", &saved);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let cpds = |site: &Site| (site.tm_command("cpds", &words), Vec::new());
    site.each(&cpds, &|site, step| {
        if step.said.code.is_some_and(|code| code != 0) {
            assert_eq!(site.host.dump(), step.before, "{step:#?}");
        }
        again(site, &cpds);
        assert_eq!(site.tagged("one-image-4").len(), 1, "{step:#?}");
        assert!(site.is_there(&site.disk(0)) && site.is_there(&source));
    });
}

#[test]
fn other_scripts_are_done_or_can_be_done_again() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    for name in ["snap_create", "mkimage", "mkswap", "resize", "ln", "delete.2"] {
        let words = site.recorded(name, &source);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let script = |site: &Site| (site.tm_command(name.split('.').next().unwrap(), &words), Vec::new());
        site.each_in(&[Wrong::AnswerLost, Wrong::Killed], &script, &|site, _| {
            again(site, &script);
            assert!(site.is_there(&source), "{name}");
        });
    }
}

/// Each call of the script never answers, with its work done or not; afterwards `check`.
fn each_hanging(
    site: &Site,
    script: &dyn Fn(&Site) -> (Command, Vec<u8>),
    check: &dyn Fn(&Site, &crate::common::Said, &str),
) {
    let kept = site.host.keep();
    let before = site.host.dump();
    site.host.forget_calls();
    again(site, script);
    let calls = site.host.calls().len();
    for nth in 1..=calls {
        for after in [&[][..], &["--after"]] {
            site.host.put_back(&kept);
            let number = nth.to_string();
            site.host.sim(&[&["hang", "any", "--nth", &number], after].concat());
            let (mut command, stdin) = script(site);
            command.env("XE_TIMEOUT", "2").env("XE_TRANSFER_TIMEOUT", "2");
            let said = crate::common::said(&mut command, &stdin);
            site.host.sim(&["clear"]);
            check(site, &said, &before);
        }
    }
}

#[test]
fn a_call_that_never_answers_leaves_no_half_image() {
    let site = Site::new();
    site.image();
    let cp = |site: &Site| (site.ds_command("cp", "7"), site.cp_message("disk.raw", 10));
    each_hanging(&site, &cp, &|site, said, before| {
        if said.code != Some(0) {
            assert_eq!(site.host.dump(), before, "{said:#?}");
        }
    });
}

#[test]
fn a_call_that_never_answers_loses_no_disk() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    site.host.write_vdi(&site.disk(0), 0, b"zero");
    site.tm_recorded("snap_create", "").ok();
    site.host.write_vdi(&site.disk(0), 0, b"now!");
    let words = site.recorded("snap_revert", "");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let revert = |site: &Site| (site.tm_command("snap_revert", &words), Vec::new());
    each_hanging(&site, &revert, &|site, said, before| {
        let now = site.host.vdi_bytes(&site.disk(0))[..4].to_vec();
        if said.code == Some(0) {
            assert_eq!(now, b"zero", "{said:#?}");
        } else {
            assert_eq!((site.host.dump().as_str(), now), (before, b"now!".to_vec()), "{said:#?}");
        }
    });
}
