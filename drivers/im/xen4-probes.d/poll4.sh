#!/bin/sh
# The VMs of this host.
exec ../../vmm/xen4/poll -t
