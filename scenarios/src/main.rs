//! `scenarios`: see `scenarios --help`.

fn main() -> std::process::ExitCode {
    scenarios::runner::cli::main()
}
