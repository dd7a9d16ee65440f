#!/bin/sh
# Builds every peer, or the named ones, each by itself so that their features do not mix.
set -e
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- ours raw libzmq zeromq rzmq omq monocoque
for peer; do
    cargo build --release -p "peer-$peer"
done
