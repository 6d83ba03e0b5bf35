#!/bin/sh
# Installs what a requirements file pins into a virtual environment and prints the folder that has it; its
# `bin/python` runs programs with it. Usage: python-environment.sh REQUIREMENTS_FILE
set -eu
. "$(dirname "$0")/cached-build.sh"

need python3 flock
requirements=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
version=$({ python3 --version; cat "$requirements"; } | sha256sum | cut -c 1-12)

# An environment knows its own path only in the scripts in `bin`, which nobody uses after the move.
build() {
  python3 -m venv part
  part/bin/python -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
}

cached "python-$version" build
