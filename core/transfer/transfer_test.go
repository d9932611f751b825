package transfer

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"

	"goned/core/template"
	"goned/core/vm"
)

var fe = FrontEnd{Host: "front", Dir: "/var/lib/one/vms/121"}

// sample is a VM on host-b with an image disk, a swap disk and a persistent disk, moved there from host-a.
func sample(t testing.TB) *vm.VM {
	t.Helper()
	body, err := os.ReadFile("testdata/vm.xml")
	if err != nil {
		t.Fatal(err)
	}
	v, err := vm.Parse(strings.TrimSpace(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// lines puts the directory in place of RD.
func lines(text ...string) string {
	return strings.ReplaceAll(strings.Join(text, "\n")+"\n", "RD", "/var/lib/one//datastores/0/121")
}

func TestScripts(t *testing.T) {
	hot := func(v *vm.VM) (Script, error) {
		v.Disk(0).Set("HOTPLUG_SAVE_AS_ACTIVE", "YES")
		v.Disk(0).Set("HOTPLUG_SAVE_AS_SOURCE", "/ds/1/new")
		return SaveHot(v)
	}
	tests := []struct {
		name string
		make func(*vm.VM) (Script, error)
		want string
	}{
		{"prolog", func(v *vm.VM) (Script, error) {
			p, err := Prolog(v, fe)
			if p.Kernel != "/var/lib/one//datastores/0/121/kernel" || p.Initrd != "" || !p.HasContext || !p.HasToken {
				t.Errorf("got %+v", p)
			}
			return p.Script, err
		}, lines(
			"CLONE qcow2 front:/ds/1/abc host-b:RD/disk.0 121 1",
			"MKSWAP shared 100 host-b:RD/disk.1 121 0",
			"LN ceph rbd:pool/x host-b:RD/disk.3 121 3",
			"CLONE ssh front:/ds/2/k host-b:RD/kernel 121 2",
			"CONTEXT shared /var/lib/one/vms/121/context.sh /etc/a /etc/b /ds/2/x:'init.sh'  /var/lib/one/vms/121/token.txt host-b:RD/disk.2 121 0",
		)},
		{"resume", func(v *vm.VM) (Script, error) { return Resume(v, "front") }, lines(
			"MV qcow2 front:RD/disk.0 host-b:RD/disk.0 121 1",
			"MV shared front:RD/disk.1 host-b:RD/disk.1 121 0",
			"MV ceph front:RD/disk.3 host-b:RD/disk.3 121 3",
			"MV shared front:RD host-b:RD 121 0",
		)},
		{"migrate", Migrate, lines(
			"MV qcow2 host-a:RD/disk.0 host-b:RD/disk.0 121 1",
			"MV shared host-a:RD/disk.1 host-b:RD/disk.1 121 0",
			"MV ceph host-a:RD/disk.3 host-b:RD/disk.3 121 3",
			"MV shared host-a:RD host-b:RD 121 0",
		)},
		{"stop", func(v *vm.VM) (Script, error) { return Stop(v, "front") }, lines(
			"MV qcow2 host-b:RD/disk.0 front:RD/disk.0 121 1",
			"MV shared host-b:RD/disk.1 front:RD/disk.1 121 0",
			"MV ceph host-b:RD/disk.3 front:RD/disk.3 121 3",
			"MV shared host-b:RD front:RD 121 0",
		)},
		{"epilog", Epilog, lines(
			"DELETE qcow2 host-b:RD/disk.0 121 1",
			"DELETE shared host-b:RD/disk.1 121 0",
			"MVDS ceph host-b:RD/disk.3 rbd:pool/x 121 3",
			"DELETE shared host-b:RD 121 0",
		)},
		{"epilog of a disk to be saved elsewhere", func(v *vm.VM) (Script, error) {
			v.Disk(0).Set("SAVE", "yes")
			v.Disk(0).Set("SAVE_AS_SOURCE", "/ds/1/new")
			v.RemoveDisk(v.Disk(3))
			return Epilog(v)
		}, lines(
			"MVDS qcow2 host-b:RD/disk.0 /ds/1/new 121 1",
			"DELETE shared host-b:RD/disk.1 121 0",
			"DELETE shared host-b:RD 121 0",
		)},
		{"delete local", func(v *vm.VM) (Script, error) { return DeleteLocal(v, "front") }, lines(
			"DELETE qcow2 front:RD/disk.0 121 1",
			"DELETE shared front:RD/disk.1 121 0",
			"DELETE ceph front:RD/disk.3 121 3",
			"DELETE shared front:RD 121 0",
		)},
		{"delete both", DeleteBoth, lines(
			"DELETE qcow2 host-b:RD/disk.0 121 1",
			"DELETE shared host-b:RD/disk.1 121 0",
			"DELETE ceph host-b:RD/disk.3 121 3",
			"DELETE shared host-b:RD 121 0",
			"DELETE qcow2 host-a:RD/disk.0 121 1",
			"DELETE ssh host-a:RD/disk.1 121 100",
			"DELETE ceph host-a:RD/disk.3 121 3",
			"DELETE ssh host-a:RD 121 100",
		)},
		{"save hot", hot, lines("CPDS qcow2 host-b:RD/disk.0 /ds/1/new 121 1")},
		{"live migration", func(v *vm.VM) (Script, error) {
			text, err := LiveMigration(v)
			return Script{Text: text}, err
		}, lines("MIGRATE shared host-a host-b RD 121 0")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := tt.make(sample(t))
			if err != nil {
				t.Fatal(err)
			}
			if s.Text != tt.want {
				t.Errorf("\n got %s\nwant %s", s.Text, tt.want)
			}
		})
	}
}

func TestPreviousAndCurrentDelete(t *testing.T) {
	v := sample(t)
	here, err1 := Delete(v)
	there, err2 := DeletePrevious(v)
	both, err3 := DeleteBoth(v)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if both.Text != here.Text+there.Text {
		t.Errorf("got %s", both.Text)
	}
}

func TestRefusals(t *testing.T) {
	noHistory := func(v *vm.VM) { v.History = nil }
	noDriver := func(v *vm.VM) { v.Current().TMMAD = "" }
	first := func(v *vm.VM) { v.History = v.History[:1] }
	script := func(f func(*vm.VM) (Script, error)) func(*vm.VM) error {
		return func(v *vm.VM) error {
			_, err := f(v)
			return err
		}
	}
	prolog := func(v *vm.VM) error {
		_, err := Prolog(v, fe)
		return err
	}
	tests := []struct {
		name   string
		change func(*vm.VM)
		do     func(*vm.VM) error
		want   string
	}{
		{"prolog without history", noHistory, prolog, "VM 121 has no history"},
		{"prolog without driver", noDriver, prolog, "prolog, error getting drivers."},
		{"prolog of a broken disk", func(v *vm.VM) { v.Disk(3).Del("SOURCE") }, prolog,
			"missing DISK mandatory attributes (SOURCE, TM_MAD, CLONE, DATASTORE_ID) for VM 121, DISK 3"},
		{"prolog that would hold another command", func(v *vm.VM) { v.Disk(0).Set("SOURCE", "x\nDELETE y") }, prolog,
			`line end in a transfer command: "CLONE qcow2 front:x"`},
		{"prolog with several words as size", func(v *vm.VM) { v.Disk(1).Set("SIZE", "1 host:/etc") }, prolog,
			`white space in SIZE of a DISK: "1 host:/etc"`},
		{"migration without previous host", first, script(Migrate), "prolog_migr, VM 121 has no history"},
		{"epilog without history", noHistory, script(Epilog), "epilog, VM 121 has no history"},
		{"stop without driver", noDriver, script(func(v *vm.VM) (Script, error) { return Stop(v, "f") }), "epilog_stop, error getting drivers."},
		{"delete without history", noHistory, script(Delete), "epilog_delete, VM 121 missing history record"},
		{"delete without driver", noDriver, script(Delete), "epilog_delete, error getting drivers."},
		{"delete both without previous host", first, script(DeleteBoth), "epilog_delete, VM 121 missing history record"},
		{"nothing to save", func(*vm.VM) {}, script(SaveHot), "Could not get disk information to saveas it"},
		{"nowhere to save to", func(v *vm.VM) { v.Disk(0).Set("HOTPLUG_SAVE_AS_ACTIVE", "YES") }, script(SaveHot),
			"No SOURCE to save disk image"},
		{"no driver to save with", func(v *vm.VM) { v.Disk(1).Set("HOTPLUG_SAVE_AS_ACTIVE", "YES") }, script(SaveHot),
			"No DS_ID or TM_MAD to save disk image"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := sample(t)
			tt.change(v)
			err := tt.do(v)
			var known Error
			if !errors.As(err, &known) || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDisksLeftOut(t *testing.T) {
	v := sample(t)
	v.Disk(0).Del("DATASTORE_ID")
	v.Disk(1).Set("SIZE", "")
	v.Disk(3).Del("SOURCE")
	s, err := Epilog(v)
	if err != nil {
		t.Fatal(err)
	}
	want := lines("DELETE shared host-b:RD/disk.1 121 0", "DELETE shared host-b:RD 121 0")
	if s.Text != want || len(s.Errors) != 1 || s.Errors[0] != "No SOURCE to save disk image" {
		t.Errorf("got %+v", s)
	}
	v = sample(t)
	v.Disk(1).Set("SIZE", "")
	p, err := Prolog(v, fe)
	if err != nil || len(p.Warnings) != 1 || p.Warnings[0] != "No size in swap image, skipping" || strings.Contains(p.Text, "disk.1") {
		t.Errorf("got %+v, %v", p, err)
	}
	v.Disk(1).Set("TYPE", "fs")
	v.Disk(1).Set("SIZE", "5")
	if p, err = Prolog(v, fe); err != nil || !strings.Contains(p.Text, "MKIMAGE shared 5 raw host-b:") {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestHotplug(t *testing.T) {
	v := sample(t)
	do, undo, warning, err := Attach(v, v.Disk(0), "front")
	if err != nil || warning != "" {
		t.Fatal(warning, err)
	}
	if want := lines("CLONE qcow2 front:/ds/1/abc host-b:RD/disk.0 121 1"); do != want {
		t.Errorf("got %s, want %s", do, want)
	}
	if want := lines("DELETE qcow2 host-b:RD/disk.0 121 1"); undo != want {
		t.Errorf("got %s, want %s", undo, want)
	}
	text, problem, err := Detach(v, v.Disk(3))
	if want := lines("MVDS ceph host-b:RD/disk.3 rbd:pool/x 121 3"); err != nil || problem != "" || text != want {
		t.Errorf("got %s, %s, %v", text, problem, err)
	}
	// On a public cloud host there is no system datastore; image disks have drivers of their own.
	v.Current().TMMAD = ""
	if _, _, err := Detach(v, v.Disk(0)); err != nil {
		t.Error(err)
	}
	v.History = nil
	if _, _, _, err := Attach(v, v.Disk(0), "front"); err == nil {
		t.Error("a disk was attached to a VM that is nowhere")
	}
}

func TestContextText(t *testing.T) {
	v := sample(t)
	text, ok := ContextText(v)
	want := "# Context variables generated by OpenNebula\nDISK_ID='2'\nETH0_IP='192.168.1.5'\nFILES='/etc/a\n/etc/b'\n" +
		`FILES_DS='/ds/2/x:'\''init.sh'\'' '` + "\n" + `NOTE='it'\''s` + "\ntwo lines'\nTARGET='hdb'\nTOKEN='yes'\n"
	if !ok || text != want {
		t.Errorf("got %s\nwant %s", text, want)
	}
	v.Template.AddVector("CONTEXT", template.NewVector())
	if _, ok := ContextText(v); ok {
		t.Error("two contexts count as one")
	}
}

func TestTokenText(t *testing.T) {
	v := sample(t)
	if _, err := TokenText(v, ""); !errors.Is(err, ErrNoTokenPassword) {
		t.Errorf("error %v", err)
	}
	for _, password := range []string{"0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef0123456789", "short"} {
		text, err := TokenText(v, password)
		if err != nil {
			t.Fatal(err)
		}
		key := []byte((password + strings.Repeat("\x00", 32))[:32])
		if got := decrypt(t, text, key); got != "121:1795385152" {
			t.Errorf("%s decrypts to %q", text, got)
		}
	}
}

func decrypt(t *testing.T, text string, key []byte) string {
	t.Helper()
	line, ended := strings.CutSuffix(text, "\n")
	secret, err := base64.StdEncoding.DecodeString(line)
	if err != nil || !ended {
		t.Fatalf("%q: %v", text, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCDecrypter(block, make([]byte, 16)).CryptBlocks(secret, secret)
	return string(secret[:len(secret)-int(secret[len(secret)-1])])
}

// FuzzProlog looks for disk attributes that smuggle in a second command.
func FuzzProlog(f *testing.F) {
	f.Add("/ds/1/abc", "100", "raw", "/etc/a")
	f.Add("a\nDELETE ssh host:/ 0 0", "1\n", "\r", "\n\nX")
	f.Fuzz(func(t *testing.T, source, size, format, files string) {
		v := sample(t)
		v.Disk(0).Set("SOURCE", source)
		v.Disk(1).Set("TYPE", "fs")
		v.Disk(1).Set("SIZE", size)
		v.Disk(1).Set("FORMAT", format)
		v.Template.Vector("CONTEXT").Set("FILES", files)
		p, err := Prolog(v, fe)
		if err != nil {
			return
		}
		want := []string{"CLONE ", "MKIMAGE ", "LN ", "CLONE ", "CONTEXT "}
		if size == "" {
			want = []string{"CLONE ", "LN ", "CLONE ", "CONTEXT "}
		}
		got := strings.SplitAfter(strings.TrimSuffix(p.Text, "\n"), "\n")
		if len(got) != len(want) {
			t.Fatalf("%d commands, want %d: %q", len(got), len(want), p.Text)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("command %q, want %s", got[i], want[i])
			}
		}
	})
}
