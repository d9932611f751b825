//go:build e2e

package network

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"goned/test/output"
)

// labVariable is set in the virtual machine of test/lab, where what cannot be
// tested is a failure. insideVariable is set in the namespaces that the tests run in, to
// the path of this program.
const (
	labVariable    = "GONED_LAB_VM"
	insideVariable = "GONED_NETWORK_INSIDE"
)

// TestMain runs the tests in a network and with mounts of their own.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && runPeer(os.Args[1], os.Args[2]) {
		return
	}
	if os.Getenv(insideVariable) != "" {
		// No mount of ours is seen outside; /sys/class/net lists the devices of this network.
		for _, args := range [][]string{{"--make-rprivate", "/"}, {"-t", "sysfs", "sysfs", "/sys"}} {
			if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "mount %v: %v\n%s", args, err, out)
				os.Exit(1)
			}
		}
		os.Exit(m.Run())
	}
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: the network tests need root")
		return
	}
	// Not os.Executable: in a changed root, as that of the virtual machine, it has another name.
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"="+program)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv(labVariable) != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format+"; make e2e-network uses a virtual machine", args...)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sh runs shell commands, which must succeed, and returns what they printed.
func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", "export PATH=$PATH:/usr/sbin:/sbin; "+script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

func works(script string) bool {
	return exec.Command("sh", "-ec", "export PATH=$PATH:/usr/sbin:/sbin; "+script).Run() == nil
}

// node is a host with the network scripts, whose domains are a file. GONED_REMOTES
// may name scripts that are installed.
type node struct{ dir, remotes string }

const domain = `<domain type='kvm'><devices>
<interface type='bridge'><mac address='02:00:0a:00:00:01'/><source bridge='br0'/><target dev='tapa'/></interface>
<interface type='bridge'><mac address='02:00:0a:00:00:02'/><source bridge='br0'/><target dev='tapb'/></interface>
</devices></domain>`

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{dir: t.TempDir(), remotes: os.Getenv("GONED_REMOTES")}
	if n.remotes == "" {
		n.remotes = filepath.Join(n.dir, "remotes")
		sh(t, "sh ../../drivers/install-remotes "+n.remotes)
	}
	// libvirt is the one thing that is not real: the tests of test/kvm have it.
	must(t, os.Mkdir(filepath.Join(n.dir, "bin"), 0o755))
	must(t, os.WriteFile(filepath.Join(n.dir, "domain.xml"), []byte(domain), 0o644))
	must(t, os.WriteFile(filepath.Join(n.dir, "bin/virsh"), []byte("#!/bin/sh\nexec cat "+n.dir+"/domain.xml\n"), 0o755))
	return n
}

// run runs a network script for a VM of the NICs: "fw/post".
func (n *node) run(t *testing.T, script string, nics ...string) (status int, stderr string) {
	t.Helper()
	vm := "<VM><ID>7</ID><DEPLOY_ID>one-7</DEPLOY_ID>"
	for i, nic := range nics {
		vm += fmt.Sprintf("<TEMPLATE><NIC><NIC_ID>%d</NIC_ID>%s</NIC></TEMPLATE>", i, nic)
	}
	args := []string{base64.StdEncoding.EncodeToString([]byte(vm + "</VM>"))}
	if strings.HasSuffix(script, "/post") {
		args = append(args, "one-7")
	}
	cmd := exec.Command(filepath.Join(n.remotes, "vnm", script), args...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(n.dir, "bin")+":"+os.Getenv("PATH"), "VNM_HYPERVISOR=kvm")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), log.String()
}

func (n *node) succeed(t *testing.T, script string, nics ...string) {
	t.Helper()
	if status, stderr := n.run(t, script, nics...); status != 0 {
		t.Fatalf("%s: status %d\n%s", script, status, stderr)
	}
}

// guest makes a network namespace that is a guest behind a tap of br0, and ends
// everything when the test does.
func guest(t *testing.T, name, tap, mac, address string) {
	t.Helper()
	sh(t, fmt.Sprintf(`ip netns add %[1]s
ip link add %[2]s type veth peer name eth0 netns %[1]s
ip link set %[2]s up
ip netns exec %[1]s ip link set lo up
ip netns exec %[1]s ip link set eth0 address %[3]s up
ip netns exec %[1]s ip addr add %[4]s/24 dev eth0`, name, tap, mac, address))
	t.Cleanup(func() { sh(t, "ip netns del "+name+"; ip link del "+tap+" 2>/dev/null || :") })
}

