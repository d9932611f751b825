// Package storage runs the transfer and datastore scripts with real tools, on
// hosts that are reached by ssh, and compares what they leave. What needs volume
// groups has the build tag e2e: make e2e-storage runs it, in a virtual machine
// where this one has no device mapper.
package storage
