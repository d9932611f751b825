// Package match decides where virtual machines run: OpenNebula 4.6's
// requirement and rank languages, and the choice of host and system datastore
// for every machine that waits for a place.
//
// Everything here is a function of a [Snapshot]: no clock, no input or output,
// no randomness. The same snapshot and the same [Policy] give the same [Plan],
// and the same answers of the cloud give the same sequence of dispatches.
package match
