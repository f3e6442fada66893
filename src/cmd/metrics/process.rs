//! What the agent itself takes of the host.

/// The process of the agent. What this process may not read of it is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Process {
    /// Bytes.
    pub(super) resident: u64,
    /// Bytes.
    pub(super) virtual_size: u64,
    /// Seconds that it ran, in user space and in the kernel.
    pub(super) cpu: f64,
    /// Seconds since 1970.
    pub(super) started: Option<f64>,
    /// Descriptors.
    pub(super) open_fds: Option<u64>,
}

impl Process {
    /// Looks at a process; `None` when there is none of this number.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
        let stat = process.stat().ok()?;
        let per_second = procfs::ticks_per_second();
        let seconds = |ticks: u64| super::page::number(ticks) / super::page::number(per_second.max(1));
        Some(Self {
            resident: stat.rss.saturating_mul(procfs::page_size()),
            virtual_size: stat.vsize,
            cpu: seconds(stat.utime.saturating_add(stat.stime)),
            started: procfs::boot_time_secs()
                .ok()
                .map(|boot| super::page::number(boot) + seconds(stat.starttime)),
            open_fds: process.fd_count().ok().map(|count| count as u64),
        })
    }
}
