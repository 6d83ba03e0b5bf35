#!/bin/sh
# Unpacks nginx and its njs module, of the packages of Debian, and prints the folder that has them: `usr/sbin/nginx`,
# `usr/lib/nginx/modules`. Nothing is installed, so that no service starts.
set -eu
. "$(dirname "$0")/cached-build.sh"

need apt-get dpkg dpkg-deb flock
version=$(. /etc/os-release && echo "$ID-$VERSION_ID")-$(dpkg --print-architecture)
packages='nginx libnginx-mod-http-js'

# Lists of packages are absent in most images; only root can get them.
build() {
  # shellcheck disable=SC2086
  apt-get download -q $packages || { apt-get update -q && apt-get download -q $packages; }
  for package in ./*.deb; do dpkg-deb -x "$package" part; done
}

cached "nginx-$version" build
