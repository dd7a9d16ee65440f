# List the recipes.
default:
    @just --list

# The weather server and client in one process.
run:
    cargo run --release -p weather-demo

# Every test; a C++ compiler builds libzmq for the interop tests.
test:
    cargo test --workspace

# Formatting and clippy, as CI asks for them.
lint:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cd bench && cargo clippy --workspace --all-targets -- -D warnings

# The documentation, with warnings as errors.
doc $RUSTDOCFLAGS="-D warnings":
    cargo doc --workspace --no-deps --all-features

# Each fuzz target for so many seconds (needs a nightly toolchain and cargo-fuzz).
fuzz seconds="20":
    for target in $(cargo +nightly fuzz list); do cargo +nightly fuzz run -s none "$target" -- -max_total_time={{seconds}} || exit 1; done

# How much of the library the fuzz targets reach (needs nightly's llvm-tools, too).
coverage *targets:
    fuzz/coverage.sh {{targets}}

# This library and libzmq, each with each, over tcp and ipc: in clear, and with PLAIN and CURVE (needs Python).
interop:
    cargo run --release -p weather-demo --features libzmq -- interop
    .ci/run tools
    ZMTP_REQUIRE_PYZMQ=1 ZMTP_PYTHON=$PWD/target/tools/bin/python cargo test -p zmtp-tests --test interop --test family

# So many minutes of peers, ours and libzmq's, that come and go, kill -9 included: every message is accounted for.
soak minutes="10" *seed:
    cargo run --release -p zmtp-tests --bin soak -- run {{minutes}} {{seed}}

# Whether one operation needs more instructions than before (needs valgrind); --accept renews the table.
instructions *args:
    bench/instructions/count.py {{args}}

# Which changes to the code no test notices (needs cargo-mutants).
mutants *args:
    cargo mutants --workspace {{args}}

# All that CI runs, or the steps with a word in their names.
ci word="":
    .ci/run {{word}}

# libzmq's C interface, its header and its description for pkg-config, into a folder.
install-ffi prefix:
    cargo build --release -p zmtp-ffi
    install -d {{prefix}}/lib/pkgconfig {{prefix}}/include
    install -m 755 target/release/libzmq.so {{prefix}}/lib/libzmq.so.5
    ln -sf libzmq.so.5 {{prefix}}/lib/libzmq.so
    install -m 644 target/release/libzmq.a {{prefix}}/lib/libzmq.a
    install -m 644 crates/zmtp-ffi/include/zmq.h {{prefix}}/include/zmq.h
    sed "s|@PREFIX@|{{prefix}}|" crates/zmtp-ffi/libzmq.pc.in > {{prefix}}/lib/pkgconfig/libzmq.pc
