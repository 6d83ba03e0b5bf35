#!/bin/sh
# Builds the Go module in a folder of this repository and prints the folder that has the program, which has the
# name of the module. Usage: go-program.sh FOLDER
set -eu
. "$(dirname "$0")/cached-build.sh"

need go flock
source=$(cd "$1" && pwd)
name=$(basename "$(sed -n 's/^module //p' "$source/go.mod")")
version=$(cd "$source" && { go version; cat go.mod go.sum ./*.go; } | sha256sum | cut -c 1-12)

build() {
  cd "$source" && CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false' nice -n 10 go build -trimpath -o "$building/part/$name" .
}

cached "$name-$version" build
