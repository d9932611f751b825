# Functions of the ceph datastore. Sourced, never run.
# shellcheck shell=sh disable=SC2034

# shellcheck source=drivers/datastore/ceph/ceph.conf
. "$(dirname "$0")/ceph.conf"

# ceph_request NAME=PATH...: request, with the attributes of ceph datastores and
# their defaults. Sets RBD_SOURCE, the name of the image ID.
ceph_request() {
    request BRIDGE_LIST=DATASTORE/TEMPLATE/BRIDGE_LIST pool=DATASTORE/TEMPLATE/POOL_NAME \
        staging=DATASTORE/TEMPLATE/STAGING_DIR format=DATASTORE/TEMPLATE/RBD_FORMAT \
        BASE_PATH=DATASTORE/BASE_PATH "$@"
    POOL_NAME=${pool:-$POOL_NAME}
    STAGING_DIR=${staging:-$STAGING_DIR}
    RBD_FORMAT=${format:-${RBD_FORMAT:-}}
    is_safe_word "$POOL_NAME" || fail "Not a pool: $POOL_NAME"
    is_safe_word "$ID" || fail "Not an image: $ID"
    RBD_SOURCE=$POOL_NAME/one-$ID
}

# staged: sets TMP_DST, a file on the bridge host, as a word for its shell.
staged() {
    image_hash=$(generate_image_hash) || exit 1
    TMP_DST=$(quote "$STAGING_DIR/$image_hash")
}
