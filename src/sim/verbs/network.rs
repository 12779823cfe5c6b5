//! Networks, VLANs and PIFs (xapi `xapi_network.ml`, `xapi_vlan.ml`).

use crate::sim::call::{Call, Run, Verb};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, Param, cli, refused};
use crate::sim::row::{Class, Row};

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "network-create",
        required: &["name-label"],
        optional: &["name-description", "MTU", "bridge", "managed"],
        run: Run::Changes(create),
    },
    Verb { name: "network-destroy", required: &["uuid"], optional: &[], run: Run::Changes(destroy) },
    Verb {
        name: "vlan-create",
        required: &["pif-uuid", "vlan", "network-uuid"],
        optional: &[],
        run: Run::Changes(vlan_create),
    },
    Verb { name: "vlan-destroy", required: &["uuid"], optional: &[], run: Run::Changes(vlan_destroy) },
    Verb {
        name: "pool-vlan-create",
        required: &["pif-uuid", "vlan", "network-uuid"],
        optional: &[],
        run: Run::Changes(pool_vlan_create),
    },
    Verb { name: "pif-plug", required: &["uuid"], optional: &[], run: Run::Changes(pif_plug) },
    Verb { name: "pif-unplug", required: &["uuid"], optional: &[], run: Run::Changes(pif_unplug) },
];

fn create(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let command = call.command.clone();
    let mtu: i64 = match command.get("MTU").map(str::parse) {
        Some(Ok(mtu)) if mtu > 0 => mtu,
        None | Some(Ok(_)) => 1500,
        Some(Err(_)) => return Err(crate::sim::refuse::internal("Failure: Int64.of_string")),
    };
    let managed = command.flag("managed", true)?;
    let used = |bridge: &str| pool.rows(Class::Network).iter().any(|row| row.get("bridge") == bridge);
    let bridge = match command.get("bridge").unwrap_or_default() {
        "" => {
            (0..4096).map(|number| format!("xapi{number}")).find(|bridge| !used(bridge)).unwrap_or_default()
        }
        bridge if bridge.len() > 15 || ["xenbr", "xapi"].iter().any(|prefix| bridge.starts_with(prefix)) => {
            return Err(crate::sim::refuse::invalid_value("bridge", bridge));
        }
        bridge if used(bridge) => return Err(refused("BRIDGE_NAME_EXISTS", vec![Param::text(bridge)])),
        bridge => bridge.to_owned(),
    };
    let mut row = Row::new(Class::Network, pool.new_uuid());
    row.set("name-label", command.need("name-label")?.to_owned());
    row.set("name-description", command.get("name-description").unwrap_or_default().to_owned());
    row.set("MTU", mtu.to_string());
    row.set("bridge", bridge);
    row.set("managed", managed.to_string());
    let uuid = row.uuid.to_string();
    pool.insert(row);
    call.out.list(&[uuid]);
    Ok(())
}

fn destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    let row = pool.get(Class::Network, &uuid)?;
    let internal = row.entry("other-config", "is_host_internal_management_network") == Some("true");
    let vifs = pool.referring_uuids(Class::Vif, "network-uuid", &uuid);
    let attached = |vif: &&String| pool.find(Class::Vif, vif).is_some_and(|vif| vif.is("currently-attached"));
    let busy: Vec<Param> = vifs.iter().filter(attached).map(|vif| pool.param(Class::Vif, vif)).collect();
    if !busy.is_empty() {
        return Err(refused("NETWORK_CONTAINS_VIF", busy));
    }
    let pifs = pool.referring_uuids(Class::Pif, "network-uuid", &uuid);
    if !pifs.is_empty() {
        let pifs = pifs.iter().map(|pif| pool.param(Class::Pif, pif)).collect();
        return Err(refused("NETWORK_CONTAINS_PIF", pifs));
    }
    if internal {
        return Err(refused("CANNOT_DESTROY_SYSTEM_NETWORK", vec![pool.param(Class::Network, &uuid)]));
    }
    for vif in vifs {
        pool.remove(Class::Vif, &vif);
    }
    pool.remove(Class::Network, &uuid);
    Ok(())
}

fn tag(call: &Call) -> Outcome<i64> {
    let Ok(tag) = call.command.need("vlan")?.parse::<i64>() else {
        return cli("Failed to parse parameter 'vlan': expecting an integer");
    };
    Ok(tag)
}

/// The MAC address of every VLAN's own PIF (xapi_vlan.ml `vlan_mac`).
const VLAN_MAC: &str = "fe:ff:ff:ff:ff:ff";

