//! Builds the shim and makes its image part of `_core`: a wheel cannot carry a second program
//! beside a library (maturin issue 368), so netyard unpacks it when it first needs it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..");
    let target = variable("TARGET");
    let out = PathBuf::from(variable("OUT_DIR"));
    let built_in = out.join("shim");
    // A target directory of its own: the outer cargo holds the lock of the shared one.
    let status = Command::new(variable("CARGO"))
        .args([
            "build",
            "--package",
            "netyard-netns",
            "--bin",
            "netyard-shim",
            "--profile",
            "shim",
            "--target",
            &target,
        ])
        .arg("--target-dir")
        .arg(&built_in)
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "building netyard-shim failed"
    );
    let image = built_in.join(&target).join("shim").join("netyard-shim");
    std::fs::copy(&image, out.join("netyard-shim")).expect("the shim was built");
    for watched in ["rust/netns", "Cargo.toml", "Cargo.lock"] {
        println!(
            "cargo:rerun-if-changed={}",
            workspace.join(watched).display()
        );
    }
}
