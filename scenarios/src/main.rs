//! `scenarios`: see `scenarios --help`.

/// Worlds allocate much and briefly: a quarter of their time with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    scenarios::runner::cli::main()
}