/// Makes a VLAN on a PIF (xapi_vlan.ml `create`, in its order of checks); gives back the uuid of the PIF that speaks it.
fn make_vlan(pool: &mut Pool, pif: &str, tag: i64, network: &str) -> Outcome<String> {
    let under = pool.get(Class::Pif, pif)?.clone();
    let connected = pool.referring(Class::Pif, "network-uuid", network);
    if let Some(other) = connected.iter().find(|row| row.get("host-uuid") == under.get("host-uuid")) {
        let params =
            vec![pool.param(Class::Host, under.get("host-uuid")), pool.param(Class::Pif, &other.uuid)];
        return Err(refused("NETWORK_ALREADY_CONNECTED", params));
    }
    if under.number("VLAN") >= 0 {
        return Err(refused("PIF_IS_VLAN", vec![pool.param(Class::Pif, pif)]));
    }
    if !(0..4095).contains(&tag) {
        return Err(refused("VLAN_TAG_INVALID", vec![Param::text(tag.to_string())]));
    }
    let vlans = pool.referring(Class::Vlan, "tagged-PIF", pif);
    if vlans.iter().any(|vlan| vlan.number("tag") == tag) {
        return Err(refused("PIF_VLAN_EXISTS", vec![Param::text(under.get("device"))]));
    }
    let mut row = Row::new(Class::Pif, pool.new_uuid());
    for name in ["device", "MTU", "host-uuid"] {
        row.set(name, under.get(name).to_owned());
    }
    row.set("MAC", VLAN_MAC);
    row.set("network-uuid", network.to_owned());
    row.set("physical", "false");
    row.set("VLAN", tag.to_string());
    let made = row.uuid.to_string();
    pool.insert(row);
    let mut vlan = Row::new(Class::Vlan, pool.new_uuid());
    vlan.set("tagged-PIF", pif.to_owned());
    vlan.set("untagged-PIF", made.clone());
    vlan.set("tag", tag.to_string());
    pool.insert(vlan);
    Ok(made)
}

fn vlan_create(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let network = pool.get(Class::Network, call.command.need("network-uuid")?)?.uuid.to_string();
    let pif = pool.get(Class::Pif, call.command.need("pif-uuid")?)?.uuid.to_string();
    let made = make_vlan(pool, &pif, tag(call)?, &network)?;
    call.out.list(&[made]);
    Ok(())
}

/// On every host that is up, over its PIF of the same network; one that fails takes back the others
/// (xapi_pool.ml `create_VLAN_from_PIF`).
fn pool_vlan_create(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let network = pool.get(Class::Network, call.command.need("network-uuid")?)?.uuid.to_string();
    let physical = pool.get(Class::Pif, call.command.need("pif-uuid")?)?.get("network-uuid").to_owned();
    let tag = tag(call)?;
    let pifs = pool.referring_uuids(Class::Pif, "network-uuid", &physical);
    let mut made = Vec::new();
    for pif in pifs {
        match make_vlan(pool, &pif, tag, &network) {
            Ok(pif) => made.push(pif),
            Err(why) => {
                for pif in &made {
                    for vlan in pool.referring_uuids(Class::Vlan, "untagged-PIF", pif) {
                        pool.remove(Class::Vlan, &vlan);
                    }
                    pool.remove(Class::Pif, pif);
                }
                return Err(why);
            }
        }
    }
    call.out.list(&made);
    Ok(())
}

fn vlan_destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    let vlan = match pool.find(Class::Vlan, &uuid) {
        Some(vlan) => vlan.uuid.to_string(),
        None => match pool.referring_uuids(Class::Vlan, "untagged-PIF", &uuid).pop() {
            Some(vlan) => vlan,
            None => pool.get(Class::Vlan, &uuid)?.uuid.to_string(),
        },
    };
    let pif = pool.get(Class::Vlan, &vlan)?.get("untagged-PIF").to_owned();
    let network = pool.get(Class::Pif, &pif)?.get("network-uuid").to_owned();
    let host = pool.get(Class::Pif, &pif)?.get("host-uuid").to_owned();
    for vif in pool.referring(Class::Vif, "network-uuid", &network) {
        let here = pool.find(Class::Vm, vif.get("vm-uuid")).is_some_and(|vm| vm.get("resident-on") == host);
        if here && vif.is("currently-attached") {
            let params = vec![pool.param(Class::Network, &network), pool.param(Class::Vif, &vif.uuid)];
            return Err(refused("VIF_IN_USE", params));
        }
    }
    pool.remove(Class::Vlan, &vlan);
    pool.remove(Class::Pif, &pif);
    Ok(())
}

fn pif_plug(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.set(Class::Pif, call.command.need("uuid")?, "currently-attached", "true")
}

fn pif_unplug(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.set(Class::Pif, call.command.need("uuid")?, "currently-attached", "false")
}
