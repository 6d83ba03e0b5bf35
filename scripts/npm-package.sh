#!/bin/sh
# Installs one npm package and prints the folder that has it in `node_modules`. Usage: npm-package.sh NAME VERSION
set -eu
. "$(dirname "$0")/cached-build.sh"

need npm flock
name=$1
version=$2

build() {
  npm install --prefix part --no-audit --no-fund --loglevel error "$name@$version"
}

cached "npm-$(echo "$name" | tr -d @ | tr / -)-$version" build
