package vnet

import (
	"strconv"
	"strings"
	"testing"

	"goned/core/internal/golden"
	"goned/core/template"
)

func TestStoredNetworksSurvive(t *testing.T) {
	leases := map[string][]Lease{}
	golden.Rows(t, "SELECT oid, ip, body FROM leases", func(path string, c []string) {
		l, err := ParseLease(c[2])
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if got := string(l.Row()); got != c[2] {
			t.Errorf("%s: got %s, want %s", path, got, c[2])
		}
		if got := strconv.Itoa(int(l.IP)); got != c[1] {
			t.Errorf("%s: key %s, want %s", path, got, c[1])
		}
		leases[path+c[0]] = append(leases[path+c[0]], l)
	})
	n := 0
	golden.Rows(t, "SELECT oid, body FROM network_pool", func(path string, c []string) {
		n++
		v, err := Parse(c[1])
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		for _, l := range leases[path+c[0]] {
			v.LoadLease(l)
		}
		if got := string(v.PoolXML()); got != c[1] {
			t.Errorf("%s:\n got %s\nwant %s", path, got, c[1])
		}
	})
	if n == 0 || len(leases) == 0 {
		t.Error("no networks or leases")
	}
}

var recorded = Defaults{Size: 254, MACPrefix: 0x0200}

// TestRecordedNetworks does the recorded calls on networks and compares documents and error texts.
func TestRecordedNetworks(t *testing.T) {
	for _, s := range golden.Read(t, golden.Dir(t)+"/vnet.json") {
		t.Run(s.Name, func(t *testing.T) {
			nets := map[int]*VNet{}
			compared := 0
			for i := range s.Steps {
				step := &s.Steps[i]
				if strings.HasPrefix(step.Call, "one.vm.") {
					break // leases of VMs: the rest is not the network's alone
				}
				if replay(t, nets, step) {
					compared++
				}
			}
			t.Logf("%d steps compared", compared)
		})
	}
}

func replay(t *testing.T, nets map[int]*VNet, s *golden.Step) bool {
	t.Helper()
	n := nets[s.Int(0)]
	switch s.Call {
	case "one.vn.allocate":
		return replayAllocate(t, nets, s)
	case "one.vn.info":
		if n == nil || !s.OK() {
			return false
		}
		want, err := Parse(s.Answer())
		if err != nil {
			t.Errorf("%v", err)
			return false
		}
		n.Base, n.ClusterID, n.Cluster = want.Base, want.ClusterID, want.Cluster
		if got := string(n.InfoXML()); got != s.Answer() {
			t.Errorf("step %s %v:\n got %s\nwant %s", s.Call, s.Params, got, s.Answer())
		}
		return true
	case "one.vn.addleases", "one.vn.rmleases", "one.vn.hold", "one.vn.release", "one.vn.update":
		return replayChange(t, n, s)
	case "one.vn.delete":
		if s.OK() {
			delete(nets, s.Int(0))
		}
	}
	return false
}

func replayAllocate(t *testing.T, nets map[int]*VNet, s *golden.Step) bool {
	t.Helper()
	tmpl, err := template.Parse(s.Text(0))
	if err != nil {
		return false // the template's own affair
	}
	_, want, _ := strings.Cut(s.Answer(), "Error allocating a new virtual network. ")
	if strings.Contains(want, "NAME") || !s.OK() && want == "" || strings.Contains(want, "transforming") {
		return false // refused before the network is made
	}
	id := s.ID()
	n, _, err := New(baseOf(id), -1, "", tmpl, recorded)
	switch {
	case s.OK() && err != nil:
		t.Errorf("%s: %v", s.Text(0), err)
	case s.OK():
		nets[id] = n
	case err == nil || err.Error() != want:
		t.Errorf("%s: error %v, want %s", s.Text(0), err, want)
	}
	return true
}

func replayChange(t *testing.T, n *VNet, s *golden.Step) bool {
	t.Helper()
	tmpl, err := template.Parse(s.Text(1))
	if err != nil || n == nil {
		return false
	}
	if s.Call == "one.vn.update" {
		if !s.OK() {
			return false
		}
		if s.Int(2) == 1 {
			merged := n.Template.Clone()
			merged.Merge(tmpl)
			tmpl = merged
		}
		n.SetTemplate(tmpl)
		return true
	}
	_, want, refused := strings.Cut(s.Answer(), "Error modifying network leases. ")
	if !s.OK() && !refused {
		return false
	}
	change := map[string]func(*template.Template) error{
		"one.vn.addleases": n.AddLeases, "one.vn.rmleases": n.RemoveLeases, "one.vn.hold": n.HoldLeases,
		"one.vn.release": n.ReleaseLeases,
	}[s.Call]
	got := ""
	if err := change(tmpl); err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%s %s: error %q, want %q", s.Call, s.Text(1), got, want)
	}
	return true
}
