//! The VM document: what OpenNebula wants the VM to be.

use super::{Disk, Element, LcmState, Nic};
use crate::report::Result;
use anyhow::{Context, ensure};

/// The VM as the drivers use it. Everything is checked here, before the first change of the pool.
#[derive(Clone, Debug)]
pub struct Vm {
    pub vm_id: u32,
    pub name: String,
    /// Empty before the first deployment.
    pub deploy_id: String,
    pub lcm_state: LcmState,
    /// OpenNebula's share of a host's CPUs, in CPUs.
    pub cpu: f64,
    pub vcpu: u32,
    pub vcpu_max: u32,
    pub memory_mb: u64,
    pub memory_max_mb: u64,
    pub disks: Vec<Disk>,
    /// The DISK_IDs that have snapshots of their own (SNAPSHOTS).
    pub snapshotted_disks: Vec<u32>,
    pub nics: Vec<Nic>,
    pub context: Option<ContextDisc>,
    /// The system datastore of the last history record.
    pub ds_id: Option<u32>,
    /// The host of the last history record.
    pub last_host: String,
    /// TEMPLATE and USER_TEMPLATE, for what only one translation looks at.
    pub template: Element,
    pub user_template: Element,
}

/// The context disc, built by OpenNebula as `disk.N`.
#[derive(Clone, Debug)]
pub struct ContextDisc {
    pub disk_id: u32,
    pub target: String,
}

impl Vm {
    /// Reads a `<VM>`.
    pub fn read(mut vm: Element) -> Result<Vm> {
        ensure!(vm.name() == "VM", "the document is a {}, not a VM", vm.name());
        let template = vm.take("TEMPLATE").with_context(|| format!("{}/TEMPLATE is missing", vm.path()))?;
        let user_template = vm.take("USER_TEMPLATE").unwrap_or_default();
        let vcpu: u32 = template.get("VCPU")?.unwrap_or(1);
        let memory_mb: u64 = template.need("MEMORY")?;
        let cpu: f64 = template.get("CPU")?.unwrap_or(1.0);
        let vcpu_max = template.get("VCPU_MAX")?.unwrap_or(vcpu).max(vcpu);
        let memory_max_mb = template.get("MEMORY_MAX")?.unwrap_or(memory_mb).max(memory_mb);
        ensure!(cpu.is_finite() && cpu > 0.0, "VM/TEMPLATE/CPU is {cpu}: it must be more than 0");
        ensure!(vcpu > 0, "VM/TEMPLATE/VCPU is 0: a VM needs at least one");
        ensure!(memory_mb > 0, "VM/TEMPLATE/MEMORY is 0: a VM needs some (in MB)");
        ensure!(memory_max_mb <= 16 << 20, "VM/TEMPLATE/MEMORY is more than 16 TB (it is in MB)");
        let context = template.all("CONTEXT").next().map(ContextDisc::read).transpose()?.flatten();
        Ok(Vm {
            vm_id: vm.need("ID")?,
            name: vm.text("NAME").to_owned(),
            deploy_id: vm.text("DEPLOY_ID").to_owned(),
            lcm_state: LcmState(vm.get("LCM_STATE")?.unwrap_or(0)),
            cpu,
            vcpu,
            vcpu_max,
            memory_mb,
            memory_max_mb,
            disks: template.all("DISK").map(Disk::read).collect::<Result<_>>()?,
            snapshotted_disks: snapshotted_disks(&vm)?,
            nics: Nic::all(&template)?,
            context,
            ds_id: last_history(&vm)
                .map_or(Ok(None), |last| last.get("DS_ID"))
                .context("the VM's history")?,
            last_host: last_history(&vm).map(|last| last.text("HOSTNAME").to_owned()).unwrap_or_default(),
            user_template,
            template,
        })
    }

    /// The host that a cold migration takes the VM to, while it is being saved for that (VirtualMachineManager.cc
    /// `trigger_save`: only HOST of the message is the one it leaves).
    pub fn cold_migration_to(&self) -> Option<&str> {
        (self.lcm_state == LcmState::SAVE_MIGRATE && !self.last_host.is_empty()).then_some(&*self.last_host)
    }

    /// An attribute that OpenNebula's core does not know: it may stand in either template.
    pub fn attribute(&self, name: &str) -> &str {
        let own = self.template.text(name);
        if own.is_empty() { self.user_template.text(name) } else { own }
    }

    /// The only element of this name in the template, or an empty one.
    pub fn section(&self, name: &str) -> Element {
        self.template.all(name).next().cloned().unwrap_or_default()
    }
}

impl ContextDisc {
    /// A CONTEXT without a DISK_ID makes no disc.
    fn read(context: &Element) -> Result<Option<ContextDisc>> {
        let target = context.text("TARGET").to_owned();
        Ok(context.get("DISK_ID")?.map(|disk_id| ContextDisc { disk_id, target }))
    }
}

fn snapshotted_disks(vm: &Element) -> Result<Vec<u32>> {
    let of = vm.all("SNAPSHOTS").filter(|snapshots| snapshots.all("SNAPSHOT").next().is_some());
    of.map(|snapshots| snapshots.need("DISK_ID")).collect()
}

fn last_history(vm: &Element) -> Option<&Element> {
    vm.all("HISTORY_RECORDS").next()?.all("HISTORY").next_back()
}
