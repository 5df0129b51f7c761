#!/usr/bin/env bash
# Fuzz every parser of `rust/fuzz` for a while, from its corpus: tests/fuzz.sh SECONDS [TARGET...]
#
# The flags are those of `cargo fuzz`, AddressSanitizer included; with a nightly compiler that works as
# well (`cargo fuzz run TARGET --fuzz-dir rust/fuzz`). An input that breaks a parser is left in rust/fuzz/artifacts;
# what is found on the way is not kept.
set -euo pipefail
cd "$(dirname "$0")/../rust/fuzz"
seconds=$1
shift
host=$(rustc -vV | sed -n 's/^host: //p')
flags="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions"
RUSTC_BOOTSTRAP=1 RUSTFLAGS=$flags cargo build -q --release --locked --target "$host"
built=${CARGO_TARGET_DIR:-target}/$host/release
[ $# -gt 0 ] || set -- fuzz_targets/*.rs
mkdir -p artifacts
for target in "$@"; do
    target=$(basename "$target" .rs)
    found=$(mktemp -d)
    "$built/$target" "$found" "corpus/$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=512 \
        -artifact_prefix="artifacts/$target-" -print_final_stats=1 2>"$found.log" || { tail -40 "$found.log"; exit 1; }
    printf '%-20s %12s inputs\n' "$target" "$(sed -n 's/stat::number_of_executed_units: *//p' "$found.log")"
    rm -rf "$found" "$found.log"
done
