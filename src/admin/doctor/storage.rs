//! The SRs that disks and memory images go to, whether hosts have them, and how full they are; and the
//! template that VMs are made of.

use super::finding::Finding;
use super::hosts::Member;
use super::some;
use super::srs::{Pbd, Pool, Sr, pbds, pool, srs};
use crate::action::deploy;
use crate::one::Conf;
use crate::parallel;
use crate::report::Result;
use crate::xe::{Uuid, Xe};
use std::collections::HashMap;

/// Less than this is an SR that is full, less than a tenth is one that will be.
const FULL_BYTES: i64 = 1 << 30;

const DEFAULT_SR: &str = "default SR";

pub fn check(xe: &Xe, conf: &Conf, hosts: &[Member]) -> Result<Vec<Finding>> {
    let ((pool, srs), (pbds, templates)) = parallel::both(
        || parallel::both(|| pool(xe), || srs(xe)),
        || parallel::both(|| pbds(xe), || template(xe, conf)),
    );
    let (pool, srs, pbds) = (pool?, srs?, pbds?);
    let mut found = vec![default_sr(conf, pool.as_ref(), &srs, &pbds, hosts)];
    found.extend(migrate_sr(conf, &srs));
    found.push(suspend_sr(pool.as_ref(), &srs, hosts));
    found.extend(unplugged(&srs, &pbds, hosts));
    found.extend(srs.iter().filter_map(room));
    found.push(templates?);
    Ok(found)
}

fn default_sr(conf: &Conf, pool: Option<&Pool>, srs: &[Sr], pbds: &[Pbd], hosts: &[Member]) -> Finding {
    let setting = conf.optional("DEFAULT_SR");
    let default = pool.and_then(|pool| pool.default_sr.as_ref());
    let is_meant = |sr: &&Sr| match setting {
        Some(name) => sr.name == name || sr.uuid.to_string() == name,
        None => Some(&sr.uuid) == default,
    };
    let named: Vec<&Sr> = srs.iter().filter(is_meant).collect();
    let [sr] = named.as_slice() else { return not_one(&named, setting, pool) };
    if sr.content_type == "iso" {
        return Finding::mend(DEFAULT_SR, format!("{} holds only ISO images", sr.name), "choose another");
    }
    reached_by_all(sr, pbds, hosts)
}

/// Where disks go that a migration must move, if it is set.
fn migrate_sr(conf: &Conf, srs: &[Sr]) -> Option<Finding> {
    let name = conf.optional("MIGRATE_SR")?;
    let count = srs.iter().filter(|sr| sr.name == name || sr.uuid.to_string() == name).count();
    match count {
        1 => None,
        0 => {
            let text = format!("there is no SR {name:?}");
            Some(Finding::mend("MIGRATE_SR", text, "correct MIGRATE_SR (xe sr-list)"))
        }
        _ => {
            let text = format!("{count} SRs have the name of MIGRATE_SR");
            Some(Finding::mend("MIGRATE_SR", text, "name it by its uuid"))
        }
    }
}

/// The default SR is not there, or is not one only.
fn not_one(named: &[&Sr], setting: Option<&str>, pool: Option<&Pool>) -> Finding {
    match (named, setting) {
        ([], Some(name)) => {
            Finding::mend(DEFAULT_SR, format!("there is no SR {name:?}"), "correct DEFAULT_SR (xe sr-list)")
        }
        ([], None) => {
            let uuid = pool.map_or("…".to_owned(), |pool| pool.uuid.to_string());
            let advice =
                format!("xe pool-param-set uuid={uuid} default-SR=UUID (xe sr-list), or set DEFAULT_SR");
            Finding::mend(DEFAULT_SR, "the pool has none that is there", advice)
        }
        (several, _) => {
            let text = format!("{} SRs have the name of DEFAULT_SR", several.len());
            Finding::mend(DEFAULT_SR, text, "name it by its uuid")
        }
    }
}

