//go:build load

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kolo/xmlrpc"
)

var (
	loadVMs     = flag.Int("load.vms", 10000, "virtual machines in the pool")
	loadDeploys = flag.Int("load.deploys", 2000, "virtual machines to deploy")
)

const loadVM = `NAME=vm%d
CPU=0.1
MEMORY=64
OS=[ARCH=x86_64,BOOT=hd]
DISK=[IMAGE_ID=%d]
NIC=[NETWORK_ID=%d]
GRAPHICS=[TYPE=vnc,LISTEN=0.0.0.0]
FEATURES=[ACPI=yes]
CONTEXT=[HOSTNAME="$NAME",NETWORK=YES,SSH_PUBLIC_KEY="ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDEXAMPLE user@example"]
DESCRIPTION="a virtual machine of the load test"`

// TestLoad measures what docs/performance.md tells of, and prints it. It asks for no figure: that depends on the machine.
func TestLoad(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	mad := func(kind, rest string) string {
		return fmt.Sprintf("[ %s EXECUTABLE = %q, ARGUMENTS = \"%s %s\" ]\n", rest, self, scriptedDriver, kind)
	}
	c := newCloud(t, settings{
		untouched: true, // and nothing is monitored
		conf:      "MONITORING_INTERVAL = 3600\nMANAGER_TIMER = 3600\nDATASTORE_CAPACITY_CHECK = \"no\"\n",
		drivers: "IM_MAD = " + mad("im", `NAME = "dummy",`) + "VM_MAD = " + mad("vmm", `NAME = "dummy", TYPE = "xml",`) +
			"TM_MAD = " + mad("tm", "") + "DATASTORE_MAD = " + mad("datastore", "") + "HM_MAD = " + mad("hm", ""),
	})
	l := newLoad(t, c)
	l.seed(*loadVMs)

	for _, conns := range []int{8, 64, 1000} {
		l.run("one.vm.info", conns, 60000, func(int) call { return call{"one.vm.info", []any{rand.IntN(*loadVMs)}} })
	}
	l.run("one.vmpool.info, all", 1, 20, func(int) call { return call{"one.vmpool.info", []any{-2, -1, -1, -1}} })
	l.run("one.vmpool.info, first 100", 1, 2000, func(int) call { return call{"one.vmpool.info", []any{-2, 0, -100, -1}} })
	l.run("one.vmpool.info, last 100", 1, 2000, func(int) call { return call{"one.vmpool.info", []any{-2, *loadVMs - 100, -100, -1}} })
	l.run("one.hostpool.info, 500 hosts", 1, 2000, func(int) call { return call{"one.hostpool.info", nil} })
	l.session = "few:few"
	l.run("one.vmpool.info, the 5 of a user", 1, 5000, func(int) call { return call{"one.vmpool.info", []any{-3, -1, -1, -1}} })
	l.session = "many:many"
	for _, writers := range []int{1, 8, 64} {
		l.run("one.vm.allocate", writers, 4000, l.allocation)
	}
	l.session = "oneadmin:opennebula"
	l.deploy(*loadDeploys)
	t.Logf("resident memory: %.0f MB", l.resident())

	took := c.stop()
	t.Logf("SIGTERM: %.2f s", took.Seconds())
	began := time.Now()
	c.start()
	t.Logf("start to first answer: %.2f s, resident memory %.0f MB", time.Since(began).Seconds(), l.resident())
}

// load sends calls over connections of its own, as cheaply as it can: client and server share the machine.
type load struct {
	t       *testing.T
	c       *cloud
	session string
	vms     atomic.Int64
	images  []int
	nets    []int
	hosts   []int
}

type call struct {
	method string
	args   []any
}

func newLoad(t *testing.T, c *cloud) *load {
	return &load{t: t, c: c, session: "oneadmin:opennebula"}
}

// seed makes the pool: hosts, images and networks, and VMs of two users.
func (l *load) seed(n int) {
	c, t := l.c, l.t
	for i := range 500 {
		l.hosts = append(l.hosts, l.number("one.host.allocate", fmt.Sprintf("host%d", i), "dummy", "dummy", "dummy", -1))
	}
	for i := range 10 {
		img := l.number("one.image.allocate", fmt.Sprintf("NAME=image%d\nPATH=/etc/hosts\nTYPE=OS", i), 1)
		c.must(t, "one.image.chmod", img, 1, 1, 0, 1, 0, 0, 1, 0, 0)
		l.images = append(l.images, img)
	}
	for i := range 4 {
		net := l.number("one.vn.allocate", fmt.Sprintf("NAME=net%d\nTYPE=RANGED\nBRIDGE=b\nNETWORK_ADDRESS=10.%d.0.0\nNETWORK_SIZE=65000", i, i), -1)
		c.must(t, "one.vn.chmod", net, 1, 1, 0, 1, 0, 0, 1, 0, 0)
		l.nets = append(l.nets, net)
	}
	for _, user := range []string{"few", "many"} {
		c.must(t, "one.user.allocate", user, user, "core")
	}
	for _, img := range l.images {
		c.poll(t, "an image does not become ready", func() (bool, error) {
			doc, err := c.Document("one.image.info", img)
			return err == nil && doc.ImageState() == "READY", err
		})
	}
	l.session = "few:few"
	l.run("", 1, 5, l.allocation)
	l.session = "many:many"
	l.run("making the pool: one.vm.allocate", 64, n-5, l.allocation)
	l.session = "oneadmin:opennebula"
	body, err := c.Call("one.vm.info", n/2)
	must(t, err)
	t.Logf("%d VMs, body of %d bytes", n, len(fmt.Sprint(body)))
}

