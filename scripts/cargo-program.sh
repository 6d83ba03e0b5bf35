#!/bin/sh
# Builds the Rust program in a folder of this repository, with what its Cargo.lock pins, and prints the folder that has
# it, which has the name of the package. Usage: cargo-program.sh FOLDER
set -eu
. "$(dirname "$0")/cached-build.sh"

need cargo cc flock
source=$(cd "$1" && pwd)
name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$source/Cargo.toml" | head -n 1)
version=$(cd "$source" && { cargo --version; cat Cargo.toml Cargo.lock src/*.rs; } | sha256sum | cut -c 1-12)

build() {
  nice -n 10 cargo build --quiet --release --locked --manifest-path "$source/Cargo.toml" --target-dir target
  mv "target/release/$name" part
}

cached "$name-rust-$version" build
