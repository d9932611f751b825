package model

import (
	"bytes"
	"fmt"
	"iter"

	"goned/core/state"
	"goned/core/vm"
	"goned/core/vnet"
)

// differences lists what a daemon that was started anew shows otherwise than the one before.
func differences(before, after *state.Snapshot) []string {
	var d []string
	add := func(kind string, more []string) {
		for _, text := range more {
			d = append(d, kind+" "+text)
		}
	}
	add("VM", pools(&before.VMs, &after.VMs, (*vm.VM).InfoXML))
	add("host", pools(&before.Hosts, &after.Hosts, nil))
	add("image", pools(&before.Images, &after.Images, nil))
	add("network", pools(&before.Nets, &after.Nets, (*vnet.VNet).InfoXML))
	add("datastore", pools(&before.Datastores, &after.Datastores, nil))
	add("cluster", pools(&before.Clusters, &after.Clusters, nil))
	add("template", pools(&before.Templates, &after.Templates, nil))
	add("user", pools(&before.Users, &after.Users, nil))
	add("group", pools(&before.Groups, &after.Groups, nil))
	add("zone", pools(&before.Zones, &after.Zones, nil))
	add("quotas of user", pools(&before.UserQuotas, &after.UserQuotas, nil))
	add("quotas of group", pools(&before.GroupQuotas, &after.GroupQuotas, nil))
	if a, b := before.UserDefaults.AppendDefaultsXML(nil, "Q"), after.UserDefaults.AppendDefaultsXML(nil, "Q"); !bytes.Equal(a, b) {
		d = append(d, fmt.Sprintf("default quotas:\n%s\n%s", a, b))
	}
	a, b := fmt.Sprint(collect(before.ACL.All())), fmt.Sprint(collect(after.ACL.All()))
	if a != b {
		d = append(d, fmt.Sprintf("rules:\n%s\n%s", a, b))
	}
	return d
}

func collect[T any](seq iter.Seq[T]) (all []T) {
	for x := range seq {
		all = append(all, x)
	}
	return all
}

// pools compares two pools: listings, names, and what info shows if that is more.
func pools[T state.Object[T]](before, after *state.Pool[T], info func(T) []byte) []string {
	var d []string
	if before.Len() != after.Len() {
		d = append(d, fmt.Sprintf("pool has %d objects, then %d", before.Len(), after.Len()))
	}
	for was := range before.All() {
		id := was.OID()
		is := after.Get(id)
		var none T
		if is == none {
			d = append(d, fmt.Sprintf("%d is gone", id))
			continue
		}
		if a, b := before.Listing(id), after.Listing(id); !bytes.Equal(a, b) {
			d = append(d, fmt.Sprintf("%d is listed otherwise: %s", id, change(a, b)))
		}
		if was.Access() != is.Access() {
			d = append(d, fmt.Sprintf("%d has access data %v, then %v", id, was.Access(), is.Access()))
		}
		if key := was.Key(); key != "" && (before.ByName(key) == none || after.ByName(key) == none || after.ByName(key).OID() != id) {
			d = append(d, fmt.Sprintf("%d is not found by its name %q", id, key))
		}
		if info == nil {
			continue
		}
		if a, b := withoutEmpty(info(was)), withoutEmpty(info(is)); !bytes.Equal(a, b) {
			d = append(d, fmt.Sprintf("%d is shown otherwise: %s", id, change(a, b)))
		}
	}
	return d
}

// withoutEmpty takes out the empty values that a document can hold: of a snapshot whose name nobody has said, and of a disk whose image
// has failed and was enabled. compat: 4.6 forgets empty values when it reads a VM back.
func withoutEmpty(document []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(document, []byte("<HYPERVISOR_ID/>"), nil), []byte("<SOURCE/>"), nil)
}

// change shows where two texts differ.
func change(a, b []byte) string {
	from := 0
	for from < len(a) && from < len(b) && a[from] == b[from] {
		from++
	}
	end := 0
	for end < len(a)-from && end < len(b)-from && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	from, end = max(from-60, 0), max(end-60, 0)
	return fmt.Sprintf("\n%s\nthen\n%s", a[from:len(a)-end], b[from:len(b)-end])
}
