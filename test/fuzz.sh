#!/bin/sh
# Runs every fuzz target of the module, one after the other, each for the time given (10s). Making inputs smaller gets a second each:
# what goroutines cover differs from run to run, and then a minute goes by for every input in which nothing new is tried.
set -eu
cd "$(dirname "$0")/.."
time=${1:-10s}
grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do
	grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //' | while read -r target; do
		echo "$target in ${file%/*}"
		"${GO:-go}" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s -parallel 2 "${file%/*}" </dev/null
	done
done
