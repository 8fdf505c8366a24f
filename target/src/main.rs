//! `glintd`: see `glintd --help`.

fn main() -> std::process::ExitCode {
    target::cli::run()
}
