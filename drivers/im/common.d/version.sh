#!/bin/sh
# The release of the scripts on this host.
echo "VERSION=\"$(tail -n 1 "$(dirname "$0")/../../VERSION")\""