// bridge makes br0 with two guests and somebody else on it.
func bridge(t *testing.T) {
	t.Helper()
	sh(t, "ip link set lo up; ip link add br0 type bridge; ip link set br0 up")
	t.Cleanup(func() { sh(t, "ip link del br0") })
	guest(t, "a", "tapa", "02:00:0a:00:00:01", "10.0.0.1")
	guest(t, "b", "tapb", "02:00:0a:00:00:02", "10.0.0.2")
	guest(t, "c", "tapc", "02:00:0b:00:00:03", "10.0.0.3")
	sh(t, "for tap in tapa tapb tapc; do ip link set $tap master br0; done")
	if !pings("c", "10.0.0.1") {
		t.Fatal("the guests don't reach each other before anything is done")
	}
}

func pings(from, address string) bool {
	return works("ip netns exec " + from + " ping -q -c 2 -w 4 " + address)
}

// runPeer is this program as one end of a connection.
func runPeer(action, address string) bool {
	switch action {
	case "listen":
		l, err := net.Listen("tcp4", address)
		for err == nil {
			var c net.Conn
			if c, err = l.Accept(); err == nil {
				c.Close()
			}
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case "connect":
		c, err := net.DialTimeout("tcp4", address, 4*time.Second)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		c.Close()
	default:
		return false
	}
	return true
}

// peer is the command that does that in a guest.
func peer(t *testing.T, name, action, address string) *exec.Cmd {
	t.Helper()
	return exec.Command("ip", "netns", "exec", name, os.Getenv(insideVariable), action, address)
}

// serve listens on a TCP port of a guest.
func serve(t *testing.T, name string, port int) {
	t.Helper()
	cmd := peer(t, name, "listen", fmt.Sprintf(":%d", port))
	said := &output.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(5 * time.Minute); ; {
		out, err := peer(t, name, "connect", fmt.Sprintf("127.0.0.1:%d", port)).CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nobody listens on port %d of %s: %v: %s; the listener says %s", port, name, err, out, said)
		}
	}
}

func connects(t *testing.T, from, address string, port int) bool {
	t.Helper()
	return peer(t, from, "connect", fmt.Sprintf("%s:%d", address, port)).Run() == nil
}

const (
	nicA = "<MAC>02:00:0a:00:00:01</MAC><IP>10.0.0.1</IP><BRIDGE>br0</BRIDGE><NETWORK_ID>4</NETWORK_ID>"
	nicB = "<MAC>02:00:0a:00:00:02</MAC><IP>10.0.0.2</IP><BRIDGE>br0</BRIDGE><NETWORK_ID>5</NETWORK_ID>"
)

