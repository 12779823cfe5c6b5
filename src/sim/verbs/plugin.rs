//! The one plugin of VMs, `guest-agent-operation` (xapi `xapi_vm.ml` `call_plugin`, `run_script`).
//!
//! A simulated guest whose agent runs scripts knows one command, `echo`.

use crate::sim::call::{Call, Run, Verb};
use crate::sim::guest;
use crate::sim::lifecycle;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome, Param, refused};
use crate::sim::row::Class;

/// The verbs.
pub const VERBS: &[Verb] = &[Verb {
    name: "vm-call-plugin",
    required: &["vm-uuid", "plugin", "fn"],
    optional: &["args:"],
    run: Run::Changes(call_plugin),
}];

const PLUGIN: &str = "guest-agent-operation";
const LONGEST_SCRIPT: usize = 1024;

fn call_plugin(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let vm = pool.get(Class::Vm, call.command.need("vm-uuid")?)?.uuid.to_string();
    let plugin = call.command.need("plugin")?;
    if plugin != PLUGIN {
        return Err(refused("XENAPI_MISSING_PLUGIN", vec![Param::text(plugin)]));
    }
    lifecycle::expect(pool, &vm, &["running"])?;
    let function = call.command.need("fn")?;
    if function != "run-script" {
        let reason = format!("The requested fn \"{function}\" could not be found in plugin \"{PLUGIN}\".");
        return Err(failure("failed to find fn", &reason, &reason));
    }
    let result = run_script(pool, &vm, call)?;
    call.out.list(&[result]);
    Ok(())
}

fn failure(status: &str, stdout: &str, stderr: &str) -> Fail {
    refused("XENAPI_PLUGIN_FAILURE", [status, stdout, stderr].map(Param::text).into())
}

fn run_script(pool: &Pool, vm: &str, call: &Call) -> Outcome<String> {
    if pool.own()?.entry("other-config", "allow_guest_agent_run_script") != Some("true") {
        return Err(refused("FEATURE_RESTRICTED", vec![]));
    }
    let given = call.command.map("args");
    let argument = |name: &str| given.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    for name in ["username", "password", "script"] {
        if argument(name).is_none() {
            return Err(failure("missing argument", "", &format!("Argument {name} is required.")));
        }
    }
    let script = argument("script").unwrap_or_default();
    if script.len() > LONGEST_SCRIPT {
        return Err(failure("length restriction", "", "The script length must not exceed 1024 bytes"));
    }
    if !guest::runs_scripts(pool.get(Class::Vm, vm)?) {
        let reason = "run-script is not supported on the given VM (or it is still booting)";
        return Err(refused("NOT_IMPLEMENTED", vec![Param::text(reason)]));
    }
    Ok(match script.strip_prefix("echo ") {
        Some(words) => answer(0, &format!("{words}\r\n"), ""),
        None => answer(1, "", &format!("'{script}' is not recognized as a command\r\n")),
    })
}

/// As xapi's Jsonrpc writes it.
fn answer(code: i64, stdout: &str, stderr: &str) -> String {
    let escaped = |text: &str| {
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\r', "\\r").replace('\n', "\\n")
    };
    format!(r#"{{"rc":{code},"stdout":"{}","stderr":"{}"}}"#, escaped(stdout), escaped(stderr))
}
