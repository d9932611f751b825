package state

import (
	"context"
	"fmt"

	"goned/core/acl"
	"goned/core/db"
	"goned/core/group"
	"goned/core/user"
	"goned/core/zone"
)

// Shared is what the zones of a federation have in common. The master changes it; the database brings it to the slaves, which only
// read it.
type Shared struct {
	users  Pool[*user.User]
	groups Pool[*group.Group]
	zones  Pool[*zone.Zone]
	rules  *acl.Rules
}

// LoadShared reads the shared tables.
func LoadShared(ctx context.Context, src Source) (*Shared, error) {
	var s Snapshot
	for _, step := range []func() error{
		func() error { return loadPool(ctx, src, db.ZonePool, &s.Zones, zone.Parse) },
		func() error { return loadPool(ctx, src, db.GroupPool, &s.Groups, group.Parse) },
		func() error { return loadPool(ctx, src, db.UserPool, &s.Users, user.Parse) },
		func() error { return s.loadRules(ctx, src) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("load shared tables: %w", err)
		}
	}
	return &Shared{s.Users, s.Groups, s.Zones, s.ACL}, nil
}

// Adopt makes what the master has changed visible. Nothing is written: it comes from the database.
func (s *Store) Adopt(shared *Shared) error {
	return s.Update(func(tx *Tx) error {
		tx.adopted = true
		tx.snap.Users, tx.snap.Groups, tx.snap.Zones, tx.snap.ACL = shared.users, shared.groups, shared.zones, shared.rules
		return nil
	})
}
