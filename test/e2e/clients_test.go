package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// TestMainJob does what clouds are for with three clients that know nothing of
// our code: a user, a host, a network, an image, a template, a machine of it,
// which the scheduler places, RUNNING, shut down, DONE.
func TestMainJob(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{})
	c.schedule()
	t.Run("clients", func(t *testing.T) { // returns when the parallel ones are done
		t.Run("kolo/xmlrpc", func(t *testing.T) {
			t.Parallel()
			mainJob(t, c.client, "go")
		})
		t.Run("npm opennebula", func(t *testing.T) {
			t.Parallel()
			need(t, "node")
			dir := filepath.Join("..", "clients", "npm")
			if _, err := os.Stat(filepath.Join(dir, "node_modules", "opennebula")); err != nil {
				t.Skip("the package is not installed; npm ci --prefix test/clients/npm installs it")
			}
			foreignJob(t, c, "node", filepath.Join(dir, "main_job.js"), "npm")
		})
		t.Run("python xmlrpc.client", func(t *testing.T) {
			t.Parallel()
			need(t, "python3")
			foreignJob(t, c, "python3", filepath.Join("..", "clients", "python", "main_job.py"), "python")
		})
	})
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
}

// foreignJob runs a client program, which does the main job and complains about what is wrong.
func foreignJob(t *testing.T, c *cloud, interpreter, script, prefix string) {
	cmd := exec.Command(interpreter, script, c.Endpoint, c.Session, prefix)
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(`^VM \d+ DONE\n$`).Match(out) {
		t.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
}

func mainJob(t *testing.T, admin client, prefix string) {
	name := prefix + "-用户"
	uid := admin.must(t, "one.user.allocate", name, "geheim", "core")
	host := admin.addHost(t, prefix+"-host", "dummy", "dummy")

	one := admin.as(name + ":geheim")
	network := one.must(t, "one.vn.allocate", fmt.Sprintf("NAME=\"%s 网络\"\nTYPE=FIXED\nBRIDGE=br0\nLEASES=[IP=10.9.1.7]", prefix), -1)
	img := one.must(t, "one.image.allocate", fmt.Sprintf("NAME=\"%s 镜像\"\nTYPE=OS\nPATH=/image", prefix), 1)
	one.awaitImage(t, img, "READY")
	template := one.must(t, "one.template.allocate", fmt.Sprintf(
		"NAME=\"%s 模板\"\nCPU=0.5\nMEMORY=64\nDISK=[IMAGE_ID=%d]\nNIC=[NETWORK_ID=%d]\nSCHED_REQUIREMENTS=\"NAME=\\\"%s-host\\\"\"",
		prefix, img, network, prefix))
	began := time.Now()
	id := one.must(t, "one.template.instantiate", template, prefix+" 机器", false, "")
	d := one.awaitVM(t, id, "RUNNING")
	t.Logf("RUNNING after %v", time.Since(began))
	for path, want := range map[string]string{
		"NAME": prefix + " 机器", "UID": fmt.Sprint(uid), "UNAME": name, "GNAME": "users", "TEMPLATE/NIC/IP": "10.9.1.7",
		"TEMPLATE/TEMPLATE_ID": fmt.Sprint(template), "HISTORY_RECORDS/HISTORY/HID": fmt.Sprint(host),
		"DEPLOY_ID": prefix + "-host:" + prefix, // a word; the driver puts the name with its blank into it
	} {
		if got := d.Text(path); got != want {
			t.Errorf("%s is %q, not %q", path, got, want)
		}
	}
	inUse, err := one.Document("one.image.info", img)
	must(t, err)
	if inUse.Text("RUNNING_VMS") != "1" || inUse.Text("VMS/ID") != fmt.Sprint(id) {
		t.Errorf("the image is used by %s machines, %q", inUse.Text("RUNNING_VMS"), inUse.Text("VMS/ID"))
	}
	one.must(t, "one.vm.action", "shutdown", id)
	d = one.awaitVM(t, id, "DONE")
	if d.Number("ETIME") == 0 {
		t.Error("no ETIME")
	}
	one.awaitImage(t, img, "READY")
	h, err := admin.Document("one.host.info", host)
	must(t, err)
	if h.Text("HOST_SHARE/RUNNING_VMS") != "0" || h.Text("HOST_SHARE/MEM_USAGE") != "0" {
		t.Errorf("the host still gives %s KB to %s machines", h.Text("HOST_SHARE/MEM_USAGE"), h.Text("HOST_SHARE/RUNNING_VMS"))
	}
}
