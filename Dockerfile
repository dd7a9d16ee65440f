# The tool `zmtp` in an image of its own: docker build -t zmtp . && docker run --rm -it --network host zmtp --help
FROM rust:1.89-slim-bookworm AS build
WORKDIR /zmtp
COPY . .
# Static: the image needs no library.
RUN RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --locked --release -p zmtp-cli --target "$(rustc --print host-tuple)" && \
    cp target/*/release/zmtp /usr/bin/zmtp

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /usr/bin/zmtp /usr/bin/zmtp
ENTRYPOINT ["/usr/bin/zmtp"]
