//! One VM, from its command line to its end. The first serial port is the kernel's console and goes to a file; the
//! second is the guest's and comes to us, so that a kernel message never cuts a result.

use crate::arch::Arch;
use crate::console;
use anyhow::{Context as _, Result};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often the console is looked at, and the clock.
const TICK: Duration = Duration::from_millis(500);
/// After the first line of trouble the kernel gets so long to finish its message.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How the processor is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Accel {
    Tcg,
    Kvm,
}

/// A VM to boot.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) arch: Arch,
    pub(crate) image: PathBuf,
    pub(crate) initrd: PathBuf,
    /// Each with the name that the guest finds it by.
    pub(crate) disks: Vec<(&'static str, PathBuf)>,
    pub(crate) lsm: String,
    /// More kernel parameters.
    pub(crate) params: Vec<String>,
    pub(crate) memory_mib: u32,
    pub(crate) smp: u32,
    /// The guest's clock counts instructions: a nanosecond is one.
    pub(crate) counted: bool,
    /// Whether a reboot is one; else it ends the VM.
    pub(crate) reboots: bool,
    pub(crate) accel: Accel,
    /// Where the kernel's console is kept.
    pub(crate) console: PathBuf,
    /// A trial: what qemu complains about is nobody's concern.
    pub(crate) trial: bool,
}

/// How a VM ended.
#[derive(Debug)]
pub(crate) enum End {
    Exited(ExitStatus),
    TimedOut(Duration),
    /// The kernel printed a line of trouble and went on; it was stopped.
    Trouble,
    /// It was stopped because that was asked for.
    Stopped,
}

impl Machine {
    /// The command that boots it. The kernel kills qemu when the thread that started it is gone, however it went.
    fn command(&self, port: &str) -> Command {
        let mut command = Command::new("setpriv");
        let (qemu, machine) = match self.arch {
            Arch::Amd64 => ("qemu-system-x86_64", "q35"),
            Arch::Arm64 => ("qemu-system-aarch64", "virt"),
        };
        command.args(["--pdeathsig", "KILL", "--", qemu, "-nodefaults", "-no-user-config"]);
        command.args(["-display", "none", "-machine", machine]);
        if !self.reboots {
            command.arg("-no-reboot");
        }
        // One thread for all processors: with one for each, QEMU 7.2 lets a processor run code that another one has
        // just patched (once in some hundred boots: `Oops: int3`), and attaching BPF programs patches code.
        // No cmpxchg16b: it gives back garbage for the flags about as often, and the kernel dies of a double fault in
        // its allocator; without the instruction the kernel takes another path. Neither costs time.
        command.args(match (self.arch, self.accel) {
            (Arch::Amd64, Accel::Tcg) => ["-accel", "tcg,thread=single", "-cpu", "max,-cx16"],
            (Arch::Amd64, Accel::Kvm) => ["-accel", "kvm", "-cpu", "host"],
            // Without signed pointers, which take most of an emulated processor's time.
            (Arch::Arm64, _) => ["-accel", "tcg,thread=single", "-cpu", "cortex-a72"],
        });
        if self.counted {
            command.args(["-icount", "shift=0,sleep=off"]);
        }
        command.arg("-smp").arg(self.smp.to_string()).arg("-m").arg(self.memory_mib.to_string());
        command.arg("-kernel").arg(&self.image).arg("-initrd").arg(&self.initrd);
        command.arg("-append").arg(self.cmdline());
        for (name, path) in &self.disks {
            // What the guest writes is dropped when the file behind the path is.
            command.arg("-drive").arg(format!("if=none,id={name},format=raw,file={}", path.display()));
            command.arg("-device").arg(format!("virtio-blk-pci,drive={name},serial={name}"));
        }
        command.arg("-serial").arg(format!("file:{}", self.console.display()));
        match (self.arch, port) {
            (Arch::Amd64, _) => command.args(["-serial", port]),
            // That machine has one port of its own.
            (Arch::Arm64, MONITORED) => {
                command.args(["-chardev", "stdio,id=port,mux=on,signal=off", "-mon", "chardev=port"])
            }
            (Arch::Arm64, _) => command.args(["-chardev", "stdio,id=port"]),
        };
        if self.arch == Arch::Arm64 {
            command.args(["-device", "pci-serial,chardev=port"]);
        }
        // Should qemu itself crash, a core file does not end up in the tree.
        command.current_dir(self.console.parent().unwrap_or(Path::new("/")));
        command
    }