fn reached_by_all(sr: &Sr, pbds: &[Pbd], hosts: &[Member]) -> Finding {
    let lacks = |member: &&Member| {
        !pbds.iter().any(|pbd| pbd.sr == sr.uuid && pbd.host == member.host.uuid && pbd.is_attached)
    };
    let without: Vec<String> =
        hosts.iter().filter(lacks).map(|member| member.host.name_label.clone()).collect();
    if without.is_empty() {
        return Finding::fine(DEFAULT_SR, format!("{} ({})", sr.name, sr.uuid));
    }
    let text = format!("{} is not to be had on {}", sr.name, some(&without));
    if sr.is_shared {
        Finding::mend(DEFAULT_SR, text, "plug it there (xe pbd-list, xe pbd-plug)")
    } else {
        Finding::note(
            DEFAULT_SR,
            text,
            "VMs cannot run there; use a shared SR, or another DEFAULT_SR on each host",
        )
    }
}

/// XAPI takes the pool's, or else the host's (xapi helpers.ml `choose_suspend_sr`).
fn suspend_sr(pool: Option<&Pool>, srs: &[Sr], hosts: &[Member]) -> Finding {
    const SUBJECT: &str = "suspend SR";
    let known = |uuid: &Option<Uuid>| srs.iter().find(|sr| Some(&sr.uuid) == uuid.as_ref());
    if let Some(sr) = pool.and_then(|pool| known(&pool.suspend_sr)) {
        return Finding::fine(SUBJECT, format!("{} ({})", sr.name, sr.uuid));
    }
    let without = hosts.iter().filter(|member| known(&member.suspend_sr).is_none());
    let without: Vec<String> = without.map(|member| member.host.name_label.clone()).collect();
    if without.is_empty() {
        return Finding::note(SUBJECT, "each host has its own", "a suspended VM can go on only where it was");
    }
    let uuid = pool.map_or("…".to_owned(), |pool| pool.uuid.to_string());
    Finding::mend(
        SUBJECT,
        format!("there is none on {}: no VM can be suspended there", some(&without)),
        format!("xe pool-param-set uuid={uuid} suspend-image-SR=UUID (xe sr-list)"),
    )
}

fn unplugged(srs: &[Sr], pbds: &[Pbd], hosts: &[Member]) -> Vec<Finding> {
    let names: HashMap<&Uuid, &str> = srs.iter().map(|sr| (&sr.uuid, sr.name.as_str())).collect();
    let off = pbds.iter().filter(|pbd| !pbd.is_attached);
    let finding = |pbd: &Pbd| {
        let host = hosts.iter().find(|member| member.host.uuid == pbd.host)?;
        let text = format!("{} is not plugged on {}", names.get(&pbd.sr)?, host.host.name_label);
        Some(Finding::mend("SRs", text, format!("xe pbd-plug uuid={}", pbd.uuid)))
    };
    off.filter_map(finding).collect()
}

fn room(sr: &Sr) -> Option<Finding> {
    // ISO SRs and the like have no room to speak of.
    if sr.content_type == "iso" || sr.size_bytes <= 0 || sr.used_bytes < 0 {
        return None;
    }
    let free = sr.size_bytes - sr.used_bytes;
    let text = format!("{} has {} of {} MB free", sr.name, free >> 20, sr.size_bytes >> 20);
    if free < FULL_BYTES {
        return Some(Finding::mend(
            "room",
            text,
            "remove disks that nobody wants (one-xcp gc), or make it larger",
        ));
    }
    (free < sr.size_bytes / 10).then(|| Finding::note("room", text, "it will be full soon"))
}

fn template(xe: &Xe, conf: &Conf) -> Result<Finding> {
    const SUBJECT: &str = "template";
    let name = conf.text("TEMPLATE", deploy::DEFAULT_TEMPLATE);
    let key = if name.parse::<Uuid>().is_ok() { "uuid" } else { "name-label" };
    let found = xe.list("template", &["uuid"], &[(key, name)], |record| record.get::<Uuid>("uuid"))?;
    Ok(match found.len() {
        1 => Finding::fine(SUBJECT, name.to_owned()),
        0 => Finding::mend(
            SUBJECT,
            format!("the pool has no template {name:?}"),
            "set TEMPLATE to one of xe template-list",
        ),
        several => Finding::mend(
            SUBJECT,
            format!("{several} templates of the pool have the name {name:?}"),
            "set TEMPLATE to the uuid of the right one",
        ),
    })
}