func TestFirewall(t *testing.T) {
	for _, tool := range []string{"iptables", "sudo", "ping"} {
		if _, err := exec.LookPath(tool); err != nil {
			skip(t, "%s is not installed", tool)
		}
	}
	_ = exec.Command("modprobe", "br_netfilter").Run()
	if !works("test -e /proc/sys/net/bridge/bridge-nf-call-iptables") {
		skip(t, "the kernel does not filter what goes over a bridge")
	}
	sh(t, "echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables")
	bridge(t)
	n := newNode(t)
	before := sh(t, "iptables -S")
	serve(t, "a", 80)
	serve(t, "a", 8080)
	serve(t, "b", 80)
	serve(t, "b", 8080)
	nics := []string{
		nicA + "<WHITE_PORTS_TCP>22, 79:81</WHITE_PORTS_TCP><ICMP>drop</ICMP>",
		nicB + "<BLACK_PORTS_TCP>80</BLACK_PORTS_TCP><BLACK_PORTS_UDP>53,67:68</BLACK_PORTS_UDP>",
	}
	n.succeed(t, "fw/pre", nics...)
	n.succeed(t, "fw/post", nics...)
	want := `-N one-7-4
-N one-7-5
-A FORWARD -m physdev --physdev-out tapa -j one-7-4
-A FORWARD -m physdev --physdev-out tapb -j one-7-5
-A one-7-4 -p tcp -m state --state ESTABLISHED -j ACCEPT
-A one-7-4 -p tcp -m multiport --dports 22,79:81 -j ACCEPT
-A one-7-4 -p tcp -j DROP
-A one-7-4 -p icmp -m state --state ESTABLISHED -j ACCEPT
-A one-7-4 -p icmp -j DROP
-A one-7-5 -p tcp -m multiport --dports 80 -j DROP
-A one-7-5 -p udp -m multiport --dports 53,67:68 -j DROP`
	got := strings.TrimPrefix(sh(t, "iptables -S"), before+"\n")
	// iptables over nftables leaves out the direction that physdev needs.
	if strings.ReplaceAll(got, " --physdev-is-bridged", "") != want {
		t.Errorf("rules\n%s\nnot\n%s", got, want)
	}
	for _, tt := range []struct {
		what      string
		got, want bool
	}{
		{"ping of a", pings("c", "10.0.0.1"), false},
		{"ping of b", pings("c", "10.0.0.2"), true},
		{"ping by a", pings("a", "10.0.0.3"), true},
		{"port 80 of a", connects(t, "c", "10.0.0.1", 80), true},
		{"port 8080 of a", connects(t, "c", "10.0.0.1", 8080), false},
		{"port 80 of b", connects(t, "c", "10.0.0.2", 80), false},
		{"port 8080 of b", connects(t, "c", "10.0.0.2", 8080), true},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v", tt.what, tt.got)
		}
	}
	n.succeed(t, "fw/post", nics...)
	if again := strings.TrimPrefix(sh(t, "iptables -S"), before+"\n"); again != got {
		t.Errorf("a second post changes the rules: %s", again)
	}
	n.succeed(t, "fw/clean", nics[0])
	if left := sh(t, "iptables -S"); strings.Contains(left, "one-7-4") || !strings.Contains(left, "one-7-5") {
		t.Errorf("clean for one NIC leaves %s", left)
	}
	n.succeed(t, "fw/clean", nics...)
	if left := sh(t, "iptables -S"); left != before {
		t.Errorf("clean leaves %s", left)
	}

	// Two NICs on one network share its chain; while the VM runs one of them can go.
	inOne := func(nic string) string {
		return nic + "<NETWORK_ID>4</NETWORK_ID><BLACK_PORTS_TCP>80</BLACK_PORTS_TCP>"
	}
	nics = []string{inOne(nicA), inOne(strings.Replace(nicB, "<NETWORK_ID>5</NETWORK_ID>", "", 1))}
	n.succeed(t, "fw/post", nics[0])
	n.succeed(t, "fw/post", nics[1]+"<ATTACH>YES</ATTACH>")
	if connects(t, "c", "10.0.0.1", 80) || connects(t, "c", "10.0.0.2", 80) || !connects(t, "c", "10.0.0.2", 8080) {
		t.Errorf("the rules of two NICs on one network: %s", sh(t, "iptables -S"))
	}
	sh(t, "ip link set tapb name gone")
	n.succeed(t, "fw/clean", nics[1]+"<ATTACH>YES</ATTACH>")
	sh(t, "ip link set gone name tapb")
	if left := sh(t, "iptables -S"); strings.Contains(left, "tapb") || connects(t, "c", "10.0.0.1", 80) {
		t.Errorf("detaching a NIC leaves %s", left)
	}
	n.succeed(t, "fw/clean", nics...)

	// What cannot be filtered must not run, and leaves nothing that looks like a filter.
	many := "1" + strings.Repeat(",2", 20)
	for what, nic := range map[string]string{
		"no tap":         strings.Replace(nics[0], "00:01<", "00:77<", 1),
		"too many ports": strings.Replace(nics[0], ">80<", ">"+many+"<", 1),
	} {
		if status, stderr := n.run(t, "fw/post", nic); status == 0 {
			t.Errorf("%s: post succeeds: %s", what, stderr)
		}
		if left := sh(t, "iptables -S"); left != before {
			t.Errorf("%s: post leaves %s", what, left)
		}
	}
}

func TestEbtables(t *testing.T) {
	if !works("ebtables -L FORWARD && sudo true") {
		skip(t, "ebtables does not work here")
	}
	bridge(t)
	n := newNode(t)
	sh(t, "ebtables -A FORWARD -p IPv6 -o tapc -j DROP")
	t.Cleanup(func() { sh(t, "ebtables -F FORWARD") })
	before := sh(t, "ebtables -L FORWARD")
	nics := []string{nicA + "<VLAN>YES</VLAN>", nicB + "<VLAN>YES</VLAN>"}
	n.succeed(t, "ebtables/pre", nics...)
	n.succeed(t, "ebtables/post", nics...)
	rules := sh(t, "ebtables -L FORWARD")
	t.Log(rules)
	for _, tap := range []string{"tapa", "tapb"} {
		if got := len(regexp.MustCompile(`(?m)^.* -[io] `+tap+` .*-j DROP`).FindAllString(rules, -1)); got != 2 {
			t.Errorf("%d rules for %s", got, tap)
		}
	}
	// a and b have the same beginning of their MAC, that is one network; c has another.
	for _, tt := range []struct {
		what      string
		got, want bool
	}{
		{"a reaches b", pings("a", "10.0.0.2"), true},
		{"c reaches a", pings("c", "10.0.0.1"), false},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v", tt.what, tt.got)
		}
	}
	sh(t, "ip netns exec b ip link set eth0 address 02:00:0a:00:00:09; ip -all netns exec ip neigh flush all")
	if pings("a", "10.0.0.2") {
		t.Error("b is heard with a MAC that is not its own")
	}
	n.succeed(t, "ebtables/clean", nics[0])
	if left := sh(t, "ebtables -L FORWARD"); strings.Contains(left, "tapa") || !strings.Contains(left, "tapb") {
		t.Errorf("clean for one NIC leaves %s", left)
	}
	n.succeed(t, "ebtables/clean", nics...)
	if left := sh(t, "ebtables -L FORWARD"); left != before {
		t.Errorf("clean leaves %s, not %s", left, before)
	}
}

