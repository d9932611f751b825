#!/bin/sh
# Starts our oned the way the replay tools ask for: a new instance in REPLAY_DIR, in the foreground.
set -eu
mkdir -p "$REPLAY_DIR/etc" "$REPLAY_DIR/var/vms" "$REPLAY_DIR/var/datastores"
cp "$REPLAY_CONF" "$REPLAY_DIR/etc/oned.conf"
ONE_LOCATION=$REPLAY_DIR ONE_AUTH=$REPLAY_DIR/one_auth
export ONE_LOCATION ONE_AUTH
exec "$(dirname "$0")/../../bin/oned" -f
