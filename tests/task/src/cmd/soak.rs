//! `./dev soak`: the agent at steady work in a VM, for minutes or hours.

use crate::console;
use crate::docs;
use crate::kernels::{Selector, Store};
use crate::rig::{LSM_WITH_BPF, Rig, Setup};
use crate::soak::Soak;
use crate::vm::{Accel, End, Machine};
use anyhow::{Result, bail};
use async_signal::{Signal, Signals};
use guest::{RECORD_MARK, SoakBegin, SoakEnd, SoakLine, SoakSample};
use smol::stream::StreamExt as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// For booting, for the first proof, and for the last words.
const BESIDES: Duration = Duration::from_mins(15);
const PROCESSORS: u32 = 2;

/// Options of `soak`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("length").args(["hours", "minutes"])))]
pub(crate) struct Args {
    /// For how many hours
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=168))]
    hours: Option<u64>,
    /// For how many minutes [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=10_080))]
    minutes: Option<u64>,
    /// The kernel: a series such as 6.12, or newest, or newest-1
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Take this binary as the agent instead of building it
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Take this accelerator instead of finding out which one works
    #[arg(long)]
    accel: Option<Accel>,
}

impl Args {
    fn seconds(&self) -> u64 {
        self.hours.map_or(self.minutes.unwrap_or(20), |hours| hours * 60) * 60
    }
}

/// Runs the chore.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let stop = stopped_by_signal()?;
    let kernel = Store::open()?.get(&Selector::parse(&args.kernel)?)?;
    let mut rig = Rig::new(args.binary.as_deref(), args.accel)?;
    let accel = rig.settle_accel(&kernel)?;
    let seconds = args.seconds();
    let (machine, _media) = rig.machine(&kernel, &setup(seconds))?;
    eprintln!(
        "{} minutes on {}; Ctrl-C ends it and keeps what was measured",
        seconds / 60,
        kernel.release.uname()
    );
    let told = run(&machine, Duration::from_secs(seconds) + BESIDES, &stop)?;
    let Some(host) = told.host else { bail!("nothing was measured: {}", console::tail(&machine.console)) };
    let made = match accel {
        Accel::Tcg => "emulated processors",
        Accel::Kvm => "processors under KVM",
    };
    let soak = Soak::new(host, format!("{PROCESSORS} {made}"), seconds, &told.samples, told.end);
    soak.keep()?;
    docs::soak::write(&soak)?;
    for bound in &soak.bounds {
        let word = if bound.kept { "ok" } else { "FAILED" };
        println!("{word:6}  {}: {} (limit {})", bound.what, bound.measured, bound.limit);
    }
    if soak.interrupted {
        println!("interrupted after {} s of {seconds}", soak.seconds());
    }
    Ok(if soak.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn setup(seconds: u64) -> Setup {
    Setup {
        name: "soak".to_owned(),
        lsm: LSM_WITH_BPF.to_owned(),
        memory_mib: 1536,
        smp: PROCESSORS,
        run: Some(format!("exec /init soak {seconds}")),
        ..Setup::default()
    }
}

/// Is set by Ctrl-C.
fn stopped_by_signal() -> Result<Arc<AtomicBool>> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    thread::spawn(move || {
        smol::block_on(signals.next());
        set.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}

/// Boots, and takes what the guest tells until it ends or is to stop.
fn run(machine: &Machine, limit: Duration, stop: &AtomicBool) -> Result<Told> {
    let mut told = Told::default();
    let end = machine.run_until(limit, stop, &mut |bytes| told.take(bytes))?;
    if let Some(fault) = told.fault {
        bail!("the soak could not go on: {fault}");
    }
    if let Some(excerpt) = console::trouble(&machine.console) {
        bail!("trouble on the console of the guest ({}):\n{excerpt}", machine.console.display());
    }
    if let End::TimedOut(limit) = end {
        bail!("the guest did not end within {} s", limit.as_secs());
    }
    // A terminal's Ctrl-C ends qemu as well, and nobody can tell which came first.
    if told.end.is_none() && !stop.load(Ordering::Relaxed) {
        bail!("the guest ended too early; its console:\n{}", console::tail(&machine.console));
    }
    Ok(told)
}

/// What the guest has told so far.
#[derive(Default)]
struct Told {
    partial: Vec<u8>,
    host: Option<SoakBegin>,
    samples: Vec<SoakSample>,
    end: Option<SoakEnd>,
    fault: Option<String>,
}

impl Told {
    fn take(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while let Some(at) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=at).collect();
            self.line(&line);
        }
    }

    fn line(&mut self, line: &[u8]) {
        match serde_json::from_slice(line) {
            Ok(SoakLine::Begin(host)) => self.host = Some(host),
            Ok(SoakLine::Sample(sample)) => {
                show(&sample);
                self.samples.push(sample);
            }
            Ok(SoakLine::End(end)) => self.end = Some(end),
            Ok(SoakLine::Fault(fault)) => self.fault = Some(fault),
            Err(_) if line.contains(&(RECORD_MARK as u8)) => {}
            // What a program in the guest complains about.
            Err(_) => drop(io::Write::write_all(&mut io::stderr(), line)),
        }
    }
}

fn show(sample: &SoakSample) {
    let SoakSample { seconds, rss_kib, descriptors, threads, denied, lost, wrong, p99_ns, health, .. } =
        sample;
    eprintln!(
        "{seconds:6} s  {health}  {rss_kib} KiB  {descriptors} descriptors  {threads} threads  {denied} denied  \
         {lost} lost  {wrong} wrong  p99 {} us",
        p99_ns / 1000
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_may_come_in_pieces() {
        let mut told = Told::default();
        let text = b"hello\n{\"begin\":{\"kernel\":\"6.12\",\"tier\":\"bpf-lsm\"}}\n{\"fault\":\"x\"}\n\x1e@exit 0\n";
        for piece in text.chunks(7) {
            told.take(piece);
        }
        assert_eq!(told.host.map(|host| host.kernel).as_deref(), Some("6.12"));
        assert_eq!(told.fault.as_deref(), Some("x"));
    }
}
