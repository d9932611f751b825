package rpc

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// TestCostDoesNotGrow calls every method in a cloud with 10 VMs and in one with 10,000: both allocate about the same. What they
// allocate stands for what they look at and copy; time would depend on the machine, and is only shown.
//
// No method is left out. Those of vmpool that answer with what the caller sees of a pool are asked for little of it.
func TestCostDoesNotGrow(t *testing.T) {
	few, many := growth(t, 10), growth(t, 10_000)
	for _, m := range Methods() {
		if len(growthCalls[m.Name]) == 0 {
			t.Errorf("%s is not called: add it to growthCalls", m.Name)
		}
		for i := range growthCalls[m.Name] {
			name := fmt.Sprintf("%s/%d", m.Name, i)
			a, b := few[name], many[name]
			t.Logf("%-28s %7d bytes %8v, %7d bytes %8v", name, a.bytes, a.time, b.bytes, b.time)
			// The pool is an array of runs: its first level is copied, 8 bytes for 64 objects.
			if b.bytes > 2*a.bytes+16<<10 {
				t.Errorf("%s: %d bytes with 10 VMs, %d with 10,000", name, a.bytes, b.bytes)
			}
		}
	}
	for name := range growthCalls {
		if few[name+"/0"].bytes == 0 {
			t.Errorf("%s is no method", name)
		}
	}
}

// cost is what one call takes.
type cost struct {
	bytes uint64
	time  time.Duration // of the fastest
}

// growth gives the costs of all calls in a cloud with n VMs that nobody but oneadmin sees.
func growth(t *testing.T, n int) map[string]cost {
	g := &grown{testCloud: newCloud(t, `FEDERATION = [ MODE = "MASTER", ZONE_ID = 0 ]`)}
	g.update(func(tx *state.Tx) error {
		for range n {
			tx.VMs.Insert(&vm.VM{
				Base:     resource.Base{ID: tx.NextID(state.VMIDs), UID: 99, GID: 99, Perms: resource.OwnerU | resource.OwnerM},
				Template: &template.Template{}, UserTemplate: &template.Template{}, State: vm.Hold,
			})
		}
		return nil
	})
	g.populate()
	costs := map[string]cost{}
	for _, m := range Methods() {
		for i, call := range growthCalls[m.Name] {
			once := func() cost {
				session := call.session
				if session == "" {
					session = root
				}
				params := call.params(g) // makes what the call needs
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				began := time.Now()
				a := g.call(session, m.Name, params...)
				took := time.Since(began)
				runtime.ReadMemStats(&after)
				if a.fault != nil || !a.ok {
					t.Fatalf("%s%v: %v", m.Name, params, a)
				}
				return cost{after.TotalAlloc - before.TotalAlloc, took}
			}
			once() // what is made once is made now
			const runs = 8
			sum := cost{time: time.Hour}
			for range runs {
				c := once()
				sum = cost{sum.bytes + c.bytes, min(sum.time, c.time)}
			}
			costs[fmt.Sprintf("%s/%d", m.Name, i)] = cost{sum.bytes / runs, sum.time}
		}
	}
	return costs
}

// grown is the cloud that is called, with objects to call about.
type grown struct {
	*testCloud
	serial                                                 int
	vm, image, net, ds, tmpl, doc, zone, user, group, host int // nobody deletes them
}

func (g *grown) populate() {
	g.host = g.newHost()
	g.group = g.must(root, "one.group.allocate", "g")
	g.user = g.newUser()
	g.ds = g.newDatastore()
	g.image = g.newImage()
	g.net = g.must(root, "one.vn.allocate", "NAME=n\nTYPE=RANGED\nBRIDGE=b\nNETWORK_ADDRESS=10.0.0.0\nNETWORK_SIZE=2000", -1)
	g.vm = g.running()
	g.tmpl, g.doc, g.zone = g.newTemplate(), g.newDocument(), g.newZone()
}

// name is one that nobody has.
func (g *grown) name() string {
	g.serial++
	return fmt.Sprintf("name-%d", g.serial)
}

