#!/bin/sh
# Runs shellcheck over every shell script of the repository.
set -eu
cd "$(dirname "$0")/../.."
command -v shellcheck >/dev/null 2>&1 || { echo "shellcheck is not installed"; exit 1; }
git ls-files | while read -r file; do
	[ -f "$file" ] || continue
	case $(head -c 40 "$file" | head -n 1 | tr -d '\0') in
	"#!/bin/sh"*) printf '%s\n' "$file" ;;
	esac
done | xargs -n 16 -P "$(nproc)" shellcheck -S warning
