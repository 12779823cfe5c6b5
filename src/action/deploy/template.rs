//! The XAPI template that a VM is installed from: whether the VM's user may name it, and what of it must go.

use super::plan::DEFAULT_TEMPLATE;
use crate::one::{Conf, Vm};
use crate::report::Result;
use crate::translate::mark;
use crate::xe::network::{self, Vif};
use crate::xe::record::map_value;
use crate::xe::vbd::Vbd;
use crate::xe::{Call, Record, Uuid, Xe, call, vdi, vm};
use crate::{parallel, report};
use anyhow::{Context, bail, ensure};

/// What XAPI marks the templates with that it comes with (xapi_globs.ml `default_template_key`). No copy has it.
const OF_XAPI: &str = "default_template";

/// Keys of `platform` that give a guest a hypervisor of its own.
const NESTED: [&str; 2] = ["nested-virt", "exp-nested-hvm"];

/// Key of `other-config` with the host's PCI devices that a VM gets.
const PCI: &str = "pci";

/// A template that a VM may be installed from.
#[derive(Debug)]
pub struct Template {
    /// Its uuid, or the name of the plain one that comes with XAPI and brings nothing.
    name: String,
    /// What a VM does not keep of it: a map, and the key in it or all of it.
    cleared: Vec<(&'static str, Option<&'static str>)>,
}

impl Template {
    /// The one that the VM's XCP_TEMPLATE names, if its user may; else the administrator's.
    pub fn look_up(xe: &Xe, conf: &Conf, vm: &Vm) -> Result<Template> {
        let of_user = vm.attribute("XCP_TEMPLATE");
        if !of_user.is_empty() {
            return Template::of_user(xe, conf, of_user).context("VM/USER_TEMPLATE/XCP_TEMPLATE");
        }
        let name = conf.text("TEMPLATE", DEFAULT_TEMPLATE);
        if name == DEFAULT_TEMPLATE {
            return Ok(Template { name: name.to_owned(), cleared: Vec::new() });
        }
        Template::only(conf, name, Found::named(xe, name)?).context("TEMPLATE in xcprc")
    }

    fn of_user(xe: &Xe, conf: &Conf, name: &str) -> Result<Template> {
        let listed = names(conf, "TEMPLATES");
        if listed.is_empty() {
            let mut found = Found::named(xe, name)?;
            found.retain(|found| found.is_of_xapi);
            ensure!(
                !found.is_empty(),
                "{name:?} is none of the templates that come with XAPI (xe template-list \
                 other-config:{OF_XAPI}=true); others are for the administrator to allow, with TEMPLATES in xcprc"
            );
            return Template::only(conf, name, found);
        }
        ensure!(
            listed.contains(&name),
            "{name:?} is not among the templates that the administrator allows: {}",
            listed.join(", ")
        );
        Template::only(conf, name, Found::named(xe, name)?)
    }

    fn only(conf: &Conf, name: &str, found: Vec<Found>) -> Result<Template> {
        let found = match <[Found; 1]>::try_from(found) {
            Ok([found]) => found,
            Err(none) if none.is_empty() => bail!("the pool has no template {name:?}"),
            Err(several) => bail!("the pool has {} templates {name:?}: name one by its uuid", several.len()),
        };
        let uuid = found.uuid.to_string();
        let trusted = names(conf, "TRUSTED_TEMPLATES");
        let is_trusted = trusted.contains(&name) || trusted.contains(&uuid.as_str());
        Ok(Template { name: uuid, cleared: if is_trusted { Vec::new() } else { found.brings } })
    }

    /// Makes a halted VM of it; the template's own disks go on `sr`, else on the pool's default SR.
    pub fn install(&self, name_label: &str, sr: Option<&Uuid>) -> Call {
        vm::install(&self.name, name_label, sr)
    }

    /// Takes from a VM that was just installed what it may not keep of its template. For `params` that are set
    /// afterwards, nothing needs to go.
    pub fn clear(&self, xe: &Xe, uuid: &Uuid, params: &[(String, String)]) -> Result<()> {
        let is_set = |map: &str, key: Option<&str>| {
            key.is_some_and(|key| params.iter().any(|(param, _)| *param == format!("{map}:{key}")))
        };
        for (map, key) in self.cleared.iter().filter(|(map, key)| !is_set(map, *key)) {
            let what = key.map_or((*map).to_owned(), |key| format!("{map}:{key}"));
            report::info(format!("the VM does not get {what} of its template: see TRUSTED_TEMPLATES"));
            let cleared = match key {
                Some(key) => {
                    call("vm-param-remove").set("uuid", uuid).set("param-name", map).set("param-key", key)
                }
                None => call("vm-param-clear").set("uuid", uuid).set("param-name", map),
            };
            xe.run(&cleared).with_context(|| format!("cannot take {what} of its template from the VM"))?;
        }
        Ok(())
    }

    /// Templates bring disks and NICs of their own; OpenNebula's take their place.
    pub fn remove_devices(&self, xe: &Xe, uuid: &Uuid) -> Result<()> {
        if self.name == DEFAULT_TEMPLATE {
            return Ok(());
        }
        let (vbds, vifs) = parallel::both(|| Vbd::of_vm(xe, uuid), || Vif::of_vm(xe, uuid));
        for vbd in vbds? {
            match (vbd.other_config(mark::OWNER), &vbd.vdi_uuid) {
                (Some(_), Some(vdi)) => xe.run(&vdi::destroy(vdi))?,
                _ => xe.run(&call("vbd-destroy").set("uuid", &vbd.uuid))?,
            };
        }
        for vif in vifs? {
            xe.run(&network::destroy_vif(&vif.uuid))?;
        }
        Ok(())
    }
}

/// Names and uuids in a setting, with commas between them.
fn names<'a>(conf: &'a Conf, setting: &str) -> Vec<&'a str> {
    conf.text(setting, "").split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// A template as the pool has it.
struct Found {
    uuid: Uuid,
    is_of_xapi: bool,
    brings: Vec<(&'static str, Option<&'static str>)>,
}

impl Found {
    /// Those of this uuid or name. `template-list` has no snapshots (cli_operations.ml `template_list`).
    fn named(xe: &Xe, name: &str) -> Result<Vec<Found>> {
        const FIELDS: [&str; 4] = ["uuid", "other-config", "platform", "xenstore-data"];
        let key = if name.parse::<Uuid>().is_ok() { "uuid" } else { "name-label" };
        xe.list("template", &FIELDS, &[(key, name)], Found::read)
    }

    fn read(record: &Record<'_>) -> Result<Found> {
        let other_config = record.text("other-config");
        let has = |map: &str, key: &str| map_value(record.text(map), key).is_some();
        let mut brings = Vec::new();
        brings.extend(has("other-config", PCI).then_some(("other-config", Some(PCI))));
        brings.extend(NESTED.iter().filter(|key| has("platform", key)).map(|key| ("platform", Some(*key))));
        brings.extend((!record.text("xenstore-data").is_empty()).then_some(("xenstore-data", None)));
        Ok(Found {
            uuid: record.get("uuid")?,
            is_of_xapi: map_value(other_config, OF_XAPI) == Some("true"),
            brings,
        })
    }
}
