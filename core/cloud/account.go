package cloud

import (
	"fmt"
	"strconv"

	"goned/core/quota"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// EditAccount is an owner's account for the transaction to change; it is made when there is none.
func EditAccount(accounts *state.Editor[*quota.Account], id int, ofGroup bool) *quota.Account {
	if a := accounts.Edit(id); a != nil {
		return a
	}
	a := &quota.Account{OwnerID: id, Group: ofGroup}
	accounts.Insert(a)
	return a
}

// Charge counts requests for a user and for a group; the refusal names whose limit it is. User 0 and group 0 have no accounts.
func Charge(tx *state.Tx, uid, gid int, requests ...quota.Request) error {
	if err := ChargeUser(tx, uid, requests...); err != nil {
		return err
	}
	return ChargeGroup(tx, gid, requests...)
}

// ChargeUser counts requests for a user alone.
func ChargeUser(tx *state.Tx, uid int, requests ...quota.Request) error {
	if uid <= RootUser || len(requests) == 0 || tx.Users.Get(uid) == nil {
		return nil
	}
	return overLimit(EditAccount(tx.UserQuotas, uid, false).Charge(tx.View().UserDefaults, requests...))
}

// ChargeGroup counts requests for a group alone.
func ChargeGroup(tx *state.Tx, gid int, requests ...quota.Request) error {
	if gid <= RootGroup || len(requests) == 0 || tx.Groups.Get(gid) == nil {
		return nil
	}
	return overLimit(EditAccount(tx.GroupQuotas, gid, true).Charge(tx.View().GroupDefaults, requests...))
}

func overLimit(err error) error {
	if err == nil {
		return nil
	}
	return refusal.New(refusal.Authorization, err.Error(), "")
}

// Discharge takes back what was charged to a user and a group.
func Discharge(tx *state.Tx, uid, gid int, requests ...quota.Request) {
	DischargeUser(tx, uid, requests...)
	DischargeGroup(tx, gid, requests...)
}

// DischargeUser takes back what was charged to a user. Somebody who was removed has no account.
func DischargeUser(tx *state.Tx, uid int, requests ...quota.Request) {
	if a := tx.UserQuotas.Get(uid); uid > RootUser && a != nil {
		tx.UserQuotas.Edit(uid).Release(requests...)
	}
}

// DischargeGroup takes back what was charged to a group.
func DischargeGroup(tx *state.Tx, gid int, requests ...quota.Request) {
	if a := tx.GroupQuotas.Get(gid); gid > RootGroup && a != nil {
		tx.GroupQuotas.Edit(gid).Release(requests...)
	}
}

// VMUse is what a VM counts for.
func VMUse(v *vm.VM) []quota.Request { return quota.OfVM(v.Template) }

// DiskUse is what a disk counts for: its image, or the space of a volatile disk.
func DiskUse(disk *template.Vector) []quota.Request {
	if quota.Volatile(disk) {
		size, _ := disk.Int("SIZE")
		return []quota.Request{quota.ForVolatile(size)}
	}
	if id, err := strconv.Atoi(disk.Get("IMAGE_ID")); err == nil {
		return []quota.Request{quota.ForUse(id)}
	}
	return nil
}

// NICUse is what a NIC counts for.
func NICUse(nic *template.Vector) []quota.Request {
	if id, err := strconv.Atoi(nic.Get("NETWORK_ID")); err == nil {
		return []quota.Request{quota.ForLease(id)}
	}
	return nil
}

// ChangeOwner moves what an object counts for to its new owner and group.
func ChangeOwner(tx *state.Tx, from, to resource.Base, requests ...quota.Request) error {
	if to.UID != from.UID {
		if err := ChargeUser(tx, to.UID, requests...); err != nil {
			return err
		}
		DischargeUser(tx, from.UID, requests...)
	}
	if to.GID != from.GID {
		if err := ChargeGroup(tx, to.GID, requests...); err != nil {
			return err
		}
		DischargeGroup(tx, from.GID, requests...)
	}
	return nil
}

// TakeCapacity counts a VM on a host.
func TakeCapacity(tx *state.Tx, v *vm.VM, hostID int) {
	h := tx.Hosts.Edit(hostID)
	if h == nil {
		return
	}
	c := v.Capacity()
	if !h.AddVM(v.ID, c.CPU, c.Memory, c.Disk) {
		logError(tx, "ONE", fmt.Sprintf("Trying to add VM %d, that it is already associated to host %d.", v.ID, hostID))
	}
}

// GiveCapacity takes a VM off a host.
func GiveCapacity(tx *state.Tx, v *vm.VM, hostID int) {
	h := tx.Hosts.Edit(hostID)
	if h == nil {
		return
	}
	c := v.Capacity()
	if !h.RemoveVM(v.ID, c.CPU, c.Memory, c.Disk) {
		logError(tx, "ONE", fmt.Sprintf("Trying to remove VM %d, that it is not associated to host %d.", v.ID, hostID))
	}
}
