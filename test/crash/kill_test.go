package crash

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"goned/core/cluster"
	"goned/core/datastore"
	"goned/core/db"
	"goned/core/group"
	"goned/core/host"
	"goned/core/image"
	"goned/core/quota"
	"goned/core/state"
	"goned/core/template"
	"goned/core/template/xmldoc"
	"goned/core/user"
	"goned/core/vm"
	"goned/core/vnet"
	"goned/test/audit"
)

var (
	flagKills = flag.Int("crash.kills", 4, "how often to kill the daemon")
	flagSeed  = flag.Uint64("crash.seed", 1, "seed of what the load does and of the moments")
)

// TestKill kills the daemon at random moments under load. `make crash` does it 500 times.
func TestKill(t *testing.T) {
	c := newCloud(t, driverConf("unsteady"))
	removeLock(c)
	c.start()
	workers := populate(c)
	r := rand.New(rand.NewPCG(*flagSeed, 0))
	confirmed, recovered := 0, 0
	for n := range *flagKills {
		work(c, workers, time.Duration(50+r.IntN(500))*time.Millisecond)
		for r.IntN(5) == 0 { // a daemon that has hardly begun
			removeLock(c)
			c.launch()
			time.Sleep(time.Duration(r.IntN(200)) * time.Millisecond)
			c.kill()
		}
		vms := checkDatabase(t, c, n, workers)
		removeLock(c)
		c.start()
		recovered += settle(c, r)
		if problems := books(c).Check(); len(problems) > 0 {
			t.Fatalf("kill %d: what the API shows:\n%s", n, strings.Join(problems, "\n"))
		}
		for _, w := range workers {
			w.forget()
			confirmed += w.calls
			w.calls = 0
		}
		sweep(c, workers)
		if n%25 == 24 {
			t.Logf("%d kills, %d calls, %d recoveries, %d VMs", n+1, confirmed, recovered, vms)
		}
	}
	end(c)
	t.Logf("%d kills, %d calls, %d recoveries", *flagKills, confirmed, recovered)
}

// removeLock removes what a killed daemon leaves behind.
func removeLock(c *cloud) { _ = os.Remove(filepath.Join(c.dir, "var", ".lock")) }

// populate makes what the load works on, and the workers.
func populate(c *cloud) []*worker {
	for _, name := range []string{"host-0", "host-1"} {
		c.id("one.host.allocate", name, "dummy", "dummy", "dummy", -1)
	}
	c.root("one.datastore.update", 0, "TM_MAD = dummy", 1)
	c.root("one.datastore.update", 1, "TM_MAD = dummy\nDS_MAD = dummy\nDATASTORE_CAPACITY_CHECK = NO", 1)
	c.root("one.datastore.chmod", 1, 1, 1, 0, 1, 0, 0, 1, 0, 0)
	for i := range 3 {
		c.id("one.image.allocate", fmt.Sprintf("NAME = base-%d\nSOURCE = /base\nSIZE = 10", i), 1)
		c.root("one.image.chmod", i, 1, 1, 0, 1, 0, 0, 1, 0, 0)
	}
	c.id("one.vn.allocate", "NAME = base\nBRIDGE = br0\nTYPE = RANGED\nIP_START = 10.0.0.1\nIP_END = 10.0.3.254", -1)
	c.root("one.vn.chmod", 0, 1, 1, 0, 1, 0, 0, 1, 0, 0)
	var workers []*worker
	for i := range 6 {
		name := "user" + strconv.Itoa(i)
		c.id("one.user.allocate", name, "pw", "core")
		c.root("one.user.quota", 2+i, "VM = [ VMS = 50, CPU = -1, MEMORY = -1, VOLATILE_SIZE = 0 ]")
		workers = append(workers, &worker{c: c, session: name + ":pw", number: i, rand: rand.New(rand.NewPCG(*flagSeed, uint64(i+1)))})
	}
	return workers
}

// checkDatabase looks at the database of a dead daemon: a copy, so that the next daemon finds what the crash left. It gives the
// number of VMs that there have ever been.
func checkDatabase(t *testing.T, c *cloud, n int, workers []*worker) (vms int) {
	t.Helper()
	dir := t.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(filepath.Join(c.dir, "var", "one.db"+suffix))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err == nil {
			must(t, os.WriteFile(filepath.Join(dir, "one.db"+suffix), data, 0o600))
		}
	}
	ctx := context.Background()
	d, err := db.Open(ctx, db.Config{Path: filepath.Join(dir, "one.db")}, slog.New(slog.DiscardHandler))
	must(t, err)
	defer d.Close()
	s, err := state.Load(ctx, d, 0x0200)
	must(t, err)
	if problems := audit.Of(s).Check(); len(problems) > 0 {
		t.Fatalf("kill %d: the database:\n%s", n, strings.Join(problems, "\n"))
	}
	if problems := broken(s, workers); len(problems) > 0 {
		t.Fatalf("kill %d: promises that are broken:\n%s", n, strings.Join(problems, "\n"))
	}
	must(t, os.RemoveAll(dir))
	return s.VMs.Len()
}

