package rpc

import (
	"strings"
	"testing"
)

// TestOwnAttributes: what only the daemon writes into disks and NICs does not come from a user's template. In 4.6 it does: a disk's
// content goes to any file of the front-end, images of others are given back, network rules are avoided.
func TestOwnAttributes(t *testing.T) {
	c := newCloud(t, "")
	c.must(alice, "one.image.allocate", "NAME=own TYPE=DATABLOCK SIZE=1 PERSISTENT=YES", 1)
	c.must(alice, "one.image.allocate", "NAME=plain TYPE=DATABLOCK SIZE=1", 1)
	c.must(bob, "one.image.allocate", "NAME=other TYPE=DATABLOCK SIZE=1 PERSISTENT=YES", 1)
	c.must(alice, "one.vn.allocate", "NAME=n TYPE=RANGED BRIDGE=b NETWORK_ADDRESS=10.0.0.0 NETWORK_SIZE=C", -1)
	c.drive()
	c.must(bob, "one.vm.allocate", "CPU=1 MEMORY=1 DISK=[IMAGE_ID=2]", false)

	const own = `ATTACH=YES,SAVE=YES,SAVE_AS=2,SAVE_AS_ACTIVE=YES,SAVE_AS_SOURCE="/etc/passwd",HOTPLUG_SAVE_AS=2,` +
		`HOTPLUG_SAVE_AS_ACTIVE=YES,HOTPLUG_SAVE_AS_SOURCE="/etc/passwd",TM_MAD=shared,DATASTORE_ID=1,SOURCE="/etc/passwd"`
	id := c.must(alice, "one.vm.allocate", "CPU=1 MEMORY=1 DISK=[TYPE=fs,SIZE=1,FORMAT=raw,"+own+"] DISK=[IMAGE_ID=0,"+own+"]"+
		" DISK=[IMAGE_ID=1,"+own+"] NIC=[NETWORK_ID=0,ATTACH=YES] NIC=[MODEL=e1000,ATTACH=YES]", false)
	c.must(root, "one.host.allocate", "h", "dummy", "dummy", "dummy", -1)
	c.must(root, "one.vm.deploy", id, 0, false, -1)
	c.drive()
	c.must(alice, "one.vm.attach", id, "DISK=[TYPE=fs,SIZE=1,FORMAT=raw,"+own+"]")
	c.drive()
	c.must(alice, "one.vm.attachnic", id, "NIC=[NETWORK_ID=0,ATTACH=YES]")
	c.drive()

	v := c.store.Snapshot().VMs.Get(id)
	disks, nics := v.Template.Vectors("DISK"), v.Template.Vectors("NIC")
	if len(disks) != 4 || len(nics) != 3 {
		t.Fatalf("%d disks, %d NICs", len(disks), len(nics))
	}
	for i, d := range disks {
		save := d.Get("SAVE") // of an own persistent image
		if want := map[int]string{1: "YES", 2: "NO"}[i]; save != want {
			t.Errorf("disk %d: SAVE is %q, want %q", i, save, want)
		}
		for _, p := range d.Pairs() {
			if p.Key == "ATTACH" || strings.Contains(p.Key, "SAVE_AS") {
				t.Errorf("disk %d has %s=%s", i, p.Key, p.Value)
			}
		}
	}
	for i, n := range nics {
		if n.Get("ATTACH") != "" {
			t.Errorf("NIC %d is marked", i)
		}
	}
	c.must(alice, "one.vm.action", "delete", id)
	if got := c.get(bob, "one.image.info", 2); !strings.Contains(got, "<STATE>8</STATE><RUNNING_VMS>1</RUNNING_VMS>") {
		t.Errorf("the image of another user is not in use any more: %s", got)
	}
}
