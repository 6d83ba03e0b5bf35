#!/bin/sh
# Compiles the Java program in a folder of this repository and prints the folder that has it: `classes`, and `lib` with
# what it depends on. Usage: maven-program.sh FOLDER
set -eu
. "$(dirname "$0")/cached-build.sh"

need java mvn flock
source=$(cd "$1" && pwd)
name=$(sed -n 's|.*<artifactId>\(.*\)</artifactId>.*|\1|p' "$source/pom.xml" | head -n 1)
version=$(cd "$source" && { java -version 2>&1; cat pom.xml; find src -name '*.java' -exec cat {} +; } | sha256sum | cut -c 1-12)

# In a copy, as Maven writes beside its sources.
build() {
  cp -R "$source/pom.xml" "$source/src" .
  nice -n 10 mvn --batch-mode --quiet compile dependency:copy-dependencies -DincludeScope=runtime
  mv target/classes part/classes
  mv target/dependency part/lib
}

cached "$name-java-$version" build
