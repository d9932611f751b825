package audit

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"goned/core/image"
	"goned/core/quota"
	"goned/core/resource"
	"goned/core/template/xmldoc"
	"goned/core/vm"
)

// counter is something that is counted: the LEASES of NETWORK 3, say.
type counter struct {
	kind   string
	id     int64
	metric string
}

// usage is what somebody uses, in hundredths.
type usage map[counter]int64

func (u usage) add(kind string, id int64, metric string, amount float64) {
	u[counter{kind, id, metric}] += int64(math.Round(amount * 100))
}

func (u usage) vm(v *vm.VM) {
	cpu, _ := v.Template.Float("CPU")
	memory, _ := v.Template.Int("MEMORY")
	u.add("VM", 0, "VMS", 1)
	u.add("VM", 0, "CPU", cpu)
	u.add("VM", 0, "MEMORY", float64(memory))
	for _, disk := range v.Template.Vectors("DISK") {
		if id, ok := disk.Int("IMAGE_ID"); ok {
			u.add("IMAGE", id, "RVMS", 1)
		}
		if kind := strings.ToUpper(disk.Get("TYPE")); kind == "FS" || kind == "SWAP" {
			size, _ := disk.Int("SIZE")
			u.add("VM", 0, "VOLATILE_SIZE", float64(size))
		}
	}
	for _, nic := range v.Template.Vectors("NIC") {
		if id, ok := nic.Int("NETWORK_ID"); ok {
			u.add("NETWORK", id, "LEASES", 1)
		}
	}
}

func (u usage) image(img *image.Image) {
	u.add("DATASTORE", int64(img.DatastoreID), "IMAGES", 1)
	u.add("DATASTORE", int64(img.DatastoreID), "SIZE", float64(img.SizeMB))
}

var metrics = map[string][]string{
	"DATASTORE": {"IMAGES", "SIZE"}, "NETWORK": {"LEASES"}, "VM": {"VMS", "CPU", "MEMORY", "VOLATILE_SIZE"}, "IMAGE": {"RVMS"},
}

// recorded reads an account's document.
func recorded(account *quota.Account) (usage, error) {
	doc, err := xmldoc.Parse(string(account.PoolXML()))
	if err != nil {
		return nil, err
	}
	u := usage{}
	for kind, metrics := range metrics {
		for _, e := range doc.Child(kind + "_QUOTA").All(kind) {
			id, _ := e.Int("ID")
			for _, m := range metrics {
				used, err := strconv.ParseFloat(e.ChildText(m+"_USED"), 64)
				if err != nil {
					return nil, fmt.Errorf("%s %d %s_USED: %w", kind, id, m, err)
				}
				u.add(kind, id, m, used)
			}
		}
	}
	return u, nil
}

// quotas compares each account with what its owner has. User 0 and group 0 are not counted; an image that is being removed has been
// given back.
func (a *audit) quotas() {
	ofUser, ofGroup := map[int]usage{}, map[int]usage{}
	for _, u := range a.Users {
		ofUser[u.ID] = usage{}
	}
	for _, g := range a.Groups {
		ofGroup[g.ID] = usage{}
	}
	count := func(b resource.Base, add func(usage)) {
		for _, u := range []usage{ofUser[b.UID], ofGroup[b.GID]} {
			if u != nil {
				add(u)
			}
		}
	}
	for _, v := range a.VMs {
		if v.State != vm.Done {
			count(v.Base, func(u usage) { u.vm(v) })
		}
	}
	for _, img := range a.Images {
		if img.State != image.Delete {
			count(img.Base, func(u usage) { u.image(img) })
		}
	}
	delete(ofUser, 0)
	delete(ofGroup, 0)
	a.accounts("user", a.UserQuotas, ofUser)
	a.accounts("group", a.GroupQuotas, ofGroup)
}

func (a *audit) accounts(kind string, accounts []*quota.Account, want map[int]usage) {
	for _, account := range accounts {
		if account.OwnerID == 0 {
			continue
		}
		expected, exists := want[account.OwnerID]
		if !exists {
			a.fail("%s %d has an account but does not exist", kind, account.OwnerID)
			continue
		}
		delete(want, account.OwnerID)
		got, err := recorded(account)
		if err != nil {
			a.fail("%s %d: %v", kind, account.OwnerID, err)
			continue
		}
		a.compareUsage(fmt.Sprintf("%s %d", kind, account.OwnerID), got, expected)
	}
	for id, expected := range want {
		a.compareUsage(fmt.Sprintf("%s %d, without account,", kind, id), usage{}, expected)
	}
}

func (a *audit) compareUsage(who string, got, want usage) {
	for c, n := range want {
		if got[c] != n {
			a.fail("%s is counted %.2f of %v, but has %.2f", who, float64(got[c])/100, c, float64(n)/100)
		}
	}
	for c, n := range got {
		if _, has := want[c]; !has && n != 0 {
			a.fail("%s is counted %.2f of %v, but has none", who, float64(n)/100, c)
		}
	}
}