func (g *grown) newHost() int {
	return g.must(root, "one.host.allocate", g.name(), "dummy", "dummy", "dummy", -1)
}
func (g *grown) newUser() int  { return g.must(root, "one.user.allocate", g.name(), "pw", "core") }
func (g *grown) newGroup() int { return g.must(root, "one.group.allocate", g.name()) }
func (g *grown) newDatastore() int {
	return g.must(root, "one.datastore.allocate", "NAME="+g.name()+"\nDS_MAD=dummy\nTM_MAD=dummy", -1)
}
func (g *grown) newCluster() int { return g.must(root, "one.cluster.allocate", g.name()) }
func (g *grown) newTemplate() int {
	return g.must(root, "one.template.allocate", "NAME="+g.name()+"\nCPU=1\nMEMORY=1")
}
func (g *grown) newDocument() int { return g.must(root, "one.document.allocate", "NAME="+g.name(), 1) }
func (g *grown) newZone() int {
	return g.must(root, "one.zone.allocate", "NAME="+g.name()+"\nENDPOINT=e")
}

// newNet is a network with a lease at 10.1.0.1.
func (g *grown) newNet() int {
	return g.must(root, "one.vn.allocate", "NAME="+g.name()+"\nTYPE=FIXED\nBRIDGE=b\nLEASES=[IP=10.1.0.1]", -1)
}

func (g *grown) newImage() int {
	id := g.must(root, "one.image.allocate", "NAME="+g.name()+"\nPATH=/p", 1)
	g.drive()
	return id
}

// pending is a VM that waits for its deployment.
func (g *grown) pending() int {
	return g.must(root, "one.vm.allocate", fmt.Sprintf("CPU=0.01\nMEMORY=1\nDISK=[IMAGE_ID=%d]\nNIC=[NETWORK_ID=%d]", g.image, g.net))
}

func (g *grown) deployed() int {
	id := g.pending()
	g.must(root, "one.vm.deploy", id, g.host)
	return id
}

func (g *grown) running() int {
	id := g.deployed()
	g.drive()
	return id
}

func (g *grown) withSnapshot() int {
	id := g.running()
	g.must(root, "one.vm.snapshotcreate", id, "")
	g.drive()
	return id
}

type growthCall struct {
	session string // root if empty
	params  func(*grown) []any
}

