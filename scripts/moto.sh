#!/bin/sh
# Runs moto, which plays AWS Secrets Manager and STS, and checks neither tokens nor signatures. Takes the options of
# `moto_server`, such as: moto.sh --host 127.0.0.1 --port 5000
set -eu
here=$(cd "$(dirname "$0")" && pwd)
environment=$("$here/python-environment.sh" "$here/../test/interop/python/moto.txt")
exec "$environment/bin/python" -m moto.server "$@"
