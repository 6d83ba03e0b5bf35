#!/bin/sh
# Builds the API server of Kubernetes from its Go module and prints the folder that has it.
set -eu
. "$(dirname "$0")/cached-build.sh"

version=1.35.4

# The module's own `replace => ./staging/…` lines do not count in a module that requires it, so each
# staging module is mapped to its published version.
build() {
  module=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
  printf 'module parts\n\ngo %s\n\nrequire k8s.io/kubernetes v%s\n' "$(sed -n 's/^go //p' "$module")" "$version" >go.mod
  sed -n 's|^\t*\(k8s.io/[^ ]*\) => ./staging.*|\1|p' "$module" | while read -r staged; do
    go mod edit -replace="$staged=$staged@v0.${version#1.}"
  done
  printf '//go:build tools\n\npackage tools\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver"\n' >tools.go

  minor=${version#1.}
  about=k8s.io/component-base/version
  CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false' nice -n 10 go build -trimpath \
    -ldflags "-s -w -X $about.gitVersion=v$version -X $about.gitMajor=1 -X $about.gitMinor=${minor%.*}" \
    -o part/kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
}

need go flock
cached "kube-apiserver-$version" build