// growthCalls are the calls of each method.
var growthCalls = func() map[string][]growthCall {
	all := map[string][]growthCall{}
	as := func(session, method string, params func(*grown) []any) {
		all[method] = append(all[method], growthCall{session, params})
	}
	with := func(method string, params func(*grown) []any) { as("", method, params) }
	fixed := func(params ...any) func(*grown) []any { return func(*grown) []any { return params } }
	no := fixed()

	// What all kinds of objects have alike: the object that stays, and how to make one.
	type kind struct {
		name  string
		one   func(*grown) int
		fresh func(*grown) int
	}
	kinds := []kind{
		{"vm", func(g *grown) int { return g.vm }, (*grown).pending},
		{"template", func(g *grown) int { return g.tmpl }, (*grown).newTemplate},
		{"host", func(g *grown) int { return g.host }, (*grown).newHost},
		{"group", func(g *grown) int { return g.group }, (*grown).newGroup},
		{"vn", func(g *grown) int { return g.net }, (*grown).newNet},
		{"user", func(g *grown) int { return g.user }, (*grown).newUser},
		{"image", func(g *grown) int { return g.image }, (*grown).newImage},
		{"datastore", func(g *grown) int { return g.ds }, (*grown).newDatastore},
		{"cluster", func(*grown) int { return 100 }, (*grown).newCluster},
		{"document", func(g *grown) int { return g.doc }, (*grown).newDocument},
		{"zone", func(g *grown) int { return g.zone }, (*grown).newZone},
	}
	for _, k := range kinds {
		about := func(method string, params ...any) {
			with("one."+k.name+"."+method, func(g *grown) []any { return append([]any{k.one(g)}, params...) })
		}
		about("info")
		about("update", "A=1", 1)
		if k.name != "vm" {
			with("one."+k.name+".delete", func(g *grown) []any { return []any{k.fresh(g)} })
		}
		switch k.name {
		case "group", "user":
			about("quota", "VM=[VMS=-1,CPU=-1,MEMORY=-1,VOLATILE_SIZE=-1]")
			continue
		}
		with("one."+k.name+".rename", func(g *grown) []any { return []any{k.one(g), g.name()} })
		switch k.name {
		case "host", "cluster", "zone":
		default:
			about("chmod", 1, 1, -1, -1, -1, -1, -1, -1, -1)
			with("one."+k.name+".chown", func(g *grown) []any { return []any{k.fresh(g), g.user, 1} })
		}
		switch k.name {
		case "template", "image", "document":
			with("one."+k.name+".clone", func(g *grown) []any { return []any{k.one(g), g.name()} })
		}
	}

	with("one.vm.deploy", func(g *grown) []any { return []any{g.pending(), g.host} })
	with("one.vm.action", func(g *grown) []any { return []any{"reboot", g.vm} })
	with("one.vm.action", func(g *grown) []any { return []any{"delete", g.running()} })
	with("one.vm.action", func(g *grown) []any { return []any{"shutdown-hard", g.running()} })
	with("one.vm.migrate", func(g *grown) []any { return []any{g.running(), g.newHost(), true} })
	with("one.vm.savedisk", func(g *grown) []any { return []any{g.running(), 0, g.name(), ""} })
	as(alice, "one.vm.allocate", fixed("CPU=1\nMEMORY=1", true))
	with("one.vm.allocate", func(g *grown) []any {
		return []any{fmt.Sprintf("CPU=1\nMEMORY=1\nDISK=[IMAGE_ID=%d]\nNIC=[NETWORK_ID=%d]", g.image, g.net)}
	})
	with("one.vm.info", fixed(5))
	with("one.vm.monitoring", fixed(5))
	with("one.vm.attach", func(g *grown) []any { return []any{g.running(), "DISK=[TYPE=fs,SIZE=1]"} })
	with("one.vm.detach", func(g *grown) []any { return []any{g.running(), 0} })
	with("one.vm.attachnic", func(g *grown) []any { return []any{g.running(), fmt.Sprintf("NIC=[NETWORK_ID=%d]", g.net)} })
	with("one.vm.detachnic", func(g *grown) []any { return []any{g.running(), 0} })
	with("one.vm.resize", func(g *grown) []any { return []any{g.pending(), "CPU=2\nMEMORY=2", true} })
	with("one.vm.snapshotcreate", func(g *grown) []any { return []any{g.running(), "s"} })
	with("one.vm.snapshotrevert", func(g *grown) []any { return []any{g.withSnapshot(), 0} })
	with("one.vm.snapshotdelete", func(g *grown) []any { return []any{g.withSnapshot(), 0} })
	with("one.vm.recover", func(g *grown) []any {
		id := g.deployed()
		g.todo = nil
		return []any{id, true}
	})
	for _, filter := range [][]any{{-2, 0, -5, -1}, {-2, 5, 9, -1}} {
		with("one.vmpool.info", fixed(filter...))
	}
	as(alice, "one.vmpool.info", fixed(-3, -1, -1, -1))
	as(bob, "one.vmpool.info", fixed(-2, -1, -1, -1))
	as(bob, "one.vmpool.info", fixed(-1, -1, -1, -2))
	as(bob, "one.vmpool.accounting", fixed(-3, -1, -1))
	as(bob, "one.vmpool.monitoring", fixed(-3))

	with("one.template.instantiate", func(g *grown) []any { return []any{g.tmpl, ""} })
	with("one.template.allocate", func(g *grown) []any { return []any{"NAME=" + g.name()} })
	with("one.host.enable", func(g *grown) []any { return []any{g.host, true} })
	with("one.host.allocate", func(g *grown) []any { return []any{g.name(), "dummy", "dummy", "dummy", -1} })
	with("one.host.monitoring", func(g *grown) []any { return []any{g.host} })
	with("one.hostpool.monitoring", no)
	with("one.group.allocate", func(g *grown) []any { return []any{g.name()} })
	with("one.group.addprovider", func(g *grown) []any { return []any{g.newGroup(), 0, g.newCluster()} })
	with("one.group.delprovider", func(g *grown) []any {
		group, cluster := g.newGroup(), g.newCluster()
		g.must(root, "one.group.addprovider", group, 0, cluster)
		return []any{group, 0, cluster}
	})
	with("one.vn.addleases", func(g *grown) []any { return []any{g.newNet(), "LEASES=[IP=10.1.0.9]"} })
	with("one.vn.rmleases", func(g *grown) []any { return []any{g.newNet(), "LEASES=[IP=10.1.0.1]"} })
	with("one.vn.hold", func(g *grown) []any { return []any{g.newNet(), "LEASES=[IP=10.1.0.1]"} })
	with("one.vn.release", func(g *grown) []any {
		id := g.newNet()
		g.must(root, "one.vn.hold", id, "LEASES=[IP=10.1.0.1]")
		return []any{id, "LEASES=[IP=10.1.0.1]"}
	})
	with("one.vn.allocate", func(g *grown) []any {
		return []any{"NAME=" + g.name() + "\nTYPE=FIXED\nBRIDGE=b\nLEASES=[IP=10.1.0.1]", -1}
	})
	with("one.user.allocate", func(g *grown) []any { return []any{g.name(), "pw", "core"} })
	with("one.user.passwd", func(g *grown) []any { return []any{g.user, g.name()} })
	with("one.user.chgrp", func(g *grown) []any { return []any{g.newUser(), g.group} })
	with("one.user.addgroup", func(g *grown) []any { return []any{g.newUser(), g.group} })
	with("one.user.delgroup", func(g *grown) []any {
		id := g.newUser()
		g.must(root, "one.user.addgroup", id, g.group)
		return []any{id, g.group}
	})
	with("one.user.chauth", func(g *grown) []any { return []any{g.user, "core", g.name()} })
	for _, of := range []string{"user", "group"} {
		with("one."+of+"quota.info", no)
		with("one."+of+"quota.update", fixed("VM=[VMS=9,CPU=0,MEMORY=0,VOLATILE_SIZE=0]"))
	}
	with("one.image.persistent", func(g *grown) []any { return []any{g.newImage(), true} })
	with("one.image.enable", func(g *grown) []any { return []any{g.newImage(), false} })
	with("one.image.chtype", func(g *grown) []any { return []any{g.newImage(), "DATABLOCK"} })
	with("one.image.allocate", func(g *grown) []any { return []any{"NAME=" + g.name() + "\nPATH=/p", 1} })
	rule := func(g *grown) []any {
		return []any{fmt.Sprintf("%x", 0x100000000+g.newUser()), "1400000000", "1"}
	}
	with("one.acl.addrule", rule)
	with("one.acl.delrule", func(g *grown) []any { return []any{g.must(root, "one.acl.addrule", rule(g)...)} })
	with("one.acl.info", no)
	with("one.datastore.allocate", func(g *grown) []any { return []any{"NAME=" + g.name() + "\nDS_MAD=dummy\nTM_MAD=dummy", -1} })
	with("one.cluster.allocate", func(g *grown) []any { return []any{g.name()} })
	for method, fresh := range map[string]func(*grown) int{"host": (*grown).newHost, "datastore": (*grown).newDatastore, "vnet": (*grown).newNet} {
		with("one.cluster.add"+method, func(g *grown) []any { return []any{100, fresh(g)} })
		with("one.cluster.del"+method, func(g *grown) []any {
			id := fresh(g)
			g.must(root, "one.cluster.add"+method, 100, id)
			return []any{100, id}
		})
	}
	with("one.document.allocate", func(g *grown) []any { return []any{"NAME=" + g.name(), 1} })
	with("one.zone.allocate", func(g *grown) []any { return []any{"NAME=" + g.name() + "\nENDPOINT=e"} })
	for _, pool := range []string{"host", "group", "user", "datastore", "cluster", "zone"} {
		with("one."+pool+"pool.info", no)
	}
	for _, pool := range []string{"template", "vn", "image"} {
		with("one."+pool+"pool.info", fixed(-2, -1, -1))
	}
	with("one.documentpool.info", fixed(-2, -1, -1, 1))
	with("one.system.version", no)
	with("one.system.config", no)
	return all
}()
