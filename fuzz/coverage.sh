#!/usr/bin/env bash
# How much of zmtp-codec and zmtp-socket the fuzz targets reach: with their seeds, and with what fuzzing
# has added to target/fuzz-corpus or to the folders that FUZZ_CORPUS names, if there are such.
# Needs cargo-fuzz, and nightly Rust with llvm-tools: rustup component add llvm-tools --toolchain nightly
#
# coverage.sh [TARGET...]    all targets, if none is named, and then a line for all of them together
set -euo pipefail
cd "$(dirname "$0")/.."

# Apart from the fuzzer's own: both would be built anew each time otherwise.
built=${CARGO_TARGET_DIR:-target}/fuzz-coverage
found=${FUZZ_CORPUS:-target/fuzz-corpus}
tools=$(dirname "$(rustc +nightly --print target-libdir)")/bin
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')

# report NAME PROFILE BINARY...: a line for each crate, of the code that these binaries may run.
report() {
    local name=$1 profile=$2 binary=$3 crate others=()
    shift 3
    for other; do others+=(-object "$other"); done
    for crate in zmtp-codec zmtp-socket; do
        "$tools/llvm-cov" report "$binary" "${others[@]}" -instr-profile="$profile" \
            -sources "crates/$crate/src" |
            awk -v name="$name" -v crate="$crate" \
                '$1 == "TOTAL" { printf "%-12s %-12s %8s %8s\n", name, crate, $4, $10 }'
    done
}

[ $# -gt 0 ] || set -- $(cargo +nightly fuzz list)
printf "%-12s %-12s %8s %8s\n" target crate regions lines
mkdir -p fuzz/coverage
profiles=()
binaries=()
for target; do
    corpus=("fuzz/corpus/$target")
    [ ! -d "$found/$target" ] || corpus+=("$found/$target")
    cargo +nightly fuzz coverage --sanitizer none --target-dir "$built" "$target" "${corpus[@]}" \
        >fuzz/coverage/log 2>&1 || {
        tail -n 20 fuzz/coverage/log | cut -c 1-200
        exit 1
    }
    profiles+=("fuzz/coverage/$target/coverage.profdata")
    binaries+=("$built/$triple/release/$target")
    report "$target" "${profiles[-1]}" "${binaries[-1]}"
done
if [ $# -gt 1 ]; then
    "$tools/llvm-profdata" merge "${profiles[@]}" -o fuzz/coverage/all.profdata
    report together fuzz/coverage/all.profdata "${binaries[@]}"
fi
