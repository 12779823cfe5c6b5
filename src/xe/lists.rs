//! What `xe` lists: records of several fields, or one field alone.

use super::{Call, Record, Uuid, Xe, record};
use crate::report::Result;
use anyhow::{Context, ensure};

impl Xe {
    /// Lists `fields` of the objects of `class` that `filters` leave, each record through `read`.
    pub fn list<T>(
        &self,
        class: &str,
        fields: &[&str],
        filters: &[(&str, &str)],
        read: impl Fn(&Record<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let call = super::call(format!("{class}-list"))
            .set_all(filters.iter().copied())
            .set("params", fields.join(","));
        let answer = self.shared_answer(&call, || self.run(&call))?;
        ensure!(record::is_whole(&answer), "{call}: the answer is cut off");
        record::parse(&answer, fields)
            .iter()
            .map(&read)
            .collect::<Result<_>>()
            .with_context(|| call.to_string())
    }

    /// What `ask` answers, or has just answered another program that asked for the same. Where nothing is shared
    /// it is asked.
    pub(super) fn shared_answer(&self, call: &Call, ask: impl FnOnce() -> Result<String>) -> Result<String> {
        let Some(shared) = self.shared.as_ref().filter(|_| call.is_of_whole_pool()) else { return ask() };
        let uuid = super::call("pool-list").set("params", "uuid").set("minimal", true);
        let pool = shared.pool(|| self.ask(&uuid))?;
        // Whoever asks meanwhile may take as long as we might.
        shared.answer(&pool, call, self.limit, &self.stop, ask)
    }

    /// One field of the objects that `filters` leave, in the order of all lists with these filters. Unlike the
    /// records of [`Xe::list`] these cannot be forged, whatever anybody wrote into the field.
    pub fn values(&self, class: &str, field: &str, filters: &[(&str, &str)]) -> Result<Vec<String>> {
        let call = values_call(class, field, filters);
        Ok(record::values(&self.shared_answer(&call, || self.values_text(&call))?))
    }

    /// The same as it is at this moment, whatever others have been answered.
    pub(super) fn values_now(
        &self,
        class: &str,
        field: &str,
        filters: &[(&str, &str)],
    ) -> Result<Vec<String>> {
        Ok(record::values(&self.values_text(&values_call(class, field, filters))?))
    }

    fn values_text(&self, call: &Call) -> Result<String> {
        self.stop.check()?;
        // One guest's text that is no UTF-8 is that guest's alone.
        Ok(String::from_utf8_lossy(&self.bytes(call, self.limit)?).into_owned())
    }

    /// One field of one object, as XAPI computes it at this moment.
    pub fn param_get(&self, class: &str, uuid: &Uuid, field: &str) -> Result<String> {
        self.run(&super::call(format!("{class}-param-get")).set("uuid", uuid).set("param-name", field))
    }
}

/// The list of one field alone, as `a,b,c`.
pub(super) fn values_call(class: &str, field: &str, filters: &[(&str, &str)]) -> Call {
    super::call(format!("{class}-list"))
        .set_all(filters.iter().copied())
        .set("params", field)
        .set("minimal", true)
}
