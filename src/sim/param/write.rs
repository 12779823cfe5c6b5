//! `…-param-set`, `…-param-add`, `…-param-remove` and `…-param-clear`.

use super::lookup;
use crate::sim::call::Call;
use crate::sim::fields::{Field, Set, Shape};
use crate::sim::filter::{Meant, meant};
use crate::sim::listed::{Listed, STANDARD};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome, Param, cli, internal, refused};
use crate::sim::row::Class;
use std::net::{Ipv4Addr, Ipv6Addr};

/// `…-param-set`: one field after the other, in the order of the command line; what was set before one
/// that fails stays.
pub fn param_set(listed: &'static Listed, pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    pool.get(listed.class, &uuid)?;
    let params = call.command.params.clone();
    for (key, value) in params {
        if key == "uuid" || STANDARD.contains(&key.as_str()) {
            continue;
        }
        set_one(listed, pool, &uuid, &key, &value)?;
        call.keep = true;
    }
    Ok(())
}

fn set_one(listed: &'static Listed, pool: &mut Pool, uuid: &str, key: &str, value: &str) -> Outcome<()> {
    match meant(listed.fields, key)? {
        Meant::Map(field, entry) => {
            let Shape::Map { check: Some(check), .. } = field.shape else {
                return cli(format!("Map field '{}' is read-only.", field.name));
            };
            check(pool, entry, value)?;
            put(pool, listed.class, uuid, field.name, entry, value)
        }
        Meant::Set(..) => cli("Cannot param-set on set fields"),
        Meant::One(field) => match &field.shape {
            Shape::One { set: Some(set), .. } => field.set(set, pool, listed.class, uuid, value),
            Shape::Set { whole: true, .. } => set_whole(pool, listed.class, uuid, field.name, value),
            Shape::Map { check: Some(_), .. } => {
                cli(format!("Field '{key}' is a map or set. use the 'name:key=value' syntax."))
            }
            _ => cli(format!("Field '{key}' is read-only.")),
        },
    }
}

fn set_whole(pool: &mut Pool, class: Class, uuid: &str, field: &str, value: &str) -> Outcome<()> {
    let members = value.split(',').filter(|member| !member.is_empty());
    members.clone().try_for_each(|member| check_member(field, member))?;
    let row = pool.edit(class, uuid)?;
    row.take_all(field);
    for member in members.rev() {
        row.put(field, member, "");
    }
    Ok(())
}

/// The addresses that a VIF lets pass are addresses (xapi `xapi_vif.ml` `set_ipv4_allowed`).
fn check_member(field: &str, member: &str) -> Outcome<()> {
    let is_good = match field {
        "ipv4-allowed" => member.parse::<Ipv4Addr>().is_ok(),
        "ipv6-allowed" => member.parse::<Ipv6Addr>().is_ok(),
        _ => true,
    };
    if is_good {
        return Ok(());
    }
    Err(refused("INVALID_IP_ADDRESS_SPECIFIED", vec![Param::text(field.replace('-', "_"))]))
}

fn put(pool: &mut Pool, class: Class, uuid: &str, field: &str, key: &str, value: &str) -> Outcome<()> {
    if key.is_empty() {
        return Err(internal("Db_exn.Empty_key_in_map"));
    }
    pool.edit(class, uuid)?.put(field, key, value.to_owned());
    Ok(())
}

/// `…-param-add`
pub fn param_add(listed: &'static Listed, pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let command = call.command.clone();
    let uuid = command.need("uuid")?;
    pool.get(listed.class, uuid)?;
    let field = lookup(listed, command.need("param-name")?)?;
    match field.shape {
        Shape::Set { writable: true, .. } => {
            let Some(key) = command.get("param-key") else {
                return cli(
                    "When adding a key to a set, use the syntax: *-param-add param-name=<name> param-key=<key>",
                );
            };
            check_member(field.name, key)?;
            if pool.get(listed.class, uuid)?.entry(field.name, key).is_none() {
                pool.edit(listed.class, uuid)?.put(field.name, key, "");
            }
            Ok(())
        }
        Shape::Map { check: Some(check), .. } => {
            let own = ["uuid", "param-name", "param-key"];
            for (key, value) in &command.params {
                if own.contains(&key.as_str()) || STANDARD.contains(&key.as_str()) {
                    continue;
                }
                check(pool, key, value)?;
                let row = pool.get(listed.class, uuid)?;
                if row.entry(field.name, key).is_some() {
                    return Err(duplicate(pool, listed.class, uuid, field.name, key));
                }
                put(pool, listed.class, uuid, field.name, key, value)?;
                call.keep = true;
            }
            Ok(())
        }
        Shape::Set { .. } | Shape::Map { .. } => cli("Parameter is read-only"),
        Shape::One { .. } => cli("Can only add to parameters of type Set or Map"),
    }
}

fn duplicate(pool: &Pool, class: Class, uuid: &str, field: &str, key: &str) -> Fail {
    let field = field.replace('-', "_");
    refused(
        "MAP_DUPLICATE_KEY",
        vec![Param::text(class.api_name()), Param::text(field), pool.param(class, uuid), Param::text(key)],
    )
}

/// `…-param-remove`
pub fn param_remove(listed: &'static Listed, pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?;
    let row = pool.get(listed.class, uuid)?;
    let field = lookup(listed, call.command.need("param-name")?)?;
    let key = call.command.need("param-key")?;
    let known = row.entry(field.name, key).is_some();
    match field.shape {
        Shape::Set { writable: true, .. } if !known => cli(format!("Key {key} is not in the set")),
        Shape::Map { check: Some(_), .. } if !known => cli(format!("Key {key} is not in map")),
        Shape::Set { writable: true, .. } | Shape::Map { check: Some(_), .. } => {
            pool.edit(listed.class, uuid)?.take(field.name, key);
            Ok(())
        }
        Shape::Set { .. } | Shape::Map { .. } => cli("Cannot remove parameters from read-only map"),
        Shape::One { .. } => cli("Can only remove from parameters of type Set or Map"),
    }
}

/// `…-param-clear`
pub fn param_clear(listed: &'static Listed, pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?;
    pool.get(listed.class, uuid)?;
    let field = lookup(listed, call.command.need("param-name")?)?;
    match &field.shape {
        Shape::Set { writable: true, .. } | Shape::Map { check: Some(_), .. } => {
            pool.edit(listed.class, uuid)?.take_all(field.name);
            Ok(())
        }
        Shape::One { set: Some(set), .. } => clear(field, set, pool, listed.class, uuid),
        _ => cli("Can only clear RW parameters"),
    }
}

fn clear(field: &Field, set: &Set, pool: &mut Pool, class: Class, uuid: &str) -> Outcome<()> {
    field.set(set, pool, class, uuid, "").or_else(|_| cli("Cannot clear this parameter"))
}
