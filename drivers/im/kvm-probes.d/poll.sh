#!/bin/sh
# The VMs of this host.
exec ../../vmm/kvm/poll -t
