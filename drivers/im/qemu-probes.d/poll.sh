#!/bin/sh
# The VMs of this host.
exec ../../vmm/qemu/poll -t
