#!/bin/sh
# Builds SPIRE (server, agent and OIDC discovery provider) from its Go module and prints the folder that has them.
set -eu
. "$(dirname "$0")/cached-build.sh"

version=1.15.3
oldest_go=1.26.6

# The plugin for EJBCA is left out, as not every module proxy has the module that it is made with. SQLite needs cgo.
build() {
  module=$(go mod download -json "github.com/spiffe/spire@v$version" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
  cp -R "$module" spire
  chmod -R u+w spire
  cd spire
  rm -r pkg/server/plugin/upstreamauthority/ejbca
  sed -i /ejbca/d pkg/server/catalog/upstreamauthority.go

  about=github.com/spiffe/spire/pkg/common/version
  CGO_ENABLED=1 GOFLAGS='-mod=readonly -buildvcs=false' nice -n 10 go build -trimpath \
    -ldflags "-s -w -X $about.gittag=$version" \
    -o ../part/ ./cmd/spire-server ./cmd/spire-agent ./support/oidc-discovery-provider
}

need flock gcc
need_go "$oldest_go"
cached "spire-$version" build
