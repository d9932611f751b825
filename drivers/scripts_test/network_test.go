package scriptstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNetwork(t *testing.T) {
	const nic0 = "<NIC_ID>0</NIC_ID><NETWORK_ID>1</NETWORK_ID><BRIDGE>br1</BRIDGE><PHYDEV>eth0</PHYDEV><MAC>02:00:0a:00:00:01</MAC><IP>10.0.0.1</IP>"
	vm := func(nics ...string) string {
		doc := "<VM><ID>5</ID><DEPLOY_ID>one-5</DEPLOY_ID>"
		for _, nic := range nics {
			doc += "<TEMPLATE><NIC>" + nic + "</NIC></TEMPLATE>"
		}
		return b64(doc + "</VM>")
	}
	const other = "<NIC_ID>1</NIC_ID><NETWORK_ID>2</NETWORK_ID><BRIDGE>br1</BRIDGE><MAC>02:00:0a:00:00:02</MAC><IP>10.0.0.2</IP>"
	filtered := nic0 + "<WHITE_PORTS_TCP>22, 80:90</WHITE_PORTS_TCP><BLACK_PORTS_UDP>53</BLACK_PORTS_UDP><ICMP>drop</ICMP>"
	tagged := nic0 + "<VLAN>YES</VLAN>"
	xen := []answer{
		{Call: "sudo xm domid one-5", Stdout: "7\n"},
		{Call: "sudo xm network-list one-5", Stdout: "Idx BE     MAC Addr.     handle state\n0   0  02:00:0a:00:00:01     0     4\n1   0  02:00:0a:00:00:02     1     4\n"},
		{Call: "sudo ovs-ofctl dump-ports", Stdout: "OFPST_PORT reply (xid=0x2): 1 ports\n  port  3: rx pkts=0\n"},
		{Call: "sudo ovs-ofctl dump-flows", Stdout: "NXST_FLOW reply (xid=0x4):\n cookie=0x0, duration=1s, table=0, n_packets=0, priority=45000,arp,in_port=3,dl_src=02:00:0a:00:00:01 actions=drop\n cookie=0x0, duration=1s, table=0, priority=39000,in_port=4 actions=drop\n"},
		{Call: "sudo ebtables -L FORWARD", Stdout: "Bridge table: filter\n\nBridge chain: FORWARD, entries: 3, policy: ACCEPT\n-s ! 2:0:a:0:0:0/ff:ff:ff:ff:ff:0 -o vif7.0 -j DROP \n-s ! 2:0:a:0:0:1 -i vif7.0 -j DROP \n-s ! 2:0:a:0:0:2 -i vif7.01 -j DROP \n"},
	}
	chain := []answer{
		{Call: "sudo iptables -nL", Stdout: "Chain FORWARD (policy ACCEPT)\nChain one-5-1 (1 references)\n"},
		{Call: "sudo iptables -n -v --line-numbers -L FORWARD", Stdout: "Chain FORWARD (policy ACCEPT)\nnum   pkts bytes target\n1 0 0 one-5-10 all -- * *\n2 0 0 one-5-1 all -- * *\n"},
	}
	const rules = "-P FORWARD ACCEPT\n-A FORWARD -m physdev --physdev-out vif7.0 --physdev-is-bridged -j one-5-1\n"
	chain = append(chain, answer{Call: "sudo iptables -S FORWARD", Stdout: rules})
	shared := []answer{{Call: "sudo iptables -n -v --line-numbers -L FORWARD", Stdout: "Chain FORWARD (policy ACCEPT)\nnum   pkts bytes target\n" +
		"1 0 0 one-5-1 all -- * * 0.0.0.0/0 0.0.0.0/0 PHYSDEV match --physdev-out lo\n2 0 0 ACCEPT all -- * *\n" +
		"3 0 0 one-5-1 all -- * * 0.0.0.0/0 0.0.0.0/0 PHYSDEV match --physdev-out gone0\n"}}
	second := strings.Replace(filtered, "00:01<", "00:02<", 1)
	kvm := []answer{{Call: "virsh -c qemu:///system dumpxml one-5", Stdout: "<domain><devices><interface type='bridge'><mac address='02:00:0a:00:00:01'/><target dev='vnet4'/></interface></devices></domain>\n"}}
	tests := []struct {
		name, script string
		args         []string
		answers      []answer
		hypervisor   string
	}{
		{name: "dummy/pre", args: []string{vm(nic0)}},
		{name: "fw/post", args: []string{vm(filtered, other), "one-5"}, answers: xen},
		{name: "fw/post-kvm", script: "fw/post", args: []string{vm(filtered), "one-5"}, answers: kvm, hypervisor: "kvm"},
		{name: "fw/post-chain-exists", script: "fw/post", args: []string{vm(filtered), "one-5"}, answers: append(chain, xen...)},
		{name: "fw/post-second-nic", script: "fw/post", args: []string{vm(second), "one-5"}, answers: append(chain, xen...)},
		{name: "fw/post-no-tap", script: "fw/post", args: []string{vm(filtered), "one-5"}},
		{name: "fw/post-no-tap-nothing-to-filter", script: "fw/post", args: []string{vm(nic0+"<ICMP>yes</ICMP>", other), "one-5"}},
		{name: "fw/post-bad-ports", script: "fw/post", args: []string{vm(nic0 + "<WHITE_PORTS_TCP>22;id</WHITE_PORTS_TCP>"), "one-5"}, answers: xen},
		{name: "fw/post-fails", script: "fw/post", args: []string{vm(filtered), "one-5"},
			answers: append([]answer{{Call: "sudo iptables -A one-5-1 -p tcp -m multiport", Exit: 2, Stderr: "iptables: bad rule\n"}}, xen...)},
		{name: "fw/clean", args: []string{vm(filtered, other)}, answers: chain},
		{name: "fw/clean-detach", script: "fw/clean", args: []string{vm(filtered, other+"<ATTACH>YES</ATTACH><ICMP>no</ICMP>")}, answers: chain},
		{name: "fw/clean-two-nics", script: "fw/clean", args: []string{vm(filtered)}, answers: shared},
		{name: "fw/clean-detach-one-of-two", script: "fw/clean", args: []string{vm(filtered + "<ATTACH>YES</ATTACH>")}, answers: shared},
		{name: "ebtables/post-no-tap", script: "ebtables/post", args: []string{vm(tagged), "one-5"}},
		{name: "ebtables/post", args: []string{vm(tagged, other), "one-5"}, answers: xen},
		{name: "ebtables/clean", args: []string{vm(tagged)}, answers: xen},
		{name: "802.1Q/pre", args: []string{vm(tagged)},
			answers: []answer{{Call: "sudo brctl show", Stdout: "bridge name\tbridge id\tSTP enabled\tinterfaces\nbr0\t8000.0\tno\teth0.9\n"}, {Call: "sudo ip link show", Exit: 1}}},
		{name: "802.1Q/pre-there", script: "802.1Q/pre", args: []string{vm(tagged)},
			answers: []answer{{Call: "sudo brctl show", Stdout: "bridge name\tbridge id\tSTP enabled\tinterfaces\nbr1\t8000.0\tno\teth1\n\t\t\t\teth0.3\n"}}},
		{name: "802.1Q/pre-vlan-id", script: "802.1Q/pre", args: []string{vm(tagged + "<VLAN_ID>50</VLAN_ID>")}, answers: []answer{{Call: "sudo ip link show", Exit: 1}}},
		{name: "802.1Q/pre-bad-bridge", script: "802.1Q/pre", args: []string{vm("<NIC_ID>0</NIC_ID><VLAN>YES</VLAN><PHYDEV>-x</PHYDEV>")}},
		{name: "ovswitch/post", args: []string{vm(tagged+"<VLAN_TAGGED_ID>4,5</VLAN_TAGGED_ID><BLACK_PORTS_TCP>22,23</BLACK_PORTS_TCP><ICMP>no</ICMP>", other), "one-5"}, answers: xen},
		{name: "ovswitch/post-no-tap", script: "ovswitch/post", args: []string{vm(nic0), "one-5"}},
		{name: "ovswitch/clean", args: []string{vm(nic0, other)}, answers: xen},
		{name: "fw/post-not-xml", script: "fw/post", args: []string{b64("<VM>"), "one-5"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c := call{script: "vnm/" + tt.name, args: tt.args, answers: tt.answers, env: []string{"VNM_HYPERVISOR=xen", "XM_PATH=/usr/sbin/xm"}}
			if tt.script != "" {
				c.script = "vnm/" + tt.script
			}
			if tt.hypervisor != "" {
				c.env = []string{"VNM_HYPERVISOR=" + tt.hypervisor}
			}
			golden(t, "vnm/"+tt.name, dir, run(t, dir, c))
		})
	}
}

