package guest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A BIOS boots a disk whose first sector ends in 55 AA.
func TestDiskBoots(t *testing.T) {
	disk := Disk()
	if len(disk) != diskSize || len(bootSector) != 512 {
		t.Errorf("disk of %d bytes with a boot sector of %d", len(disk), len(bootSector))
	}
	if !bytes.Equal(disk[510:512], []byte{0x55, 0xaa}) {
		t.Errorf("boot signature is % x", disk[510:512])
	}
	if !bytes.Contains(disk, []byte(Greeting)) {
		t.Errorf("no %q in the boot sector", Greeting)
	}
}

// The committed boot sector is what its source says.
func TestBootSector(t *testing.T) {
	nasm, err := exec.LookPath("nasm")
	if err != nil {
		t.Skip("nasm is not installed")
	}
	out := filepath.Join(t.TempDir(), "boot.img")
	if text, err := exec.Command(nasm, "-f", "bin", "-o", out, "boot.asm").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bootSector, want) {
		t.Error("boot.img is not what boot.asm assembles to")
	}
}
