//! CPU, VCPU, VCPU_MAX, TOPOLOGY → XAPI's VCPUs and their share.

use crate::one::Vm;
use crate::report::Result;
use anyhow::{bail, ensure};

/// Xen's weight for one whole CPU; OpenNebula's CPU=1 (credit scheduler, 1 to 65535).
const WEIGHT_OF_ONE_CPU: f64 = 256.0;

/// The most that XAPI gives a VM (xapi `Xapi_globs.hvm_max_vcpus`… XenServer's configuration limits: 64).
const MAX_VCPUS: u32 = 64;

/// Parameters for `vm-param-set`. `VCPUs-max` comes before `VCPUs-at-startup`: they are set one by one, and
/// a start above the maximum is refused.
pub fn params(vm: &Vm, with_cap: bool) -> Result<Vec<(String, String)>> {
    ensure!(
        vm.vcpu_max <= MAX_VCPUS,
        "VM/TEMPLATE/VCPU is {}: XAPI gives a VM at most {MAX_VCPUS}",
        vm.vcpu_max
    );
    let mut params = vec![
        ("VCPUs-max".to_owned(), vm.vcpu_max.to_string()),
        ("VCPUs-at-startup".to_owned(), vm.vcpu.to_string()),
    ];
    let share = share(vm.cpu, with_cap);
    params.extend(share.into_iter().map(|(key, value)| (format!("VCPUs-params:{key}"), value)));
    if let Some(mask) = pinned(vm) {
        params.push(("VCPUs-params:mask".to_owned(), mask));
    }
    if let Some(cores) = cores_per_socket(vm)? {
        params.push(("platform:cores-per-socket".to_owned(), cores.to_string()));
    }
    Ok(params)
}

/// OpenNebula's CPU as keys of `VCPUs-params`: a share of the host, and with CPU_CAP a limit too.
pub fn share(cpu: f64, with_cap: bool) -> Vec<(&'static str, String)> {
    let mut share = vec![("weight", weight(cpu).to_string())];
    if with_cap {
        share.push(("cap", cap_percent(cpu).to_string()));
    }
    share
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=65535 first")]
fn weight(cpu: f64) -> u32 {
    (cpu * WEIGHT_OF_ONE_CPU).round().clamp(1.0, 65_535.0) as u32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=6400 first")]
fn cap_percent(cpu: f64) -> u32 {
    (cpu * 100.0).round().clamp(1.0, 100.0 * f64::from(MAX_VCPUS)) as u32
}

/// The host CPUs that the scheduler pinned the VM to, as XAPI reads them (xapi_xenops.ml `scheduler_params`):
/// `1,2,3` is for all VCPUs, `1;2;3` gives each its own, and those not named the first.
fn pinned(vm: &Vm) -> Option<String> {
    let policy = vm.section("TOPOLOGY").text("PIN_POLICY").to_ascii_uppercase();
    if policy.is_empty() || policy == "NONE" {
        return None;
    }
    let nodes = vm.template.all("NUMA_NODE").flat_map(|node| node.text("CPUS").split(','));
    let cpus: Vec<&str> = nodes.map(str::trim).filter(|cpu| !cpu.is_empty()).collect();
    // With SHARED the VCPUs share the CPUs, else the scheduler has chosen one for each.
    let each_its_own = policy != "SHARED" && cpus.len() == vm.vcpu as usize;
    Some(cpus.join(if each_its_own { ";" } else { "," })).filter(|mask| !mask.is_empty())
}

fn cores_per_socket(vm: &Vm) -> Result<Option<u32>> {
    let topology = vm.section("TOPOLOGY");
    let cores: Option<u32> = topology.get("CORES")?;
    let threads: u32 = topology.get("THREADS")?.unwrap_or(1).max(1);
    let sockets: Option<u32> = topology.get("SOCKETS")?;
    let cores = match (cores, sockets) {
        (Some(cores), _) => cores.saturating_mul(threads),
        (None, Some(sockets)) if sockets > 0 && vm.vcpu_max.is_multiple_of(sockets) => vm.vcpu_max / sockets,
        (None, Some(sockets)) => bail!(
            "VM/TEMPLATE/TOPOLOGY/SOCKETS is {sockets}, over which {} VCPUs cannot be spread",
            vm.vcpu_max
        ),
        (None, None) => return Ok(None),
    };
    ensure!(
        cores > 0 && vm.vcpu_max.is_multiple_of(cores),
        "VM/TEMPLATE/TOPOLOGY asks for {cores} VCPUs a socket, of which {} VCPUs cannot be made",
        vm.vcpu_max
    );
    Ok(Some(cores))
}
