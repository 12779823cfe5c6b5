//! The host that a client watches.

use super::files::Files;
use super::log::Log;
use crate::action::Caller;
use crate::console::{self, Key};
use crate::one::MonitorConfiguration;
use crate::probe::{self, Counters, Details, Subject, Turns, pci, rrd_updates, unix_time};
use crate::report::Result;
use crate::signal::Stop;
use crate::xapi::Xapi;
use crate::xe::{self, Restart, Shared, Uuid, Xe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// XAPI answers a list within a second or is in trouble, and OpenNebula waits 90 s for the first round.
const XE_LIMIT: Duration = Duration::from_secs(60);

/// The uuid that was asked for last.
#[derive(Debug, Default)]
struct Known {
    uuid: Option<Uuid>,
    is_in_doubt: bool,
}

/// A host, and all that its probes need.
pub struct Host {
    pub xe: Xe,
    pub stop: Stop,
    /// The information driver's name.
    pub im_mad: String,
    /// OpenNebula's number.
    pub id: u32,
    /// OpenNebula's name.
    pub name: String,
    /// What OpenNebula sent, for others' probes.
    pub configuration: String,
    pub called_as: PathBuf,
    /// What unseals the passwords of consoles; none where nobody wants consoles.
    pub console_key: Option<Key>,
    datastores: PathBuf,
    xapi: Option<Xapi>,
    pci: Option<pci::Filter>,
    uuid: Mutex<Known>,
    counters: Mutex<Option<Counters>>,
    /// XAPI has told what it measured when it was asked last.
    is_measured: AtomicBool,
    details: Mutex<Details>,
}

impl Host {
    pub fn new(
        caller: &Caller,
        im_mad: &str,
        name: &str,
        configuration: String,
        read: &MonitorConfiguration,
    ) -> Result<Host> {
        let conf = caller.conf()?;
        let mut xe = caller.xe(&conf, name)?;
        xe.limit = xe.limit.min(XE_LIMIT);
        // The next round asks again.
        xe.restart = Restart::within(Duration::ZERO);
        // On the front-end other hosts of the pool have clients beside this one.
        xe.shared = conf.optional("XE_SERVER").map(|_| Shared::new());
        let turns = Turns::new(xe.shared.as_ref().map(|_| read.probes_period.monitor_vm));
        Ok(Host {
            stop: xe.stop.clone(),
            xe,
            im_mad: im_mad.to_owned(),
            id: read.host_id,
            name: name.to_owned(),
            configuration,
            called_as: caller.called_as.clone(),
            console_key: console::wanted(&conf)?.then(|| Key::of(&conf)),
            datastores: probe::datastore_location(&conf, Some(read)),
            xapi: caller.xapi(&conf, name)?,
            pci: pci::Filter::from_conf(&conf)?,
            uuid: Mutex::default(),
            counters: Mutex::new(None),
            is_measured: AtomicBool::new(false),
            details: Mutex::new(Details::in_turns(turns)),
        })
    }

    /// For a single round that tells everything.
    #[must_use]
    pub fn for_one_round(self) -> Host {
        Host { details: Mutex::default(), ..self }
    }

    /// Its uuid in XAPI; asked for once. In dom0 it is this machine's, also when another host of the pool goes by its
    /// name now. A host that was given another name since is still the same.
    pub fn uuid(&self) -> Result<Uuid> {
        let mut known = self.uuid.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(uuid) = known.uuid.as_ref().filter(|_| !known.is_in_doubt) {
            return Ok(uuid.clone());
        }
        let hosts = xe::host::Host::all(&self.xe)?;
        let named = || probe::named_uuid(&self.xe, &hosts, &self.name);
        let found = xe::host::here(&self.xe, &hosts).map_or_else(named, |host| Ok(host.uuid.clone()));
        let uuid = match (found, &known.uuid) {
            (Err(_), Some(before)) if hosts.iter().any(|host| host.uuid == *before) => before.clone(),
            (found, _) => found?,
        };
        *known = Known { uuid: Some(uuid.clone()), is_in_doubt: false };
        Ok(uuid)
    }

    /// A host that was installed anew, or went into another pool, has another uuid.
    pub fn doubt_uuid(&self) {
        self.uuid.lock().unwrap_or_else(PoisonError::into_inner).is_in_doubt = true;
        if let Some(shared) = &self.xe.shared {
            shared.forget_pool();
        }
    }

    /// Asks XAPI what it has measured since the last time. Without an answer the figures are left out.
    pub fn measure(&self, files: &Files, log: &Log) {
        let Some(xapi) = &self.xapi else {
            log.say("metrics", &probe::without_figures("XAPI_SOCKET is set to nothing"));
            return;
        };
        let known = self.counters.lock().unwrap_or_else(PoisonError::into_inner).take();
        let saved = || Counters::load(&files.read("counters").ok().flatten().unwrap_or_default());
        let mut counters = known.unwrap_or_else(saved);
        let measured = rrd_updates::add_to(&mut counters, xapi, unix_time())
            .and_then(|()| files.write("counters", &counters.save()));
        self.is_measured.store(measured.is_ok(), Ordering::Relaxed);
        match measured {
            Ok(()) => log.well("metrics"),
            Err(why) => {
                // What was used a while ago is not what is used now.
                counters.begin(counters.last_time());
                log.say("metrics", &probe::without_figures(why));
            }
        }
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) = Some(counters);
    }

    /// What one of our own probes says.
    pub fn ask(&self, probe: &str) -> Result<String> {
        match probe::without_xapi(probe) {
            Some(text) => Ok(text),
            None => self.tell(|subject| probe::text(probe, subject)),
        }
    }

    /// What there is to tell of it.
    pub fn tell(&self, of: impl FnOnce(&Subject<'_>) -> Result<String>) -> Result<String> {
        let host = self.uuid()?;
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let subject = Subject {
            xe: &self.xe,
            host: &host,
            called_as: &self.called_as,
            datastores: &self.datastores,
            counters: counters.as_ref(),
            is_measured: self.is_measured.load(Ordering::Relaxed),
            pci: self.pci.as_ref(),
            details: &self.details,
        };
        of(&subject)
    }

    /// `…/im/xcp.d/monitord-client_control.sh` → `…/im/xcp-probes.d`
    pub fn probes_folder(&self) -> Option<PathBuf> {
        let folder = self.called_as.parent()?;
        let name = folder.file_name()?.to_str()?.strip_suffix(".d")?;
        Some(folder.with_file_name(format!("{name}-probes.d"))).filter(|path: &PathBuf| Path::is_dir(path))
    }
}
