package rpc

import "slices"

// Methods is the API: every method of 4.6, one row each, in the files named after the resources. The order is the one in which
// 4.6 lists them to clients that ask.
func Methods() []*Method {
	return slices.Concat(vmMethods(), templateMethods(), hostMethods(), groupMethods(), netMethods(), userMethods(), imageMethods(),
		aclMethods(), datastoreMethods(), clusterMethods(), documentMethods(), zoneMethods(), systemMethods())
}
