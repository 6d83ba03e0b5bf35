# Sourced by the scripts that build a part for tests. A part is built once per version, one at a
# time on a machine, and is either complete or not there.

cache="${XDG_CACHE_HOME:-$HOME/.cache}/apostille-test"

# need TOOL...: fails in one line where a tool is missing.
need() {
  for tool in "$@"; do
    command -v "$tool" >/dev/null || { echo "$(basename "$0"): $tool is not installed" >&2; exit 3; }
  done
}

# need_go OLDEST: fails in one line where the Go that is installed is older, and lets it get no other one.
need_go() {
  need go
  export GOTOOLCHAIN=local
  found_go=$(go env GOVERSION)
  if [ "$(printf 'go%s\n' "$1" "${found_go#go}" | sort -V | head -n 1)" != "go$1" ]; then
    echo "$(basename "$0"): Go $1 or later is not installed, only ${found_go#go}" >&2
    exit 3
  fi
}

# cached NAME-VERSION FUNCTION: runs FUNCTION in an empty folder unless the part is there, and prints the
# part's folder. What FUNCTION leaves in its subfolder `part` is the part.
cached() {
  part="$cache/$1"
  mkdir -p "$cache"
  if [ ! -d "$part" ]; then
    exec 9>"$cache/build.lock"
    flock 9
    [ -d "$part" ] || build_part "$2"
    exec 9>&-
  fi
  echo "$part"
}

# The lock is held: what is in the way is left of a build that was ended.
build_part() {
  rm -rf "$cache"/building.*
  building=$(mktemp -d "$cache/building.XXXXXX")
  trap 'rm -rf "$building"' EXIT
  mkdir "$building/part"
  (cd "$building" && "$1" 9>&- >&2)
  mv "$building/part" "$part"
}
