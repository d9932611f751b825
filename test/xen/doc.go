// Package xen tests the Xen drivers against real hypervisors: two Xen 4.17 hosts
// in QEMU, an oned as it is installed, and the XML-RPC interface. "make e2e-xen"
// runs it; README.md says what it needs. The tests need the build tag e2e.
package xen