func TestVLAN(t *testing.T) {
	sh(t, "ip link set lo up; ip link add phy0 type veth peer name trunk; ip link set phy0 up; ip link set trunk up")
	t.Cleanup(func() { sh(t, "ip link del phy0") })
	_ = exec.Command("modprobe", "8021q").Run()
	if !works("ip link add link phy0 name probe type vlan id 9 && ip link del probe && sudo true") {
		skip(t, "the kernel has no VLANs")
	}
	n := newNode(t)
	nics := []string{
		"<MAC>02:00:0a:00:00:01</MAC><BRIDGE>onebr50</BRIDGE><PHYDEV>phy0</PHYDEV><VLAN>YES</VLAN><VLAN_ID>50</VLAN_ID><NETWORK_ID>4</NETWORK_ID>",
		"<MAC>02:00:0a:00:00:02</MAC><BRIDGE>onebr6</BRIDGE><PHYDEV>phy0</PHYDEV><VLAN>YES</VLAN><NETWORK_ID>4</NETWORK_ID>",
		"<MAC>02:00:0a:00:00:03</MAC><BRIDGE>plain</BRIDGE><NETWORK_ID>5</NETWORK_ID>",
	}
	for _, variant := range []string{"brctl and vconfig", "ip"} {
		t.Run(variant, func(t *testing.T) {
			if variant == "ip" {
				sh(t, "for tool in brctl vconfig; do path=$(command -v $tool) || continue; mount --bind /dev/null $path; done")
				t.Cleanup(func() { sh(t, "for tool in brctl vconfig; do umount /usr/sbin/$tool 2>/dev/null || :; done") })
			} else if !works("command -v brctl && command -v vconfig") {
				skip(t, "brctl or vconfig is not installed")
			}
			t.Cleanup(func() {
				sh(t, "for link in phy0.50 phy0.6 onebr50 onebr6; do ip link del $link 2>/dev/null || :; done; ip netns del far 2>/dev/null || :")
			})
			n.succeed(t, "802.1Q/pre", nics...)
			n.succeed(t, "802.1Q/pre", nics...) // the next VM of the network finds all there
			for _, tt := range []struct{ device, bridge, id string }{{"phy0.50", "onebr50", "50"}, {"phy0.6", "onebr6", "6"}} {
				link := sh(t, "ip -d link show "+tt.device)
				for _, want := range []string{"vlan protocol 802.1Q id " + tt.id + " ", "master " + tt.bridge + " ", "UP"} {
					if !strings.Contains(link, want) {
						t.Errorf("%s has no %q: %s", tt.device, want, link)
					}
				}
				if !strings.Contains(sh(t, "ip -d link show "+tt.bridge), "UP") {
					t.Errorf("%s is not up", tt.bridge)
				}
			}
			if works("ip link show plain") {
				t.Error("a bridge was made for a network without VLAN")
			}
			// The other end of the cable hears frames of the VLAN only.
			sh(t, `ip netns add far; ip link add link trunk name trunk.50 type vlan id 50; ip link set trunk.50 netns far
ip netns exec far ip addr add 10.0.0.1/24 dev trunk.50; ip netns exec far ip link set trunk.50 up
ip addr add 10.0.0.2/24 dev onebr50`)
			if !works("ping -q -c 2 -w 10 10.0.0.1") {
				t.Error("no ping through VLAN 50")
			}
			sh(t, "ip addr del 10.0.0.2/24 dev onebr50; ip addr add 10.0.0.2/24 dev onebr6")
			if works("ping -q -c 2 -w 4 10.0.0.1") {
				t.Error("a ping goes from VLAN 6 to VLAN 50")
			}
			n.succeed(t, "802.1Q/clean", nics...)
		})
	}
	status, stderr := n.run(t, "802.1Q/pre", strings.Replace(nics[0], "phy0", "phy9", 1))
	if status == 0 || !strings.Contains(stderr, "phy9") {
		t.Errorf("without the device: status %d, %s", status, stderr)
	}
}

