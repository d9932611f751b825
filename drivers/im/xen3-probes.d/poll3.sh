#!/bin/sh
# The VMs of this host.
exec ../../vmm/xen3/poll -t
