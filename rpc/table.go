package rpc

import (
	"slices"
	"strings"
)

// Methods is the API: every method of 4.6, one row each, in the files named after the resources.
func Methods() []*Method {
	all := slices.Concat(systemMethods(), userMethods(), groupMethods(), aclMethods(), zoneMethods(), clusterMethods(),
		hostMethods(), datastoreMethods(), imageMethods(), netMethods(), templateMethods(), documentMethods(), vmMethods())
	slices.SortFunc(all, func(a, b *Method) int { return strings.Compare(a.Name, b.Name) })
	return all
}
