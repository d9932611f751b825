package dummy

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"

	"goned/drivers/agent"
)

// IM is the driver process one_im_dummy.
type IM struct{ Out *agent.Output }

// Actions are the requests of an IM_MAD driver.
func (d *IM) Actions() map[string]agent.Action {
	return map[string]agent.Action{
		"MONITOR":     {Args: 3, Run: d.monitor},
		"STOPMONITOR": {Args: 1, Run: func(ctx context.Context, r agent.Request) { d.Out.Reply(ctx, r, agent.Success, "-") }},
	}
}

func (d *IM) monitor(ctx context.Context, r agent.Request) {
	const totalMemory, totalCPU = 16777216, 800
	memory, cpu := rand.IntN(totalMemory), rand.IntN(totalCPU)
	text := fmt.Sprintf("HYPERVISOR=dummy\nHOSTNAME=%s\nCPUSPEED=2.2GHz\n"+
		"TOTALMEMORY=%d\nUSEDMEMORY=%d\nFREEMEMORY=%d\nTOTALCPU=%d\nUSEDCPU=%d\nFREECPU=%d\n"+
		"DS_LOCATION_USED_MB=9720\nDS_LOCATION_TOTAL_MB=20480\nDS_LOCATION_FREE_MB=20480\n",
		r.Args[0], totalMemory, memory, totalMemory-memory, totalCPU, cpu, totalCPU-cpu)
	d.Out.Reply(ctx, r, agent.Success, base64.StdEncoding.EncodeToString([]byte(text)))
}