// broken lists the promises that were not kept.
func broken(s *state.Snapshot, workers []*worker) []string {
	var problems []string
	for _, w := range workers {
		for _, o := range w.objects {
			if text := o.broken(s); text != "" {
				problems = append(problems, fmt.Sprintf("%s %d %s: %s", o.kind.api, o.id, o.name, text))
			}
		}
		if q := s.UserQuotas.Get(2 + w.number); q == nil || !strings.Contains(string(q.PoolXML()), "<VMS><![CDATA[50]]></VMS>") {
			problems = append(problems, fmt.Sprintf("user %d has no limit", 2+w.number))
		}
	}
	return problems
}

// broken says what is wrong with an object, "" for nothing.
func (o *object) broken(s *state.Snapshot) string {
	var exists, over bool
	var name string
	var body *template.Template
	switch o.kind.api {
	case "vm":
		v := s.VMs.Get(o.id)
		if exists = v != nil; exists {
			name, body, over = v.Name, v.UserTemplate, v.State == vm.Done
		}
	case "image":
		i := s.Images.Get(o.id)
		if exists = i != nil; exists {
			name, body, over = i.Name, i.Template, i.State == image.Delete
		}
	case "vn":
		n := s.Nets.Get(o.id)
		if exists = n != nil; exists {
			name, body = n.Name, n.Template
			if text := o.leases(n); text != "" {
				return text
			}
		}
	case "template":
		t := s.Templates.Get(o.id)
		if exists = t != nil; exists {
			name, body = t.Name, t.Template
		}
	}
	switch {
	case o.gone && exists && !over:
		return "was deleted and is there"
	case o.gone:
		return ""
	case o.deleting && !exists:
		return ""
	case !exists:
		return "is not there"
	case name != o.name:
		return "is called " + name
	}
	serial, _ := strconv.Atoi(body.Get("SERIAL"))
	if o.copied && o.serial == 0 {
		return ""
	}
	if serial < o.serial || serial > o.trying {
		return fmt.Sprintf("has serial %d, not %d to %d", serial, o.serial, o.trying)
	}
	return ""
}

func (o *object) leases(n *vnet.VNet) string {
	for i, held := range o.held {
		ip, _ := vnet.ParseIP(fmt.Sprintf("10.1.0.%d", i))
		if l, _ := n.Lookup(ip); l.Used != held {
			return fmt.Sprintf("%s is held %v, not %v", ip, l.Used, held)
		}
	}
	return ""
}

// settle brings all VMs to rest: first they may do so by themselves, then they are recovered. It gives the number of those.
func settle(c *cloud, r *rand.Rand) (recovered int) {
	c.t.Helper()
	transient := func() (ids []int) {
		for _, text := range elements(c.document("one.vmpool.info", -2, -1, -1, 3), "VM") {
			v, err := vm.Parse(text)
			must(c.t, err)
			if v.LCMState != vm.Running && v.LCMState != vm.Unknown {
				ids = append(ids, v.ID)
			}
		}
		return ids
	}
	end := time.Now().Add(answerLimit)
	patience := time.Now().Add(150 * time.Millisecond)
	for ids := transient(); len(ids) > 0; ids = transient() {
		if time.Now().Before(patience) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if time.Now().After(end) {
			v, _ := vm.Parse(c.document("one.vm.info", ids[0]))
			c.t.Fatalf("VM %d does not come to rest: it is %s", ids[0], v.LCMState)
		}
		for _, id := range ids {
			// It may have come to rest meanwhile.
			if _, err := c.call("oneadmin:opennebula", "one.vm.recover", id, r.IntN(2) == 0); unclear(err) {
				c.t.Fatal(err)
			} else if err == nil {
				recovered++
			}
		}
		patience = time.Now().Add(100 * time.Millisecond)
	}
	return recovered
}

