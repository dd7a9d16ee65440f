#!/bin/sh
# Builds every peer, or the named ones, each by itself so that their features do not mix.
set -e
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- ours ours-unset raw libzmq zeromq rzmq omq monocoque
for peer; do
    if [ "$peer" = ours-unset ]; then
        # Without the flags of ../.cargo/config.toml.
        target=${CARGO_TARGET_DIR:-target}
        RUSTFLAGS= cargo build --release -p peer-ours --target-dir "$target/unset"
        mkdir -p "$target/release"
        cp "$target/unset/release/peer-ours" "$target/release/peer-ours-unset"
    else
        cargo build --release -p "peer-$peer"
    fi
done
