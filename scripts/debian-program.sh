#!/bin/sh
# Prints the path of a program, which is installed from a package of Debian where it is not there: debian-program.sh NAME PACKAGE
set -eu

name=$1
package=$2

command -v "$name" && exit
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "debian-program.sh: $name is not installed" >&2
  exit 3
fi
{ apt-get update -q && apt-get install -q -y --no-install-recommends "$package"; } >&2
command -v "$name"