// sweep removes the VMs of which nobody knows: they were made, or are still there, because an answer got lost. Otherwise the users
// reach their quotas after some hundred kills, and there is little load on what VMs do.
func sweep(c *cloud, workers []*worker) {
	c.t.Helper()
	known := map[int]bool{}
	for _, w := range workers {
		for _, o := range w.objects {
			known[o.id] = known[o.id] || o.kind.api == "vm"
		}
	}
	for _, v := range parsed(c.t, c.document("one.vmpool.info", -2, -1, -1, -1), "VM", vm.Parse) {
		if !known[v.ID] {
			c.root("one.vm.action", "delete", v.ID)
		}
	}
}

// elements cuts the documents of a kind out of a listing.
func elements(listing, name string) []string {
	var all []string
	for {
		from := strings.Index(listing, "<"+name+"><ID>")
		if from < 0 {
			return all
		}
		to := from + strings.Index(listing[from:], "</"+name+">") + len(name) + 3
		all = append(all, listing[from:to])
		listing = listing[to:]
	}
}

func parsed[T any](t *testing.T, listing, name string, parse func(string) (T, error)) []T {
	t.Helper()
	var all []T
	for _, text := range elements(listing, name) {
		x, err := parse(text)
		must(t, err)
		all = append(all, x)
	}
	return all
}

// books is the cloud as the API shows it, VMs that are done apart. All drivers have to be at rest.
func books(c *cloud) *audit.Cloud {
	c.t.Helper()
	a := &audit.Cloud{}
	t := c.t
	for _, v := range parsed(t, c.document("one.vmpool.info", -2, -1, -1, -1), "VM", vm.Parse) {
		full, err := vm.Parse(c.document("one.vm.info", v.ID))
		must(t, err)
		a.VMs = append(a.VMs, full)
	}
	a.Hosts = parsed(t, c.document("one.hostpool.info"), "HOST", host.Parse)
	a.Images = parsed(t, c.document("one.imagepool.info", -2, -1, -1), "IMAGE", image.Parse)
	a.Datastores = parsed(t, c.document("one.datastorepool.info"), "DATASTORE", datastore.Parse)
	a.Clusters = parsed(t, c.document("one.clusterpool.info"), "CLUSTER", cluster.Parse)
	users, groups := c.document("one.userpool.info"), c.document("one.grouppool.info")
	a.Users = parsed(t, users, "USER", user.Parse)
	a.Groups = parsed(t, groups, "GROUP", group.Parse)
	account := func(ofGroup bool) func(string) (*quota.Account, error) {
		return func(text string) (*quota.Account, error) { return quota.ParseAccount(text, ofGroup) }
	}
	a.UserQuotas = parsed(t, users, "QUOTAS", account(false))
	a.GroupQuotas = parsed(t, groups, "QUOTAS", account(true))
	for _, n := range parsed(t, c.document("one.vnpool.info", -2, -1, -1), "VNET", vnet.Parse) {
		doc, err := xmldoc.Parse(c.document("one.vn.info", n.ID))
		must(t, err)
		for _, l := range doc.Child("LEASES").All("LEASE") {
			ip, _ := vnet.ParseIP(l.ChildText("IP"))
			used, _ := l.Int("USED")
			vid, _ := l.Int("VID")
			n.LoadLease(vnet.Lease{IP: ip, Used: used == 1, VID: int(vid)})
		}
		a.Nets = append(a.Nets, n)
	}
	return a
}

// end deletes everything: nothing may be left that holds something else.
func end(c *cloud) {
	t := c.t
	t.Helper()
	a := books(c)
	for _, v := range a.VMs {
		c.root("one.vm.action", "delete", v.ID)
	}
	deadline := time.Now().Add(answerLimit)
	for again := true; again; {
		again = false
		images := books(c).Images
		for i := len(images) - 1; i >= 0; i-- {
			if images[i].State != image.Delete {
				_, err := c.call("oneadmin:opennebula", "one.image.delete", images[i].ID)
				again = again || err != nil
			}
		}
		if again && time.Now().After(deadline) {
			t.Fatalf("images cannot be deleted: %v", images)
		}
	}
	for _, n := range a.Nets {
		for l := range n.Leases() {
			if l.VID == vnet.Held && l.Used {
				c.root("one.vn.release", n.ID, fmt.Sprintf("LEASES = [ IP = %s ]", l.IP))
			}
		}
		c.root("one.vn.delete", n.ID)
	}
	for _, h := range a.Hosts {
		c.root("one.host.delete", h.ID)
	}
	if problems := books(c).Check(); len(problems) > 0 {
		t.Fatalf("after everything was deleted:\n%s", strings.Join(problems, "\n"))
	}
}
