# The tool `zmtp` in an image of its own: docker build -t zmtp . && docker run --rm -it --network host zmtp --help
FROM rust:1.89-slim-bookworm AS build
WORKDIR /zmtp
COPY . .
RUN cargo build --locked --release -p zmtp-cli

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /zmtp/target/release/zmtp /usr/bin/zmtp
ENTRYPOINT ["/usr/bin/zmtp"]
