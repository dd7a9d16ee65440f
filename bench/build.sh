#!/bin/sh
# Builds every peer, or the named ones, each by itself so that their features do not mix.
set -e
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- ours ours-soft raw libzmq zeromq rzmq omq monocoque
for peer; do
    if [ "$peer" = ours-soft ]; then
        target=${CARGO_TARGET_DIR:-target}
        RUSTFLAGS='--cfg poly1305_backend="soft"' cargo build --release -p peer-ours --target-dir "$target/soft"
        mkdir -p "$target/release"
        cp "$target/soft/release/peer-ours" "$target/release/peer-ours-soft"
    else
        cargo build --release -p "peer-$peer"
    fi
done
