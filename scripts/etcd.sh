#!/bin/sh
# Builds etcd from its Go module and prints the folder that has it.
set -eu
. "$(dirname "$0")/cached-build.sh"

version=3.6.16

build() {
  module=$(go mod download -json "go.etcd.io/etcd/server/v3@v$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
  printf 'module parts\n\ngo %s\n\nrequire go.etcd.io/etcd/server/v3 v%s\n' "$(sed -n 's/^go //p' "$module")" "$version" >go.mod
  printf '//go:build tools\n\npackage tools\n\nimport _ "go.etcd.io/etcd/server/v3"\n' >tools.go
  CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false' nice -n 10 go build -trimpath -ldflags '-s -w' -o part/etcd go.etcd.io/etcd/server/v3
}

need go flock
cached "etcd-$version" build
