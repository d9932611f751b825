#!/bin/sh
# run.sh NAME: runs the e2e tests of test/NAME on this machine, and then those that
# its kernel makes them skip in the virtual machine of vm.sh. GO is the go command.

set -eu

name=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
"${GO:-go}" test -c -tags e2e -o "bin/$name.test" "./test/$name"
# Once, outside: to copy hundreds of files takes minutes in there.
sh drivers/install-remotes bin/remotes

cd "test/$name"
export GONED_REMOTES="$root/bin/remotes"
output=$(mktemp)
trap 'rm -f "$output"' EXIT
{ "$root/bin/$name.test" -test.v || echo "--- FAIL: $name"; } | tee "$output"
! grep -q '^--- FAIL' "$output" || exit 1

skipped=$(sed -n 's/^--- SKIP: \([A-Za-z0-9]*\) .*/\1/p' "$output" | paste -s -d '|' -)
[ -n "$skipped" ] || exit 0
echo "=== in a virtual machine: $skipped"
../lab/vm.sh env GONED_LAB_VM=yes GONED_REMOTES="$GONED_REMOTES" "$root/bin/$name.test" -test.v -test.run "^($skipped)\$"
