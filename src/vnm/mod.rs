//! The network driver: one function for each script of `vnm/xcp`, under that script's name.
//!
//! OpenNebula calls `pre` before a VM comes to a host and `post` when it is there, `clean` when it or one of its NICs
//! is gone, `update_sg` and `update_nic` while it runs; `vnet_create` and `vnet_delete` on the front-end.

mod flows;
mod guard;
pub mod leftovers;
mod prefixes;
mod refusal;
mod request;
mod switch;
mod vnet;

pub use guard::Watch;

use crate::action::{Caller, nic_network};
use crate::one::Nic;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::filter::{Filter, KEY, NONE};
use crate::translate::{unsupported, vif};
use crate::xe::network::{self, Network, Vif};
use crate::xe::{Uuid, Xe};
use anyhow::{Context, bail, ensure};
use guard::Guard;
use request::{Asked, Request};
use std::collections::HashSet;

/// Scripts of OpenNebula's that connect a VM's NICs.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The script
    #[arg(value_parser = SCRIPTS)]
    script: String,
    /// What OpenNebula gives it; the VM comes on standard input
    #[arg(allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The scripts, as OpenNebula calls them.
pub const SCRIPTS: [&str; 7] =
    ["clean", "post", "pre", "update_nic", "update_sg", "vnet_create", "vnet_delete"];

/// Runs the script; gives back its name for errors.
pub fn run(caller: &Caller, args: &Args) -> (String, Result<String>) {
    let words = args.words.as_slice();
    let done = match args.script.as_str() {
        "pre" => Request::read().and_then(|request| pre(caller, &request)),
        "post" => Request::read().and_then(|request| post(caller, &request, words)),
        "clean" => Request::read().and_then(|request| clean(caller, &request.detached())),
        "update_nic" => Request::read().and_then(|request| update_nic(caller, &request, words)),
        "update_sg" => Request::read().and_then(|request| post(caller, &request, words)),
        "vnet_create" => vnet::create(),
        // What was made for its VMs went with the last of them.
        _ => Ok(()),
    };
    (format!("vnm {}", args.script), done.map(|()| String::new()))
}

/// Makes the networks of the NICs that are about to come, and closes those that are to be filtered: a VM that is resumed
/// or started again may have VIFs from when they were not.
fn pre(caller: &Caller, request: &Request) -> Result<()> {
    refusal::check_passed_through(request.template())?;
    let mut is_filtered = false;
    for nic in request.nics() {
        refusal::check(&nic.element)?;
        is_filtered |= request.filter(&nic.nic)?.is_some();
    }
    let xe = xe(caller, request)?;
    if is_filtered {
        check_host(&xe)?;
        close(&xe, request)?;
    }
    // The network that BRIDGE names is there, or what comes next says that it is not.
    let made = || request.nics().filter(|asked| nic_network::is_on_demand(&asked.nic));
    if made().next().is_none() {
        return Ok(());
    }
    let networks = Network::all(&xe)?;
    let mut there = HashSet::new();
    for Asked { nic, .. } in made() {
        if there.insert((&nic.phydev, &nic.bridge, nic.vlan_id)) {
            nic_network::of(&xe, &networks, nic)?;
            if nic_network::is_private(nic) {
                report::warn(format!(
                    "the network {} is connected to no other host: XAPI starts a VM on it only where others on it run, and \
                     migrates none that runs (VM_REQUIRES_NET); with a PHYDEV and a VLAN_ID the virtual network connects \
                     hosts",
                    nic.bridge
                ));
            }
        }
    }
    Ok(())
}

/// An error where security groups cannot be had.
fn check_host(xe: &Xe) -> Result<()> {
    ensure!(
        xe.is_of_this_host(),
        "security groups and FILTER_MAC_SPOOFING are flows of the host's switch: they need drivers that run on the host, \
         and these run on the front-end (XE_SERVER)"
    );
    ensure!(
        switch::bridges().is_some(),
        "security groups and FILTER_MAC_SPOOFING need Open vSwitch on the host, which does not answer: \
         ovs-vsctl show (a host with the network backend \"bridge\" has none: xe-switch-network-backend openvswitch)"
    );
    Ok(())
}

/// Before the VM runs here: its VIFs let nothing pass until [`post`] has made their flows.
fn close(xe: &Xe, request: &Request) -> Result<()> {
    let Ok(vm) = request.deploy_id.parse::<Uuid>() else { return Ok(()) };
    let vifs = Vif::of_vm(xe, &vm)?;
    for nic in request.nics() {
        let (filter, vif) = (request.filter(&nic.nic)?, request::vif_of(&nic.nic, &vifs));
        let Some((filter, vif)) = filter.zip(vif) else { continue };
        if vif.other_config(KEY) != Some(filter.to_text().as_str()) {
            set(xe, &vif.uuid, vif::closed(&filter), &nic.nic)?;
        }
    }
    Ok(())
}

fn set(xe: &Xe, vif: &Uuid, params: Vec<(String, String)>, nic: &Nic) -> Result<()> {
    let done = xe.run(&network::set_vif(vif).set_all(params));
    done.map(drop).with_context(|| format!("cannot set the filter of NIC {}", nic.nic_id))
}

/// The VM is there: makes the flows of its NICs, or changes them.
fn post(caller: &Caller, request: &Request, words: &[String]) -> Result<()> {
    let xe = xe(caller, request)?;
    let is_filtered = !request.filters()?.iter().all(Option::is_none);
    let guard = if xe.is_of_this_host() { Guard::take()? } else { None };
    let Some(guard) = guard else {
        return if is_filtered { check_host(&xe) } else { Ok(()) };
    };
    let vm = words.first().map_or(request.deploy_id.as_str(), String::as_str);
    let settled = settle(&xe, guard, request, vm)?;
    if let Some(nic) = settled.first() {
        bail!(
            "NIC {nic} of VM {vm} has no port in the host's switch: its security groups are not in force, and it stays closed"
        );
    }
    Ok(())
}