func (l *load) allocation(int) call {
	i := int(l.vms.Add(1))
	return call{"one.vm.allocate", []any{fmt.Sprintf(loadVM, i, l.images[i%len(l.images)], l.nets[i%len(l.nets)]), true}}
}

// deploy starts VMs of oneadmin on all hosts by 8 callers and waits until all are RUNNING.
func (l *load) deploy(n int) {
	first := l.vms.Load()
	l.run("", 8, n, l.allocation)
	ids := make([]int, n)
	for i := range ids {
		ids[i] = int(first) + i
	}
	l.run("", 8, n, func(i int) call { return call{"one.vm.action", []any{"release", ids[i]}} })
	before, began := l.cpu(), time.Now()
	l.run("", 8, n, func(i int) call { return call{"one.vm.deploy", []any{ids[i], l.hosts[i%len(l.hosts)], false, -1}} })
	l.c.poll(l.t, "not all VMs are running", func() (bool, error) {
		pool, err := l.c.Call("one.vmpool.info", -2, ids[0], ids[n-1], -1)
		return err == nil && strings.Count(fmt.Sprint(pool), "<LCM_STATE>3</LCM_STATE>") == n, err
	})
	took := time.Since(began)
	l.t.Logf("deploy to RUNNING, %d VMs, 8 callers: %.0f VM/s, %.3f ms server CPU each", n, float64(n)/took.Seconds(), (l.cpu()-before)*1000/float64(n))
}

// run makes n calls over so many connections and prints how it went, unless title is empty.
func (l *load) run(title string, conns, n int, next func(i int) call) {
	l.t.Helper()
	var wg sync.WaitGroup
	var at atomic.Int64
	took := make([][]time.Duration, conns)
	failed := make([]error, conns)
	before, began := l.cpu(), time.Now()
	for w := range conns {
		wg.Go(func() {
			took[w], failed[w] = l.connection(func() (call, bool) {
				i := int(at.Add(1)) - 1
				if i >= n {
					return call{}, false
				}
				return next(i), true
			})
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	if err := errors.Join(failed...); err != nil {
		l.t.Fatalf("%s: %v", title, err)
	}
	if title == "" {
		return
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	ms := func(part float64) float64 {
		return float64(all[int(part*float64(len(all)-1))].Microseconds()) / 1000
	}
	l.t.Logf("%s, %d connections: %.0f/s, median %.2f ms, p99 %.2f ms, %.3f ms server CPU", title, conns,
		float64(n)/elapsed.Seconds(), ms(0.5), ms(0.99), (l.cpu()-before)*1000/float64(n))
}

// connection makes calls one after the other until there are no more.
func (l *load) connection(next func() (call, bool)) (took []time.Duration, err error) {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(l.c.port)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		what, ok := next()
		if !ok {
			return took, nil
		}
		body, err := xmlrpc.EncodeMethodCall(what.method, append([]any{l.session}, what.args...)...)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		request := fmt.Appendf(nil, "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if err := answered(in); err != nil {
			return nil, fmt.Errorf("%s: %w", what.method, err)
		}
		took = append(took, time.Since(began))
	}
}

// answered reads an answer, of which it looks at the beginning only.
func answered(in *bufio.Reader) error {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	head := make([]byte, min(resp.ContentLength, 300))
	if _, err := io.ReadFull(resp.Body, head); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if !bytes.Contains(head, []byte("<boolean>1</boolean>")) {
		return fmt.Errorf("the answer is %s", head)
	}
	return nil
}

// cpu is the processor time that oned has used, in seconds.
func (l *load) cpu() float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.c.oned.cmd.Process.Pid))
	must(l.t, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks float64
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseFloat(f, 64)
		must(l.t, err)
		ticks += n
	}
	return ticks / 100
}

// resident is oned's memory in MB.
func (l *load) resident() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.c.oned.cmd.Process.Pid))
	must(l.t, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	must(l.t, err)
	return kb / 1024
}

func (l *load) number(method string, args ...any) int {
	l.t.Helper()
	id, err := l.c.Number(method, args...)
	must(l.t, err)
	return id
}
