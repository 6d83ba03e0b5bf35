#!/bin/sh
# Prints the path of a Chromium, which is installed from the packages of Debian where there is none.
set -eu

find_it() {
  for name in ${CHROMIUM:+"$CHROMIUM"} /usr/lib/chromium/chromium-headless-shell chromium google-chrome; do
    command -v "$name" && return 0
  done
  return 1
}

find_it && exit
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "chromium.sh: no Chromium is installed; name one by CHROMIUM" >&2
  exit 3
fi
{ apt-get update -q && apt-get install -q -y --no-install-recommends chromium-headless-shell; } >&2
find_it