func TestOpenvSwitch(t *testing.T) {
	if !works("command -v ovs-vswitchd && sudo true") {
		skip(t, "Open vSwitch is not installed")
	}
	_ = exec.Command("modprobe", "openvswitch").Run()
	// Its own database and sockets.
	run := t.TempDir()
	sh(t, "mkdir -p /var/run/openvswitch; mount --bind "+run+" /var/run/openvswitch; mount --bind "+t.TempDir()+" /etc/openvswitch")
	t.Cleanup(func() { sh(t, "umount /etc/openvswitch; umount /var/run/openvswitch") })
	sh(t, "/usr/share/openvswitch/scripts/ovs-ctl --no-monitor --system-id=lab start >/dev/null")
	t.Cleanup(func() { sh(t, "/usr/share/openvswitch/scripts/ovs-ctl stop >/dev/null") })
	// The datapath of the kernel, or where it has none the one of the process.
	datapath := "system"
	if !works("ovs-dpctl show || grep -q '^openvswitch ' /proc/modules") {
		datapath = "netdev"
	}
	t.Logf("datapath %s", datapath)
	sh(t, "ovs-vsctl add-br br0 -- set bridge br0 datapath_type="+datapath+"; ip link set lo up")
	guest(t, "a", "tapa", "02:00:0a:00:00:01", "10.0.0.1")
	guest(t, "b", "tapb", "02:00:0a:00:00:02", "10.0.0.2")
	guest(t, "c", "tapc", "02:00:0b:00:00:03", "10.0.0.3")
	sh(t, "for tap in tapa tapb tapc; do ovs-vsctl add-port br0 $tap; done")
	if !pings("c", "10.0.0.1") {
		t.Fatal("the guests don't reach each other before anything is done")
	}
	n := newNode(t)
	flows := func() string {
		// Only matches and actions: the counters change.
		return regexp.MustCompile(`(?m)^.*n_bytes=\d+, (idle_age=\d+, )?`).ReplaceAllString(sh(t, "ovs-ofctl dump-flows br0 | grep -v NXST_FLOW"), "")
	}
	before := flows()
	serve(t, "a", 80)
	serve(t, "a", 8080)
	// Checksums that a card would have filled in stop TCP in the datapath of the process.
	tcp := connects(t, "c", "10.0.0.1", 8080)
	a := nicA + "<BLACK_PORTS_TCP>80</BLACK_PORTS_TCP>"
	b := nicB + "<VLAN>YES</VLAN><VLAN_ID>60</VLAN_ID><VLAN_TAGGED_ID>61,62</VLAN_TAGGED_ID>"
	n.succeed(t, "ovswitch/pre", a, b)
	n.succeed(t, "ovswitch/post", a, b)
	t.Log(flows())
	port := sh(t, "ovs-vsctl get Port tapb tag trunks vlan_mode")
	if port != "60\n[61, 62]\nnative-untagged" {
		t.Errorf("the port of b has %q", port)
	}
	for _, tt := range []struct {
		what      string
		got, want bool
	}{
		{"c reaches a", pings("c", "10.0.0.1"), true},
		{"c reaches b, which is in a VLAN", pings("c", "10.0.0.2"), false},
		{"port 80 of a", connects(t, "c", "10.0.0.1", 80), false},
		{"port 8080 of a", connects(t, "c", "10.0.0.1", 8080), tcp},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v", tt.what, tt.got)
		}
	}
	sh(t, "ip netns exec a ip addr add 10.0.0.9/24 dev eth0; ip -all netns exec ip neigh flush all")
	if pings("c", "10.0.0.9") {
		t.Error("a answers for an address that is not its own")
	}
	sh(t, "ip netns exec a ip link set eth0 address 02:00:0a:00:00:08; ip -all netns exec ip neigh flush all")
	if pings("a", "10.0.0.3") {
		t.Error("a is heard with a MAC that is not its own")
	}
	n.succeed(t, "ovswitch/clean", a, b)
	if left := flows(); left != before {
		t.Errorf("clean leaves\n%s\nnot\n%s", left, before)
	}
	sh(t, "ovs-vsctl del-port br0 tapb")
	status, stderr := n.run(t, "ovswitch/post", strings.Replace(a, "00:01<", "00:77<", 1))
	if status != 1 || !strings.Contains(stderr, "No tap device found for nic 0") {
		t.Errorf("without a tap: status %d, %s", status, stderr)
	}
}
