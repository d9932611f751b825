// Package xsd tests the documents of oned against the XML schemas of 4.6.2, where they are at hand: a daemon with objects of every
// kind answers, xmllint judges.
//
// The schemas have a namespace that no answer of 4.6 has; it is added to each root element. They lack two elements of default limits
// of VMs, which 4.6 writes: no such limits are set here.
package xsd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"goned/rpc/xmlrpc"
)

const conf = `
PORT = %d
MANAGER_TIMER = 1
MONITORING_INTERVAL = 1
VM_INDIVIDUAL_MONITORING = "yes"
DATASTORE_CAPACITY_CHECK = "no"
IM_MAD = [ NAME = "dummy", EXECUTABLE = "one_im_dummy" ]
VM_MAD = [ NAME = "dummy", EXECUTABLE = "one_vmm_dummy", TYPE = "xml" ]
TM_MAD        = [ EXECUTABLE = "one_tm", ARGUMENTS = "-t 8 -d dummy,shared,ssh" ]
DATASTORE_MAD = [ EXECUTABLE = "one_datastore", ARGUMENTS = "-t 4 -d dummy,fs" ]
HM_MAD        = [ EXECUTABLE = "one_hm" ]
TM_MAD_CONF = [ NAME = "dummy",  LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "shared", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ssh",    LN_TARGET = "SYSTEM", CLONE_TARGET = "SYSTEM", SHARED = "no" ]
`

