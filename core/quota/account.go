package quota

import (
	"fmt"
	"strconv"

	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/template/xmldoc"
)

// Account is the quotas of one user or group. One in a pool is not changed; Clone gives a copy that may be.
type Account struct {
	OwnerID int
	Group   bool // the owner is a group
	Quotas  Quotas
}

// OID is the owner's id.
func (a *Account) OID() int { return a.OwnerID }

// Access gives an account to its owner. Nothing asks: accounts are shown with their owners.
func (a *Account) Access() resource.Access {
	if a.Group {
		return resource.Access{GID: a.OwnerID, Cluster: resource.NoCluster}
	}
	return resource.Access{UID: a.OwnerID, GID: -1, Cluster: resource.NoCluster}
}

// Key is empty: accounts have no names.
func (a *Account) Key() string { return "" }

// Clone is a deep copy.
func (a *Account) Clone() *Account {
	return &Account{OwnerID: a.OwnerID, Group: a.Group, Quotas: *a.Quotas.Clone()}
}

// PoolXML is the QUOTAS element: the database body, and the sibling of USER and GROUP in pool listings.
func (a *Account) PoolXML() []byte { return a.AppendPoolXML(make([]byte, 0, 512)) }

// AppendPoolXML appends what PoolXML gives.
func (a *Account) AppendPoolXML(dst []byte) []byte {
	dst = append(dst, "<QUOTAS>"...)
	dst = resource.AppendInt(dst, "ID", int64(a.OwnerID))
	dst = a.Quotas.AppendXML(dst)
	return append(dst, "</QUOTAS>"...)
}

// Charge is Quotas.Charge for the owner; the refusal names him: "user [2] limit of …". User 0 and group 0 are never charged.
func (a *Account) Charge(defaults *Quotas, requests ...Request) error {
	if a.OwnerID == 0 {
		return nil
	}
	if err := a.Quotas.Charge(defaults, requests...); err != nil {
		return refusal.New(refusal.Authorization, a.subject()+err.Error(), "")
	}
	return nil
}

// Release is Quotas.Release for the owner.
func (a *Account) Release(requests ...Request) {
	if a.OwnerID != 0 {
		a.Quotas.Release(requests...)
	}
}

func (a *Account) subject() string {
	kind := "user ["
	if a.Group {
		kind = "group ["
	}
	return kind + strconv.Itoa(a.OwnerID) + "] "
}

// ParseAccount reads a database body of a user or group.
func ParseAccount(body string, group bool) (*Account, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("quotas: %w", err)
	}
	r := resource.Reader{Node: doc}
	a := &Account{OwnerID: r.Int("ID"), Group: group}
	if r.Err != nil {
		return nil, fmt.Errorf("quotas: %w", r.Err)
	}
	q, err := read(doc)
	if err != nil {
		return nil, fmt.Errorf("quotas of %s: %w", a.subject(), err)
	}
	a.Quotas = *q
	return a, nil
}
