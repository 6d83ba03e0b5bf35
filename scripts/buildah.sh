#!/bin/sh
# Prints the path of buildah, which builds images without a daemon. It is installed from the packages of Debian where there is none.
set -eu

command -v buildah && exit
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "buildah.sh: buildah is not installed" >&2
  exit 3
fi
{ apt-get update -q && apt-get install -q -y --no-install-recommends buildah; } >&2
command -v buildah