func TestProbes(t *testing.T) {
	t.Run("run_probes", func(t *testing.T) {
		dir := t.TempDir()
		for name, content := range map[string]string{
			"im/a.d/1.sh": "#!/bin/sh\necho one \"$@\"\n", "im/a.d/2.sh": "#!/bin/sh\npwd | sed 's/.*\\///'\n",
			"im/b.d/1.sh": "#!/bin/sh\necho one\nexit 7\n", "im/b.d/2.sh": "#!/bin/sh\necho two\n",
			"im/b.d/collect_control.sh": "#!/bin/sh\necho \"control $1\"\n",
		} {
			writeFile(t, filepath.Join(dir, name), content)
			if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		writeFile(t, filepath.Join(dir, "im/a.d/3.sh"), "#!/bin/sh\necho not executable\n")
		for _, name := range []string{"im/run_probes", "im/stop_probes", "scripts_common.sh", "xml.awk"} {
			data, err := os.ReadFile(filepath.Join(driversDir(t), name))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(dir, name), string(data))
			if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		tests := []struct {
			name, script, arg, stdout string
			exit                      int
		}{
			{"all executable files in order", "run_probes", "a", "one a x y\na.d\n", 0},
			{"the first failure ends it", "run_probes", "b", "one\n", 7},
			{"no such directory", "run_probes", "c", "\n", 0},
			{"not a name", "run_probes", "../a", "", 255},
			{"stop", "stop_probes", "b", "control stop\n", 0},
		}
		for _, tt := range tests {
			r := runProgram(t, dir, filepath.Join(dir, "im", tt.script), call{args: []string{tt.arg, "x", "y"}})
			if r.Exit != tt.exit || r.Stdout != tt.stdout {
				t.Errorf("%s: exit %d, stdout %q; want %d, %q", tt.name, r.Exit, r.Stdout, tt.exit, tt.stdout)
			}
		}
	})

	t.Run("xen host", func(t *testing.T) {
		dir := t.TempDir()
		info := "host                   : xenhost\nnr_cpus                : 8\ncpu_mhz                : 2400\ntotal_memory           : 16384\nfree_memory            : 8192\n"
		answers := []answer{{Call: "sudo /usr/sbin/xl info", Stdout: info}, {Call: "sudo /usr/sbin/xm info", Stdout: info}, {Call: "sudo /usr/sbin/xentop", Stdout: xentop}}
		r := run(t, dir, call{script: "im/xen4-probes.d/xen.sh", answers: answers})
		want := "HYPERVISOR=xen\nXEN_TOOLSTACK=xm\nTOTALCPU=800\nCPUSPEED=2400\nTOTALMEMORY=16777216\nFREEMEMORY=8388608\nUSEDMEMORY=8388608\nUSEDCPU=7\nFREECPU=794\nNETTX=10\nNETRX=20\n"
		if r.Exit != 0 || r.Stdout != want {
			t.Errorf("exit %d, stdout:\n%s\nwant:\n%s", r.Exit, r.Stdout, want)
		}
	})

	t.Run("datastores", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"ds/0/x", "ds/100/x", "ds/.isofiles/x", "ds/notes/x"} {
			writeFile(t, filepath.Join(dir, name), "")
		}
		writeFile(t, filepath.Join(dir, ".stubs/df"), "#!/bin/sh\nprintf 'Filesystem 1M-blocks Used Available Capacity Mounted\\n/dev/x 1000 300 700 30%% /\\n'\n")
		writeFile(t, filepath.Join(dir, ".stubs/vgdisplay"), "#!/bin/sh\n")
		for _, name := range []string{"df", "vgdisplay"} {
			if err := os.Chmod(filepath.Join(dir, ".stubs", name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		answers := []answer{{Call: "sudo vgdisplay --separator : --units m -o vg_size,vg_free --nosuffix --noheadings -C vg-one-100", Stdout: "  2000.50:1500.25\n"}}
		golden(t, "im/monitor-ds", dir, run(t, dir, call{script: "im/common.d/monitor_ds.sh", args: []string{"kvm", filepath.Join(dir, "ds")}, answers: answers}))
	})
}
