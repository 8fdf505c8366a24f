//! Conversations between initiators and the engine, through one function: `check`.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod hostile;
mod liveness;
mod login;
mod overdue;
mod play;
mod reinstatement;
mod reload;
mod task_management;
mod text;
mod transfer;
mod window;
mod wire;
mod words;
mod world;

use play::{check, check_with, config};
