//! Names the shared object as programs know it, whatever its file is called.
#![allow(clippy::print_stdout)]

fn main() {
    let soname = "-Wl,-soname,libgfapi.so.0";
    println!("cargo::rustc-cdylib-link-arg={soname}");
    println!("cargo::rerun-if-changed=build.rs");
}
