//! The pool that `one-xcp sim init` makes: the same every time, as XCP-ng 8.3 reports itself.

mod host;
mod network;
mod storage;
mod template;
mod vm;

use super::pool::Pool;
use super::refuse::Outcome;
use super::row::{Class, Row};
use super::storage::GROWS_ONLINE;
use super::store::Store;
use anyhow::{Result, ensure};
use clap::Args;

/// What may differ from the usual pool.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct Options {
    /// How many hosts the pool has.
    #[arg(long, default_value_t = 2)]
    pub hosts: u32,
    /// Running VMs that look like `OpenNebula`'s (`one-1` …), spread over the hosts.
    #[arg(long, default_value_t = 0)]
    pub vms: u32,
    /// A pool of one host without shared storage.
    #[arg(long, conflicts_with = "hosts")]
    pub standalone: bool,
    /// The password of `root` for `xe -s HOST`.
    #[arg(long, default_value = "xen")]
    pub password: String,
    /// No guest has PV drivers, unless `sim guest` says so.
    #[arg(long)]
    pub no_tools: bool,
    /// SRs grow disks in use, as no SR does with `xapi` 7.3 to 25.6.
    #[arg(long)]
    pub online_resize: bool,
    /// Another pool than the usual one: its hosts are `xcp-m` (192.168.10.13) …, and no uuid is the same.
    #[arg(long)]
    pub other: bool,
}

/// Where the counters of `--other` begin: its hosts' letters, and its uuids.
const OTHER_HOST: u32 = 12;
const OTHER_COUNTER: u64 = 1 << 20;

const GIB: i64 = 1 << 30;

/// Makes the pool and stores it.
pub fn init(store: &Store, options: &Options) -> Result<()> {
    let letters = if options.other { 26 - OTHER_HOST } else { 26 };
    ensure!((1..=letters).contains(&options.hosts), "a simulated pool has 1 to {letters} hosts");
    let mut pool = Pool::default();
    pool.password.clone_from(&options.password);
    pool.no_tools = options.no_tools;
    pool.counter = if options.other { OTHER_COUNTER } else { 0 };
    let hosts = if options.standalone { 1 } else { options.hosts };
    let made = Making { pool: &mut pool, hosts: Vec::new() }.all(hosts, options);
    if options.online_resize {
        for sr in pool.rows(Class::Sr).iter().map(|sr| sr.uuid.to_string()).collect::<Vec<_>>() {
            _ = pool.set(Class::Sr, &sr, GROWS_ONLINE, "true");
        }
    }
    made.map_err(|fail| anyhow::anyhow!("cannot make the pool: {}", fail.said(false).stderr))?;
    store.make(&pool)
}

struct Making<'p> {
    pool: &'p mut Pool,
    hosts: Vec<String>,
}

impl Making<'_> {
    fn all(mut self, hosts: u32, options: &Options) -> Outcome<()> {
        let pool_uuid = self.pool.new_uuid();
        let first = if options.other { OTHER_HOST } else { 0 };
        for number in first..first + hosts {
            let host = self.host(number);
            self.hosts.push(host);
        }
        self.networks();
        let shared = self.storage(options.standalone);
        let mut pool = Row::new(Class::Pool, pool_uuid);
        pool.set("name-label", if options.standalone { "" } else { "xcp" });
        pool.set("master", self.hosts.first().cloned().unwrap_or_default());
        pool.set("default-SR", shared.clone());
        pool.set("suspend-image-SR", shared.clone());
        for (key, value) in host::CPU {
            pool.put("cpu_info", key, *value);
        }
        self.pool.insert(pool);
        self.templates();
        let last = self.hosts.last().cloned().unwrap_or_default();
        self.vm("Mail server", "runs since long ago", &shared, 10 * GIB, &last)?;
        let hosts = self.hosts.clone();
        for (number, host) in (1..=options.vms).zip(hosts.iter().cycle()) {
            let vm = self.vm(&format!("one-{number}"), &format!("vm {number}"), &shared, 64 << 20, host)?;
            let row = self.pool.edit(Class::Vm, &vm)?;
            row.put("other-config", "one_vm_id", number.to_string());
            row.put("other-config", "one_vm_uuid", vm);
        }
        Ok(())
    }

    fn row(&mut self, class: Class, name: &str) -> Row {
        let mut row = Row::new(class, self.pool.new_uuid());
        row.set("name-label", name.to_owned());
        row
    }
}
