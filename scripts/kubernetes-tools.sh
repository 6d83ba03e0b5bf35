#!/bin/sh
# Builds Helm and Kustomize from their Go modules and prints the folder that has them.
set -eu
. "$(dirname "$0")/cached-build.sh"

helm=3.22.0
kustomize=5.8.2

build() {
  export GOBIN="$PWD/part" CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false'
  nice -n 10 go install -trimpath -ldflags '-s -w' "helm.sh/helm/v3/cmd/helm@v$helm"
  nice -n 10 go install -trimpath -ldflags '-s -w' "sigs.k8s.io/kustomize/kustomize/v5@v$kustomize"
}

need go flock
cached "kubernetes-tools-$helm-$kustomize" build
