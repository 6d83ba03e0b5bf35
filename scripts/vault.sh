#!/bin/sh
# Builds HashiCorp Vault from its Go module and prints the folder that has it. For tests only: its licence
# (BUSL-1.1) lets nobody ship it in a product that competes with it.
set -eu
. "$(dirname "$0")/cached-build.sh"

# 1.21.2 is the last one that compiles with the published vault/sdk; later ones need their own tree.
version=1.21.2
oldest_go=1.25.3

# The module's own `replace` lines do not count in a module that requires it, so those that matter are repeated.
# `minimal` leaves the secret engines and logins of vendors out; jwt, kv and policies stay.
build() {
  cat >go.mod <<MOD
module parts

go $oldest_go

require github.com/hashicorp/vault v$version

replace github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3

replace github.com/ma314smith/signedxml v1.1.1 => github.com/moov-io/signedxml v1.1.1
MOD
  printf '//go:build tools\n\npackage tools\n\nimport _ "github.com/hashicorp/vault"\n' >tools.go
  CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false' nice -n 10 go build -trimpath -tags minimal \
    -ldflags '-s -w' -o part/vault github.com/hashicorp/vault
}

need flock
need_go "$oldest_go"
cached "vault-$version" build
