//! A qcow2 file made of a VHD that comes through a pipe, and written to one: which clusters it has is known before
//! the first of them comes, so all tables go ahead of them.

use super::big_endian::{count, len, put};
use super::qcow2_layout::{CLUSTER, COPIED, L2_COVERS, L2_ENTRIES, Refcounts, ZEROS, header, l1_clusters};
use super::sink::RUN_BYTES;
use super::vhd_stream::VhdStream;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};

/// What of a disk the file is to have.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// All that the disk holds; nothing lies behind the file.
    Whole,
    /// All of the disk, its zeros too: what lies behind the file is not to be seen anywhere.
    Over,
    /// Only the clusters of 64 KiB whose bits are set, the highest bit of the first byte first, zeros too: the rest is
    /// in the file behind it.
    Changed(&'a [u8]),
}

impl Part<'_> {
    fn has(self, cluster: u64) -> bool {
        match self {
            Part::Whole | Part::Over => true,
            Part::Changed(bits) => {
                bits.get(len(cluster / 8)).is_some_and(|byte| byte & (0x80 >> (cluster % 8)) != 0)
            }
        }
    }
}

/// Turns a dynamic VHD into a qcow2 file of this part of its disk. In memory are a block, and 4 bytes for each block
/// that the disk could have.
pub fn vhd_to_qcow2(reader: &mut impl Read, out: &mut impl Write, part: Part<'_>) -> Result<()> {
    let mut stream = VhdStream::open(reader)?;
    let plan = Plan::of(&stream, part)?;
    plan.write_tables(out).context("cannot write the qcow2 file")?;
    while let Some((offset, data)) = stream.next_block()? {
        let clusters = (offset / CLUSTER..).zip(data.chunks(RUN_BYTES));
        for (_, run) in clusters.filter(|(cluster, _)| part.has(*cluster)) {
            let rest = vec![0; RUN_BYTES - run.len()];
            out.write_all(run).and_then(|()| out.write_all(&rest)).context("cannot write the qcow2 file")?;
        }
    }
    out.flush().context("cannot write the qcow2 file")
}

/// Where each cluster will be.
struct Plan<'a> {
    part: Part<'a>,
    size: u64,
    /// Clusters in a block of the VHD.
    per_block: u64,
    /// Of each block, which cluster of data is its first.
    firsts: Vec<u32>,
    /// Clusters of data in the file.
    data: u64,
}

/// A block that the VHD has not.
const ABSENT: u32 = u32::MAX;

impl<'a> Plan<'a> {
    fn of<R: Read>(stream: &VhdStream<R>, part: Part<'a>) -> Result<Plan<'a>> {
        let (size, block_bytes) = (stream.virtual_size_bytes(), stream.block_bytes());
        ensure!(block_bytes % CLUSTER == 0, "VHD blocks of {block_bytes} bytes are not supported");
        let firsts = vec![ABSENT; len(size.div_ceil(block_bytes))];
        let mut plan = Plan { part, size, per_block: block_bytes / CLUSTER, firsts, data: 0 };
        for block in stream.blocks() {
            let here = plan.clusters_before(u64::from(block), plan.per_block);
            let first = u32::try_from(plan.data).context("the disk is too large")?;
            if let Some(place) = plan.firsts.get_mut(block as usize) {
                *place = first;
            }
            plan.data += here;
        }
        Ok(plan)
    }

    /// How many of the first `count` clusters of a block belong to the part.
    fn clusters_before(&self, block: u64, count: u64) -> u64 {
        let start = block * self.per_block;
        let of_disk = self.size.div_ceil(CLUSTER);
        let wanted = (start..(start + count).min(of_disk)).filter(|cluster| self.part.has(*cluster));
        crate::image::big_endian::count(wanted.count())
    }

    /// The L2 entry of a cluster, for data that begin at this place of the file.
    fn entry(&self, cluster: u64, data_place: u64) -> u64 {
        if cluster * CLUSTER >= self.size || !self.part.has(cluster) {
            return 0;
        }
        let block = cluster / self.per_block;
        match self.firsts.get(len(block)) {
            Some(&first) if first != ABSENT => {
                let nth = u64::from(first) + self.clusters_before(block, cluster % self.per_block);
                (data_place + nth * CLUSTER) | COPIED
            }
            _ if matches!(self.part, Part::Whole) => 0,
            _ => ZEROS,
        }
    }

    fn is_used(&self, table: u64) -> bool {
        (table * L2_ENTRIES..(table + 1) * L2_ENTRIES).any(|cluster| self.entry(cluster, CLUSTER) != 0)
    }

    /// Header, L1 table, reference counts, L2 tables.
    fn write_tables(&self, out: &mut impl Write) -> Result<()> {
        let all = self.size.div_ceil(L2_COVERS);
        let tables: Vec<u64> = (0..all).filter(|table| self.is_used(*table)).collect();
        let l1_clusters = l1_clusters(self.size);
        let counts = Refcounts::of(1 + l1_clusters + count(tables.len()) + self.data);
        let counts_place = (1 + l1_clusters) * CLUSTER;
        let blocks_place = counts_place + counts.tables * CLUSTER;
        let tables_place = blocks_place + counts.blocks * CLUSTER;
        let data_place = tables_place + count(tables.len()) * CLUSTER;

        let mut cluster = header(self.size, counts_place, &counts)?;
        cluster.resize(RUN_BYTES, 0);
        out.write_all(&cluster)?;
        let mut l1 = vec![0; len(l1_clusters * CLUSTER)];
        for (table, place) in tables.iter().zip((tables_place..).step_by(RUN_BYTES)) {
            put(&mut l1, len(table * 8), &(place | COPIED).to_be_bytes());
        }
        out.write_all(&l1)?;
        out.write_all(&counts.table(blocks_place))?;
        for block in 0..counts.blocks {
            out.write_all(&counts.block(block))?;
        }
        for table in tables {
            cluster.clear();
            let clusters = table * L2_ENTRIES..(table + 1) * L2_ENTRIES;
            clusters.for_each(|nth| cluster.extend(self.entry(nth, data_place).to_be_bytes()));
            out.write_all(&cluster)?;
        }
        Ok(())
    }
}
