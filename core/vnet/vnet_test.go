package vnet

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"goned/core/resource"
	"goned/core/template"
)

func baseOf(id int) resource.Base {
	return resource.Base{ID: id, UName: "oneadmin", GName: "oneadmin", Name: "net", Perms: 0o600}
}

func mustNew(t testing.TB, text string) *VNet {
	t.Helper()
	tmpl, err := template.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	n, skipped, err := New(baseOf(7), -1, "", tmpl, Defaults{Size: 254, MACPrefix: 0x0200})
	if err != nil {
		t.Fatal(err)
	}
	if len(skipped) > 0 {
		t.Fatal(skipped)
	}
	return n
}

func TestDerivedAddresses(t *testing.T) {
	n := mustNew(t, "TYPE=FIXED\nBRIDGE=b\nGLOBAL_PREFIX=\"2001:a::\"\nLEASES=[IP=192.168.1.5]\nLEASES=[IP=172.16.0.9,MAC=52:ab:20:20:20:20]")
	tests := []struct {
		name string
		ip   string
		want Addresses
	}{
		{"prefix of the configuration", "192.168.1.5",
			Addresses{IP: "192.168.1.5", MAC: "02:00:c0:a8:01:05", Link: "fe80::400:c0ff:fea8:105", Global: "2001:a::400:c0ff:fea8:105"}},
		{"own MAC, 0x0200 is added", "172.16.0.9",
			Addresses{IP: "172.16.0.9", MAC: "52:ab:20:20:20:20", Link: "fe80::54ab:20ff:fe20:2020", Global: "2001:a::54ab:20ff:fe20:2020"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ip, _ := ParseIP(tt.ip)
			l, ok := n.Lookup(ip)
			if got := n.Addresses(l); !ok || got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestRangedSelection(t *testing.T) {
	n := mustNew(t, "TYPE=RANGED\nBRIDGE=b\nIP_START=10.0.0.1\nIP_END=10.0.0.3")
	var got []string
	take := func(vid int) {
		l, ok := n.Take(vid)
		if !ok {
			got = append(got, "none")
			return
		}
		got = append(got, l.IP.String())
	}
	take(1)
	take(2)
	if !n.Release(2, n.Start+1) {
		t.Error("lease of 2 not released")
	}
	take(3) // the one just released
	take(4)
	n.Release(1, n.Start)
	take(5) // around the end
	take(6)
	want := []string{"10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.1", "none"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFixedSelection(t *testing.T) {
	n := mustNew(t, "TYPE=FIXED\nBRIDGE=b\nLEASES=[IP=10.0.0.3]\nLEASES=[IP=10.0.0.1]\nLEASES=[IP=10.0.0.2]")
	a, _ := n.Take(1)
	n.Release(1, a.IP)
	b, _ := n.Take(1) // not the one just released, but the next
	if a.IP.String() != "10.0.0.1" || b.IP.String() != "10.0.0.2" {
		t.Errorf("got %s and %s", a.IP, b.IP)
	}
	if _, ok := n.TakeIP(2, b.IP); ok {
		t.Error("a used lease was given again")
	}
	if n.Release(2, b.IP) {
		t.Error("a lease was released by another VM")
	}
}

func TestRemovedHeldLeaseIsNotUsed(t *testing.T) {
	n := mustNew(t, "TYPE=FIXED\nBRIDGE=b\nLEASES=[IP=10.0.0.1]")
	lease, err := template.Parse("LEASES=[IP=10.0.0.1]")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.HoldLeases(lease); err != nil {
		t.Fatal(err)
	}
	if n.Used() != 1 {
		t.Errorf("used %d, want 1", n.Used())
	}
	if err := n.RemoveLeases(lease); err != nil {
		t.Fatal(err)
	}
	if n.Used() != 0 {
		t.Errorf("used %d, want 0", n.Used())
	}
}

// TestAppendedAttributesTakeEffect is where we differ from 4.6 on purpose.
func TestAppendedAttributesTakeEffect(t *testing.T) {
	n := mustNew(t, "TYPE=RANGED\nBRIDGE=b\nNETWORK_ADDRESS=10.0.0.0/24")
	more, _ := template.Parse("PHYDEV=eth1\nBRIDGE=c")
	merged := n.Template.Clone()
	merged.Merge(more)
	n.SetTemplate(merged)
	if n.PhyDev != "eth1" || n.Bridge != "c" || !n.VLAN || n.Template.Get("VLAN") != "YES" {
		t.Errorf("PHYDEV %q BRIDGE %q VLAN %v", n.PhyDev, n.Bridge, n.VLAN)
	}
}

func TestBridgeOfDevice(t *testing.T) {
	for want, text := range map[string]string{
		"onebr.9": "TYPE=FIXED\nPHYDEV=eth0\nVLAN_ID=9",
		"onebr7":  "TYPE=FIXED\nPHYDEV=eth0",
	} {
		if n := mustNew(t, text); n.Bridge != want || n.Template.Get("BRIDGE") != want {
			t.Errorf("bridge %q, want %q", n.Bridge, want)
		}
	}
}

func TestParseAddresses(t *testing.T) {
	for _, bad := range []string{"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.x", "1..2.3", "-1.2.3.4", "99999999999999999999.1.1.1"} {
		if ip, ok := ParseIP(bad); ok {
			t.Errorf("ParseIP(%q) = %s", bad, ip)
		}
	}
	for _, bad := range []string{"", "02:00:00:00:00", "02:00:00:00:00:00:00", "02:00:00:00:00:gg", "02:00:00:00:00:100"} {
		if m, ok := ParseMAC(bad); ok {
			t.Errorf("ParseMAC(%q) = %s", bad, m)
		}
	}
	if p, ok := ParseMACPrefix("02:00"); !ok || p != 0x0200 {
		t.Errorf("ParseMACPrefix = %x, %v", p, ok)
	}
}

func TestParseRefuses(t *testing.T) {
	whole := string(mustNew(t, "TYPE=RANGED\nBRIDGE=b\nNETWORK_ADDRESS=10.0.0.0/24").PoolXML())
	if _, err := Parse(whole); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ID", "BRIDGE", "TYPE", "CLUSTER", "RANGE", "TEMPLATE", "TOTAL_LEASES"} {
		if _, err := Parse(removeElement(whole, name)); err == nil {
			t.Errorf("a body without %s was read", name)
		}
	}
	for _, name := range []string{"PHYDEV", "VLAN_ID", "GLOBAL_PREFIX", "SITE_PREFIX"} {
		if _, err := Parse(removeElement(whole, name)); err != nil {
			t.Errorf("a body without %s: %v", name, err)
		}
	}
}

// TestLeasesHaveOneOwner does arbitrary things with a network and compares with a plain map of who has what.
func TestLeasesHaveOneOwner(t *testing.T) {
	texts := []string{
		"TYPE=RANGED\nBRIDGE=b\nIP_START=10.0.0.1\nIP_END=10.0.0.6",
		"TYPE=FIXED\nBRIDGE=b\nLEASES=[IP=10.0.0.1]\nLEASES=[IP=10.0.0.3]\nLEASES=[IP=10.0.0.4]\nLEASES=[IP=10.0.0.6]",
	}
	rapid.Check(t, func(r *rapid.T) {
		n := mustNew(t, rapid.SampledFrom(texts).Draw(r, "network"))
		owner := map[IP]int{}
		base, _ := ParseIP("10.0.0.0")
		address := func() IP { return base + IP(rapid.IntRange(0, 8).Draw(r, "address")) }
		vm := func() int { return rapid.IntRange(0, 3).Draw(r, "vm") }
		r.Repeat(map[string]func(*rapid.T){
			"take": func(r *rapid.T) {
				vid := vm()
				l, ok := n.Take(vid)
				if !ok {
					if len(owner) < sizeOf(n) {
						r.Fatal("no lease although one is free")
					}
					return
				}
				grant(r, n, owner, l, vid)
			},
			"take address": func(r *rapid.T) {
				vid, ip := vm(), address()
				if l, ok := n.TakeIP(vid, ip); ok {
					grant(r, n, owner, l, vid)
				}
			},
			"hold": func(r *rapid.T) {
				ip := address()
				if n.HoldLeases(describe(ip)) == nil {
					l, _ := n.Lookup(ip)
					grant(r, n, owner, l, Held)
				}
			},
			"release": func(r *rapid.T) {
				vid, ip := vm(), address()
				had, used := owner[ip]
				if got, want := n.Release(vid, ip), used && had == vid; got != want {
					r.Fatalf("release of %s by %d: %v, want %v", ip, vid, got, want)
				} else if got {
					delete(owner, ip)
				}
			},
			"release held": func(r *rapid.T) {
				ip := address()
				had, used := owner[ip]
				if got, want := n.ReleaseLeases(describe(ip)) == nil, used && had == Held; got != want {
					r.Fatalf("release of held %s: %v, want %v", ip, got, want)
				} else if got {
					delete(owner, ip)
				}
			},
			"clone": func(*rapid.T) { n = n.Clone() },
			"reload": func(r *rapid.T) {
				again, err := Parse(string(n.PoolXML()))
				if err != nil {
					r.Fatal(err)
				}
				again.SetMACPrefix(n.macPrefix)
				for _, l := range slices.Backward(slices.Collect(n.Leases())) {
					again.LoadLease(l)
				}
				n = again
			},
			"": func(r *rapid.T) {
				if n.Used() != len(owner) {
					r.Fatalf("%d used, want %d", n.Used(), len(owner))
				}
				for ip, vid := range owner {
					if l, ok := n.Lookup(ip); !ok || !l.Used || l.VID != vid {
						r.Fatalf("%s has %+v, want owner %d", ip, l, vid)
					}
				}
				if !slices.IsSortedFunc(slices.Collect(n.Leases()), func(a, b Lease) int { return int(a.IP) - int(b.IP) }) {
					r.Fatal("leases out of order")
				}
			},
		})
	})
}

func grant(r *rapid.T, n *VNet, owner map[IP]int, l Lease, vid int) {
	if had, used := owner[l.IP]; used {
		r.Fatalf("%s was given to %d although %d has it", l.IP, vid, had)
	}
	if !n.Has(l.IP) || !l.Used || l.VID != vid {
		r.Fatalf("bad lease %+v for %d", l, vid)
	}
	owner[l.IP] = vid
}

func sizeOf(n *VNet) int {
	if n.Type == Fixed {
		return n.leases.n
	}
	return int(n.End-n.Start) + 1
}

func describe(ip IP) *template.Template {
	t := &template.Template{}
	t.AddVector("LEASES", template.NewVector(template.Pair{Key: "IP", Value: ip.String()}))
	return t
}

// TestLeaseChanges makes one network's rows of another's by what LeaseChanges says.
func TestLeaseChanges(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		draw := func(name string) []Lease {
			return rapid.SliceOf(rapid.Custom(func(r *rapid.T) Lease {
				return Lease{IP: IP(rapid.IntRange(1, 9).Draw(r, "ip")), Used: rapid.Bool().Draw(r, "used")}
			})).Draw(r, name)
		}
		old, now := &VNet{}, &VNet{}
		for _, l := range draw("old") {
			old.LoadLease(l)
		}
		for _, l := range draw("new") {
			now.LoadLease(l)
		}
		rows := map[IP]Lease{}
		for l := range old.Leases() {
			rows[l.IP] = l
		}
		put, gone := now.LeaseChanges(old)
		for _, ip := range gone {
			delete(rows, ip)
		}
		for _, l := range put {
			if rows[l.IP] == l {
				r.Fatalf("%s is written without need", l.IP)
			}
			rows[l.IP] = l
		}
		if len(rows) != now.leases.n {
			r.Fatalf("%d rows, want %d", len(rows), now.leases.n)
		}
		for l := range now.Leases() {
			if rows[l.IP] != l {
				r.Fatalf("row %+v, want %+v", rows[l.IP], l)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(string(mustNew(f, "TYPE=RANGED\nBRIDGE=b\nNETWORK_ADDRESS=10.0.0.0/24").PoolXML()))
	f.Add(string(mustNew(f, "TYPE=FIXED\nBRIDGE=b\nLEASES=[IP=10.0.0.1]").PoolXML()))
	f.Fuzz(func(t *testing.T, body string) {
		n, err := Parse(body)
		if err != nil {
			return
		}
		again, err := Parse(string(n.PoolXML()))
		if err != nil {
			t.Fatalf("written body does not read: %v", err)
		}
		if string(again.PoolXML()) != string(n.PoolXML()) {
			t.Errorf("got %s\nwant %s", again.PoolXML(), n.PoolXML())
		}
	})
}

// FuzzNew looks for templates that make a network which hands out addresses outside of its range.
func FuzzNew(f *testing.F) {
	f.Add("TYPE=RANGED\nBRIDGE=b\nNETWORK_ADDRESS=10.0.0.0/24\nIP_START=10.0.0.4")
	f.Add("TYPE=RANGED\nBRIDGE=b\nNETWORK_ADDRESS=0.0.0.0\nNETWORK_SIZE=-1")
	f.Add("TYPE=RANGED\nBRIDGE=b\nMAC_START=02:00:ff:ff:ff:f0\nNETWORK_SIZE=15")
	f.Fuzz(func(t *testing.T, text string) {
		tmpl, err := template.Parse(text)
		if err != nil {
			return
		}
		n, _, err := New(baseOf(0), -1, "", tmpl, Defaults{Size: 254})
		if err != nil {
			return
		}
		if n.Type == Ranged && n.Start > n.End {
			t.Fatalf("range %s to %s", n.Start, n.End)
		}
		if l, ok := n.Take(1); ok && !n.Has(l.IP) {
			t.Fatalf("%s is not in the network", l.IP)
		}
	})
}
