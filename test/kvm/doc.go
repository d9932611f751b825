// Package kvm runs virtual machines on real libvirt hosts. The tests need the
// build tag e2e and root; README.md says what they do.
package kvm