/// Sets the flows of the host's switch. A NIC that is filtered differently now has it noted in its VIF first, so that no
/// later start can forget it. Gives back the filtered NICs that have no port here.
fn settle(xe: &Xe, mut guard: Guard, request: &Request, vm: &str) -> Result<Vec<u32>> {
    let texts = guard.texts(xe)?;
    let mut without_port = Vec::new();
    for (asked, filter) in request.nics().zip(request.filters()?) {
        let nic = &asked.nic;
        let Some(vif) = guard.vif_of(vm, &nic.mac).map(str::to_owned) else {
            without_port.extend(filter.map(|_| nic.nic_id));
            continue;
        };
        let wanted = filter.as_ref().map_or(NONE.to_owned(), Filter::to_text);
        let there = texts.get(&vif).map_or(NONE, String::as_str);
        if there == wanted {
            continue;
        }
        // One that is closed already keeps its lock, and with it its port.
        let stays_closed = filter.is_some() && there != NONE;
        let params = match &filter {
            Some(_) if stays_closed => vec![(format!("other-config:{KEY}"), wanted.clone())],
            Some(filter) => vif::closed(filter),
            None => vif::open(nic),
        };
        // Whoever is killed here, or gets no answer, leaves it to XAPI what the filter is.
        guard.forget(&vif);
        set(xe, &vif.parse().context("xs-vif-uuid in the switch")?, params, nic)?;
        guard.note(&vif, &wanted)?;
        if !stays_closed {
            guard.look_again()?;
        }
    }
    guard.apply(xe)?;
    Ok(without_port)
}

/// Removes the flows of NICs that are gone, and the networks that were made for the NICs and that nobody else uses.
///
/// For OpenNebula a failure here is one of what came before: a VM that is off would run again, as one_vmm_exec.rb has it
/// (`destroy`, `save`, `detach_nic`). So what cannot be removed is a warning, and `gc` finds it. But the detaching of an
/// alias is this script alone.
fn clean(caller: &Caller, request: &Request) -> Result<()> {
    let xe = xe(caller, request)?;
    match clean_flows(&xe, request) {
        Err(why) if request.detaches_alias() => return Err(why),
        Err(why) => {
            report::warn(format!("flows of NICs that are gone may be left over (one-xcp gc): {why:#}"));
        }
        Ok(()) => {}
    }
    if let Err(why) = clean_networks(&xe, request) {
        report::warn(format!("a network may be left over (one-xcp gc): {why:#}"));
    }
    Ok(())
}

fn clean_flows(xe: &Xe, request: &Request) -> Result<()> {
    if xe.is_of_this_host()
        && let Some(guard) = Guard::take()?
    {
        settle(xe, guard, request, &request.deploy_id)?;
    }
    Ok(())
}

fn clean_networks(xe: &Xe, request: &Request) -> Result<()> {
    if !request.nics().any(|asked| nic_network::is_on_demand(&asked.nic)) {
        return Ok(());
    }
    for network in Network::all(xe)?.iter().filter(|network| network.is_made()) {
        if let Some(nic) = request.nics().find(|nic| nic_network::is_made_for(network, &nic.nic)) {
            nic_network::remove_if_unused(xe, network, nic.nic.vlan_id)?;
        }
    }
    Ok(())
}

/// The virtual network has changed: sets the limits of the VM's NICs on it, and moves them to the VLAN it has now.
fn update_nic(caller: &Caller, request: &Request, words: &[String]) -> Result<()> {
    let vnet: u32 = words
        .get(1)
        .context("the virtual network's number is missing")?
        .parse()
        .context("the virtual network's number")?;
    let deploy_id: Uuid =
        words.first().context("the DEPLOY_ID is missing")?.parse().context("the DEPLOY_ID")?;
    let of_vnet: Vec<&Asked> = request.nics().filter(|asked| asked.nic.network_id == Some(vnet)).collect();
    for asked in &of_vnet {
        refusal::check(&asked.element)?;
    }
    if of_vnet.is_empty() {
        return Ok(());
    }
    let xe = xe(caller, request)?;
    let (vifs, networks) = parallel::both(|| Vif::of_vm(&xe, &deploy_id), || Network::all(&xe));
    let (vifs, networks) = (vifs?, networks?);
    let mut left = Vec::new();
    for Asked { nic, element } in of_vnet {
        let Some(vif) = request::vif_of(nic, &vifs) else { continue };
        unsupported::of_nic(element).iter().for_each(report::warn);
        xe.run(&network::set_vif(&vif.uuid).set_all(vif::limit(nic)))
            .with_context(|| format!("cannot set the limit of NIC {}", nic.nic_id))?;
        let network = nic_network::of(&xe, &networks, nic)?;
        if vif.network_uuid.as_ref() != Some(&network) {
            xe.run(&network::move_vif(&vif.uuid, &network))
                .with_context(|| format!("cannot move NIC {} to its network", nic.nic_id))?;
            left.extend(networks.iter().find(|there| Some(&there.uuid) == vif.network_uuid.as_ref()));
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    // The VIF has another port now; XAPI's lock keeps it closed until its flows are there.
    post(caller, request, words)?;
    for network in left {
        nic_network::remove_if_unused(&xe, network, nic_network::tag_of(network))?;
    }
    Ok(())
}

fn xe(caller: &Caller, request: &Request) -> Result<Xe> {
    caller.xe(&caller.conf()?, &request.host)
}