    fn cmdline(&self) -> String {
        let fixed = [
            self.arch.console(),
            "quiet",
            // A panic or an oops ends the VM at once instead of leaving it to the time limit.
            "panic=-1",
            "oops=panic",
            // On a busy host the kernel's trial of its timer can miss the ticks, and then panics: it is told to trust it.
            "no_timer_check",
            // A busy host can also leave a guest without a processor for longer than the 20 s that count as a lockup.
            // 100 s are still well within the time limit of a row: a real lockup is told apart from a slow one.
            "rcupdate.rcu_cpu_stall_timeout=100",
            "watchdog_thresh=50",
        ];
        let lsm = format!("lsm={}", self.lsm);
        let words = fixed.into_iter().chain([lsm.as_str()]).chain(self.params.iter().map(String::as_str));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Boots with the terminal as the guest's port; `Ctrl-A x` ends it.
    pub(crate) fn interactive(&self) -> Result<ExitStatus> {
        let mut command = self.command(MONITORED);
        command.status().context(START)
    }

    /// Boots, and gives what the guest writes to `sink` until the VM is gone.
    pub(crate) fn run(&self, limit: Duration, sink: &mut dyn FnMut(&[u8])) -> Result<End> {
        self.run_until(limit, &AtomicBool::new(false), sink)
    }

    /// The same, but no longer than until `stop` is set.
    pub(crate) fn run_until(
        &self,
        limit: Duration,
        stop: &AtomicBool,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<End> {
        let mut command = self.command("stdio");
        command.stderr(if self.trial { Stdio::null() } else { Stdio::inherit() });
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(START)?;
        let stdout = child.stdout.take().context("qemu has no standard output")?;
        let chunks = chunks(stdout);
        let end = self.watch(&mut child, &chunks, limit, stop, sink);
        // Without effect on one that has ended by itself.
        child.kill()?;
        child.wait()?;
        end
    }

    fn watch(
        &self,
        child: &mut Child,
        chunks: &Receiver<Vec<u8>>,
        limit: Duration,
        stop: &AtomicBool,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<End> {
        let mut deadline = Instant::now() + limit;
        let mut trouble = false;
        loop {
            match chunks.recv_timeout(TICK) {
                Ok(chunk) => sink(&chunk),
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Exited(child.wait()?)),
                Err(RecvTimeoutError::Timeout) if !trouble && console::trouble(&self.console).is_some() => {
                    trouble = true;
                    deadline = deadline.min(Instant::now() + LAST_WORDS);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(End::Stopped);
            }
            if Instant::now() >= deadline {
                return Ok(if trouble { End::Trouble } else { End::TimedOut(limit) });
            }
        }
    }
}

const START: &str =
    "cannot start qemu through setpriv (packages qemu-system-x86, qemu-system-arm and util-linux)";

/// The terminal, on which a key leads to qemu's own prompt.
const MONITORED: &str = "mon:stdio";

/// Reads in a thread of its own, so that a silent guest cannot keep us from looking at the clock.
fn chunks(mut from: ChildStdout) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let chunk = buffer.get(..count).unwrap_or_default().to_vec();
            if sender.send(chunk).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Where the console of this name is kept.
pub(crate) fn console_path(logs: &Path, name: &str) -> PathBuf {
    logs.join(format!("{}.console.log", name.replace('/', "-")))
}
