package match

import (
	"fmt"
	"strings"
	"testing"
)

// TestBigPools: 4.6's scheduler cannot read pools of more than about 10 MB.
func TestBigPools(t *testing.T) {
	var vms strings.Builder
	vms.WriteString("<VM_POOL>")
	const count = 3000
	filler := strings.Repeat("x", 4000)
	for id := range count {
		fmt.Fprintf(&vms, "<VM><ID>%d</ID><UID>0</UID><GID>0</GID><STATE>1</STATE><LCM_STATE>0</LCM_STATE><TEMPLATE><CPU>1</CPU>"+
			"<MEMORY>1</MEMORY></TEMPLATE><USER_TEMPLATE><X><![CDATA[%s]]></X></USER_TEMPLATE></VM>", id, filler)
	}
	vms.WriteString("</VM_POOL>")
	p, err := ParsePools(SavePools(0, vms.String(), "<DATASTORE_POOL/>", "<HOST_POOL/>"))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(ReadVMs(p.VMs, 0)); got != count {
		t.Errorf("%d of %d VMs were read", got, count)
	}
}