// cloud is a daemon in a directory of its own, and the documents that it has answered with, by schema.
type cloud struct {
	t         *testing.T
	url       string
	documents map[string][]string
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start builds, installs and starts a daemon.
func start(t *testing.T) *cloud {
	t.Helper()
	dir := t.TempDir()
	at := filepath.Join(dir, "one")
	for _, args := range [][]string{
		{"go", "build", "-o", filepath.Join(dir, "bin") + "/", "./cmd/..."},
		{"sh", "share/scripts/install.sh", filepath.Join(dir, "bin"), at},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	must(t, listener.Close())
	must(t, os.WriteFile(filepath.Join(at, "etc", "oned.conf"), fmt.Appendf(nil, conf, port), 0o640))
	account := filepath.Join(at, "etc", "one_auth")
	must(t, os.WriteFile(account, []byte("oneadmin:opennebula\n"), 0o600))

	oned := exec.Command(filepath.Join(at, "bin", "oned"), "-f")
	oned.Env = append(os.Environ(), "ONE_LOCATION="+at, "ONE_AUTH="+account)
	var said bytes.Buffer
	oned.Stdout, oned.Stderr = &said, &said
	must(t, oned.Start())
	ended := make(chan error, 1)
	go func() { ended <- oned.Wait() }()
	t.Cleanup(func() {
		_ = oned.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = oned.Process.Kill()
			t.Error("oned does not stop")
		}
		if t.Failed() {
			t.Logf("oned said: %s", said.String())
		}
	})
	c := &cloud{t: t, url: fmt.Sprintf("http://127.0.0.1:%d/RPC2", port), documents: map[string][]string{}}
	c.wait("oned answers", func() bool {
		_, err := c.try("one.system.version")
		return err == nil
	})
	return c
}

// try makes a call as oneadmin and gives the text or number of its answer as text.
func (c *cloud) try(method string, params ...any) (string, error) {
	call := &xmlrpc.Call{Method: method, Params: []xmlrpc.Value{xmlrpc.String("oneadmin:opennebula")}}
	for _, p := range params {
		switch p := p.(type) {
		case int:
			call.Params = append(call.Params, xmlrpc.Int(p))
		case bool:
			call.Params = append(call.Params, xmlrpc.Bool(p))
		default:
			call.Params = append(call.Params, xmlrpc.String(fmt.Sprint(p)))
		}
	}
	client := &http.Client{Timeout: time.Minute}
	resp, err := client.Post(c.url, "text/xml", bytes.NewReader(xmlrpc.EncodeCall(call)))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	v, fault, err := xmlrpc.DecodeResponse(body)
	if err != nil {
		return "", err
	}
	if fault != nil {
		return "", fault
	}
	parts, _ := v.AsArray()
	if len(parts) != 3 {
		return "", fmt.Errorf("%s: %d values", method, len(parts))
	}
	text, isText := parts[1].AsString()
	if !isText {
		n, _ := parts[1].AsInt()
		text = fmt.Sprint(n)
	}
	if ok, _ := parts[0].AsBool(); !ok {
		return "", errors.New(text)
	}
	return text, nil
}

func (c *cloud) call(method string, params ...any) string {
	c.t.Helper()
	text, err := c.try(method, params...)
	if err != nil {
		c.t.Fatalf("%s%v: %v", method, params, err)
	}
	return text
}

// wait polls until something holds.
func (c *cloud) wait(what string, holds func() bool) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// await polls an object until its document has a text, keeping each different document for the judge.
func (c *cloud) await(kind string, id int, text string) {
	c.t.Helper()
	last := ""
	c.wait(fmt.Sprintf("%s %d has %s", kind, id, text), func() bool {
		doc := c.call("one."+kind+".info", id)
		if doc != last {
			c.keep(schemaOf[kind], doc)
		}
		last = doc
		return strings.Contains(doc, text)
	})
}

var schemaOf = map[string]string{
	"vm": "vm", "host": "host", "image": "image", "template": "vmtemplate", "vn": "vnet", "datastore": "datastore", "cluster": "cluster",
	"user": "user", "group": "group",
}

func (c *cloud) keep(schema, document string) {
	c.documents[schema] = append(c.documents[schema], document)
}

// pools keeps what all pools and all objects in them look like now.
func (c *cloud) pools() {
	c.t.Helper()
	id := regexp.MustCompile(`<ID>(\d+)</ID><(?:UID|GID|NAME)>`)
	for kind, params := range map[string][]any{
		"vm": {-2, -1, -1, -2}, "host": nil, "image": {-2, -1, -1}, "template": {-2, -1, -1}, "vn": {-2, -1, -1}, "datastore": nil, "cluster": nil,
		"user": nil, "group": nil,
	} {
		pool := c.call("one."+kind+"pool.info", params...)
		c.keep(schemaOf[kind]+"_pool", pool)
		for _, m := range id.FindAllStringSubmatch(pool, -1) {
			var n int
			if _, err := fmt.Sscan(m[1], &n); err != nil {
				c.t.Fatal(err)
			}
			c.keep(schemaOf[kind], c.call("one."+kind+".info", n))
		}
	}
	c.keep("acct", c.call("one.vmpool.accounting", -2, -1, -1))
	for _, m := range []struct {
		schema, root, method string
		params               []any
	}{{"vm", "VM", "one.vmpool.monitoring", []any{-2}}, {"host", "HOST", "one.hostpool.monitoring", nil}} {
		samples := regexp.MustCompile(`(?s)<`+m.root+`><ID>.*?</`+m.root+`>`).FindAllString(c.call(m.method, m.params...), -1)
		for _, s := range samples {
			c.keep(m.schema, s)
		}
	}
}

// populate makes objects of every kind and brings VMs, images and hosts into as many states as the dummy drivers allow.
func (c *cloud) populate() {
	const dead = "nosuch"
	for _, id := range []int{0, 1, 2} {
		c.call("one.datastore.update", id, "TM_MAD=dummy DS_MAD=dummy", 1)
	}
	c.call("one.cluster.allocate", "c")
	c.call("one.cluster.update", 100, "DATASTORE_LOCATION=/d A=[B=c]", 1)
	for i, name := range []string{"h0", "h1", "off", "broken"} {
		c.call("one.host.allocate", name, map[bool]string{true: dead, false: "dummy"}[name == "broken"], "dummy", "dummy", -1)
		if name == "off" {
			c.call("one.host.enable", i, false)
		}
	}
	c.call("one.datastore.allocate", "NAME=sys TYPE=SYSTEM_DS TM_MAD=dummy", 100)
	c.call("one.datastore.allocate", "NAME=img TYPE=IMAGE_DS DS_MAD=dummy TM_MAD=dummy LIMIT_MB=5000", -1)
	c.call("one.cluster.adddatastore", 100, 101)
	c.call("one.cluster.addhost", 100, 0)
	c.call("one.cluster.addhost", 100, 1)

	c.call("one.vn.allocate", "NAME=ranged TYPE=RANGED BRIDGE=b NETWORK_ADDRESS=10.0.0.0/24 GATEWAY=10.0.0.254 GLOBAL_PREFIX=\"2001:a::\" SITE_PREFIX=\"fd01:a::\"", -1)
	c.call("one.vn.allocate", "NAME=fixed TYPE=FIXED PHYDEV=eth0 VLAN_ID=7 LEASES=[IP=10.1.0.1] LEASES=[IP=10.1.0.2,MAC=02:00:00:00:00:09]", 100)
	c.call("one.vn.allocate", "NAME=v6 TYPE=RANGED BRIDGE=b MAC_START=02:00:01:02:03:04 NETWORK_SIZE=5 GLOBAL_PREFIX=\"2001:a::\"", -1)
	c.call("one.vn.hold", 1, "LEASES=[IP=10.1.0.2]")

	for i, text := range []string{
		"NAME=os TYPE=OS PATH=/os", "NAME=cd TYPE=CDROM PATH=/cd", "NAME=data TYPE=DATABLOCK SIZE=10 FSTYPE=ext3", "NAME=pers TYPE=OS PATH=/p PERSISTENT=YES",
	} {
		c.call("one.image.allocate", text, 101)
		c.await("image", i, "<STATE>1</STATE>")
	}
	for i, text := range []string{"NAME=kernel TYPE=KERNEL PATH=/k", "NAME=initrd TYPE=RAMDISK PATH=/r", "NAME=file TYPE=CONTEXT PATH=/f"} {
		c.call("one.image.allocate", text, 2)
		c.await("image", 4+i, "<STATE>1</STATE>")
	}
	c.call("one.image.clone", 0, "clone")
	c.await("image", 7, "<STATE>1</STATE>")
	c.call("one.image.enable", 7, false)

	c.call("one.group.allocate", "g")
	c.call("one.group.addprovider", 100, 0, 100)
	c.call("one.group.update", 100, "A=1 V=[K=v]")
	c.call("one.user.allocate", "ann", "pw", "core")
	c.call("one.user.allocate", "key", "ssh-rsa", "ssh")
	c.call("one.user.addgroup", 2, 100)
	const limits = "VM=[VMS=9,CPU=9.5,MEMORY=99999,VOLATILE_SIZE=999] DATASTORE=[ID=101,SIZE=999,IMAGES=9] NETWORK=[ID=0,LEASES=9] IMAGE=[ID=0,RVMS=9]"
	c.call("one.user.quota", 2, limits)
	c.call("one.group.quota", 1, limits)
	c.call("one.userquota.update", "NETWORK=[ID=1,LEASES=5] DATASTORE=[ID=1,SIZE=5,IMAGES=5] IMAGE=[ID=3,RVMS=5]")
	c.call("one.groupquota.update", "NETWORK=[ID=1,LEASES=5]")
	c.call("one.document.allocate", "NAME=doc", 100)
	c.pools()

	c.call("one.template.allocate", `NAME=full CPU=0.5 MEMORY=128 VCPU=2 DISK=[IMAGE_ID=0] DISK=[IMAGE_ID=1] DISK=[IMAGE_ID=3] DISK=[TYPE=swap,SIZE=10]
		NIC=[NETWORK_ID=0] NIC=[NETWORK_ID=2,MODEL=virtio] OS=[KERNEL_DS="$FILE[IMAGE_ID=4]",INITRD_DS="$FILE[IMAGE_ID=5]",BOOT=hd]
		CONTEXT=[NETWORK=YES,FILES_DS="$FILE[IMAGE_ID=6]",HOSTNAME="$NAME"] GRAPHICS=[TYPE=vnc] FEATURES=[ACPI=yes] RANK=FREE_CPU NOTE="a<b&c"`)
	c.call("one.template.allocate", "NAME=small CPU=1 MEMORY=1")
	c.call("one.template.chmod", 1, 1, 1, 1, 1, 1, 0, 1, 0, 0)
	c.call("one.template.instantiate", 0, "busy")
	for i := range 8 {
		c.call("one.template.instantiate", 1, fmt.Sprintf("small%d", i), i == 0, "")
	}
	c.await("vm", 1, "<STATE>2</STATE>")
	const running = "<LCM_STATE>3</LCM_STATE>"
	for id := range 9 {
		if id == 1 || id == 2 {
			continue // HOLD and PENDING
		}
		c.call("one.vm.deploy", id, id%2, false, 100)
		c.await("vm", id, running)
	}
	c.call("one.vm.snapshotcreate", 0, "snap")
	c.await("vm", 0, running)
	c.call("one.vm.attach", 0, "DISK=[IMAGE_ID=2]")
	c.await("vm", 0, running)
	c.call("one.vm.attachnic", 0, "NIC=[NETWORK_ID=0]")
	c.await("vm", 0, running)
	c.call("one.vm.savedisk", 0, 0, "saved", "", true, true)
	c.await("vm", 0, running)
	c.call("one.vm.migrate", 0, 1, true)
	c.await("vm", 0, running)
	for id, action := range map[int][2]string{
		3: {"stop", "<STATE>4<"}, 4: {"suspend", "<STATE>5<"}, 5: {"poweroff", "<STATE>8<"}, 6: {"undeploy", "<STATE>9<"}, 7: {"shutdown", "<STATE>6<"},
	} {
		c.call("one.vm.action", action[0], id)
		c.await("vm", id, action[1])
	}
	c.call("one.vm.action", "delete-recreate", 8)
	c.await("vm", 8, "<STATE>1<")
	c.call("one.vm.chown", 2, 2, 1)
	c.wait("there are samples of VMs and hosts", func() bool {
		return strings.Contains(c.call("one.vmpool.monitoring", -2), "<VM>") && strings.Contains(c.call("one.hostpool.monitoring"), "<HOST>")
	})
}

// TestAnswersValidate has every document of the population judged.
func TestAnswersValidate(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a daemon")
	}
	shared := os.Getenv("GONED_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	schemas := filepath.Join(shared, "xsd")
	if _, err := os.Stat(schemas); err != nil {
		t.Skipf("no schemas of 4.6.2: %v; set GONED_SHARED", err)
	}
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	c := start(t)
	c.populate()
	c.pools()
	root := regexp.MustCompile(`^<[A-Z_]+`)
	for schema, documents := range c.documents {
		dir := t.TempDir()
		args := []string{"--noout", "--schema", filepath.Join(schemas, schema+".xsd")}
		for i, doc := range documents {
			path := filepath.Join(dir, fmt.Sprintf("%d.xml", i))
			must(t, os.WriteFile(path, []byte(root.ReplaceAllString(doc, `$0 xmlns="http://opennebula.org/XMLSchema"`)), 0o600))
			args = append(args, path)
		}
		out, err := exec.Command(xmllint, args...).CombinedOutput()
		valid := strings.Count(string(out), " validates\n")
		t.Logf("%s: %d of %d valid", schema, valid, len(documents))
		if err != nil || valid != len(documents) {
			t.Errorf("%s: %v\n%s", schema, err, regexp.MustCompile(`(?m)^.* validates\n`).ReplaceAll(out, nil))
		}
	}
	for _, schema := range []string{"vm", "vm_pool", "host", "host_pool", "image", "image_pool", "vmtemplate", "vmtemplate_pool", "vnet", "vnet_pool",
		"datastore", "datastore_pool", "cluster", "cluster_pool", "user", "user_pool", "group", "group_pool", "acct"} {
		if len(c.documents[schema]) == 0 {
			t.Errorf("no document for %s", schema)
		}
	}
}
