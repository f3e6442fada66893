//! `aegisbpf`: the whole program is in the library.
fn main() -> std::process::ExitCode {
    aegisbpf::main().into()
}
