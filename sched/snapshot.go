package sched

import (
	"context"
	"errors"
	"fmt"

	"goned/core/match"
)

// FetchSnapshot asks oned for all pools a pass needs and returns them as one
// document, which match.ParsePools reads.
func FetchSnapshot(ctx context.Context, oned *Oned) (string, error) {
	zone, err := readZone(ctx, oned)
	if err != nil {
		// As for a pass: users outside oneadmin may not see the configuration.
		if refused := new(Refusal); !errors.As(err, &refused) {
			return "", fmt.Errorf("contact oned: %w", err)
		}
	}
	var pools []string
	for _, p := range []struct {
		method string
		args   []any
	}{
		{"one.vmpool.info", allVMs}, {"one.datastorepool.info", nil}, {"one.hostpool.info", nil},
		{"one.clusterpool.info", nil}, {"one.acl.info", nil},
	} {
		text, err := oned.Call(ctx, p.method, p.args...)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.method, err)
		}
		pools = append(pools, text)
	}
	return match.SavePools(zone, pools...), nil
}
