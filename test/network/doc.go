// Package network runs the network drivers with the kernel's real bridges, VLANs
// and packet filters, and sends packets through what they made. The tests need the
// build tag e2e and root; make e2e-network runs them in a virtual machine where
// this one's kernel lacks something.
package network
