package rpc

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"goned/core/quota"
)

// TestNumbersOfVM: numbers are read as 4.6 reads them; what 32 bits cannot hold is none.
func TestNumbersOfVM(t *testing.T) {
	c := newCloud(t, "")
	const refused = "8192 [VirtualMachineAllocate] Error allocating a new virtual machine. "
	for text, want := range map[string]string{
		"CPU=1 MEMORY=3000000000":                                refused + "MEMORY attribute must be a positive integer value.",
		"CPU=1 MEMORY=1.5":                                       refused + "MEMORY attribute must be a positive integer value.",
		"CPU=1 MEMORY=0":                                         refused + "MEMORY attribute must be a positive integer value.",
		"CPU=1 MEMORY=\"1 \"":                                    refused + "MEMORY attribute must be a positive integer value.",
		"CPU=x MEMORY=1":                                         refused + "CPU attribute must be a positive float or integer value.",
		"CPU=0x1 MEMORY=1":                                       refused + "CPU attribute must be a positive float or integer value.",
		"CPU=nan MEMORY=1":                                       refused + "CPU attribute must be a positive float or integer value.",
		"CPU=1 MEMORY=1 VCPU=0":                                  refused + "VCPU attribute must be a positive integer value.",
		"CPU=1 MEMORY=1 VCPU=4294967297":                         refused + "VCPU attribute must be a positive integer value.",
		"CPU=1 MEMORY=1 GRAPHICS=[PORT=-1]":                      refused + "Wrong PORT number in GRAPHICS attribute",
		"CPU=1 MEMORY=1 GRAPHICS=[PORT=4294967297]":              refused + "Wrong PORT number in GRAPHICS attribute",
		"CPU=1e-1 MEMORY=\" 7\" VCPU=\"\" GRAPHICS=[PORT=99999]": "ok 0",
	} {
		c.want(want, root, "one.vm.allocate", text)
	}
	if got := c.get(root, "one.vm.info", 0); !strings.Contains(got, "<CPU><![CDATA[0.1]]></CPU>") || !strings.Contains(got, "<MEMORY><![CDATA[7]]></MEMORY>") {
		t.Errorf("%s", got)
	}
}

// TestTargets: the first OS image that needs a device gets the first one, then the context and the CDs, then the rest. A target that two
// disks want is complained of before what is wrong with the disks behind them.
func TestTargets(t *testing.T) {
	c := newCloud(t, "")
	for i, kind := range []string{"OS", "OS", "CDROM", "DATABLOCK"} {
		c.must(root, "one.image.allocate", fmt.Sprintf("NAME=i%d PATH=/etc/hosts TYPE=%s", i, kind), 1)
	}
	c.drive()
	for disks, want := range map[string]string{
		"DISK=[IMAGE_ID=3] DISK=[IMAGE_ID=2] DISK=[IMAGE_ID=1] DISK=[IMAGE_ID=0]":                  "hdd hdc hda hde hdb",
		"DISK=[IMAGE_ID=0,TARGET=hdd] DISK=[IMAGE_ID=1] DISK=[IMAGE_ID=3]":                         "hdd hda hdc hdb",
		"DISK=[IMAGE_ID=0,TARGET=hda] DISK=[IMAGE_ID=3] DISK=[IMAGE_ID=1,DEV_PREFIX=sd]":           "hda hdc sda hdb",
		"DISK=[IMAGE_ID=0,TARGET=hda] DISK=[IMAGE_ID=1,TARGET=hda] DISK=[TYPE=none]":               "Two disks have defined the same target hda",
		"DISK=[IMAGE_ID=0,TARGET=hda] DISK=[TYPE=none] DISK=[IMAGE_ID=1,TARGET=hda]":               "DISK 1: Unknown disk type NONE",
		"DISK=[IMAGE_ID=0,TARGET=hdb] DISK=[IMAGE_ID=2] DISK=[TYPE=swap,SIZE=1] DISK=[IMAGE_ID=2]": "hdb hdc hde hdd hda",
	} {
		a := c.call(root, "one.vm.allocate", "CPU=1 MEMORY=1 CONTEXT=[A=b] "+disks)
		if !a.ok {
			if got, text := a.String(), "8192 [VirtualMachineAllocate] Error allocating a new virtual machine. "+want; got != text {
				t.Errorf("%s: %s", disks, got)
			}
			continue
		}
		doc := c.get(root, "one.vm.info", c.lastVM())
		var got []string
		for _, m := range regexp.MustCompile(`<DISK>.*?<TARGET><!\[CDATA\[(\w+)`).FindAllStringSubmatch(doc, -1) {
			got = append(got, m[1])
		}
		got = append(got, between(between(doc, "<CONTEXT>", "</CONTEXT>"), "<TARGET><![CDATA[", "]"))
		if strings.Join(got, " ") != want {
			t.Errorf("%s: targets %v, want %s", disks, got, want)
		}
	}
}

// TestFailedAllocation leaves nothing behind: neither leases nor the place from which the next one is searched, nor an id.
func TestFailedAllocation(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.vn.allocate", "NAME=n TYPE=RANGED BRIDGE=b NETWORK_ADDRESS=10.0.0.0 NETWORK_SIZE=C", -1)
	for range 3 {
		c.want("8192 [VirtualMachineAllocate] Error allocating a new virtual machine. Wrong PORT number in GRAPHICS attribute",
			root, "one.vm.allocate", "CPU=1 MEMORY=1 NIC=[NETWORK_ID=0] NIC=[NETWORK_ID=0] GRAPHICS=[PORT=-1]")
	}
	c.want("ok 0", root, "one.vm.allocate", "CPU=1 MEMORY=1 NIC=[NETWORK_ID=0,IP=10.0.0.9] NIC=[NETWORK_ID=0]")
	if got := c.get(root, "one.vm.info", 0); !strings.Contains(got, "<IP><![CDATA[10.0.0.1]]></IP>") {
		t.Errorf("%s", got)
	}
}

// TestContextErrors: 4.6 replaces the variables of a context, then looks for its files, then for the address of OneGate.
func TestContextErrors(t *testing.T) {
	c := newCloud(t, "")
	for context, want := range map[string]string{
		`BAD="$X[",FILES_DS="$FILE[IMAGE_ID=9]",TOKEN=YES`: `Error parsing: BAD=$X[ @^_^@ DISK_ID=0 @^_^@ TARGET=hda @^_^@ TOKEN=YES. syntax error, unexpected EOA, expecting VARIABLE at line 1, columns 9:10`,
		`FILES_DS="$FILE[IMAGE_ID=9]",TOKEN=YES`:           "Error parsing: $FILE[IMAGE_ID=9]. Image with ID: 9 does not exist",
		"TOKEN=YES":                                        "CONTEXT/TOKEN set, but OneGate endpoint was not defined in oned.conf or CONTEXT.",
	} {
		c.want("8192 [VirtualMachineAllocate] Error allocating a new virtual machine. "+want, root, "one.vm.allocate", "CPU=1 MEMORY=1 CONTEXT=["+context+"]")
	}

	// What 4.6 looks up in the networks is shown as it stands in the text.
	c.must(root, "one.vn.allocate", `NAME="n" TYPE=RANGED BRIDGE=b NETWORK_ADDRESS=10.0.0.0 NETWORK_SIZE=C DNS="costs $5"`, -1)
	c.want("8192 [VirtualMachineAllocate] Error allocating a new virtual machine. Error parsing: BAD=$X[ @^_^@ DISK_ID=0"+
		` @^_^@ ETH0_DNS=$NETWORK[DNS, NETWORK="n"] @^_^@ ETH0_GATEWAY=$NETWORK[GATEWAY, NETWORK="n"] @^_^@ ETH0_IP=10.0.0.1`+
		` @^_^@ ETH0_MAC=02:00:0a:00:00:01 @^_^@ ETH0_MASK=$NETWORK[NETWORK_MASK, NETWORK="n"]`+
		` @^_^@ ETH0_NETWORK=$NETWORK[NETWORK_ADDRESS, NETWORK="n"] @^_^@ ETH0_SEARCH_DOMAIN=$NETWORK[SEARCH_DOMAIN, NETWORK="n"]`+
		" @^_^@ NETWORK=YES @^_^@ TARGET=hda. syntax error, unexpected EOA, expecting VARIABLE at line 1, columns 9:10",
		root, "one.vm.allocate", `CPU=1 MEMORY=1 NIC=[NETWORK_ID=0] CONTEXT=[NETWORK=YES,BAD="$X["]`)
	// What they say is no text with variables.
	c.want("ok 0", root, "one.vm.allocate", `CPU=1 MEMORY=1 NIC=[NETWORK_ID=0] CONTEXT=[NETWORK=YES,A="$NAME"]`)
	if got := c.get(root, "one.vm.info", 0); !strings.Contains(got, "<ETH0_DNS><![CDATA[costs $5]]></ETH0_DNS>") || !strings.Contains(got, "<A><![CDATA[one-0]]></A>") {
		t.Errorf("%s", got)
	}
}

// TestRemovedOwner: nothing is counted for a user who is gone, so nothing that counts is attached to his VMs.
func TestRemovedOwner(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	alices := c.uid(alice)
	c.must(root, "one.user.delete", alices)
	for _, tc := range [][3]string{
		{"one.vm.attach", "DISK=[IMAGE_ID=0]", "512 [VirtualMachineAttach] User not found"},
		{"one.vm.attachnic", "NIC=[NETWORK_ID=0]", "512 [VirtualMachineAttachNic] User not found"},
		{"one.vm.attach", "DISK=[TYPE=swap,SIZE=1]", "ok 0"},
	} {
		c.want(tc[2], root, tc[0], 0, tc[1])
	}
}

func TestResize(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.host.allocate", "h", "i", "v", "n", -1)
	c.must(alice, "one.vm.allocate", "CPU=1 MEMORY=100")
	size := func() string {
		doc := c.get(root, "one.vm.info", 0)
		doc = between(doc, "<TEMPLATE>", "</TEMPLATE>")
		return strings.TrimSpace(between(doc, "<CPU><![CDATA[", "]") + " " + between(doc, "<MEMORY><![CDATA[", "]") + " " + between(doc, "<VCPU><![CDATA[", "]"))
	}
	step := func(answer, text, want string) {
		t.Helper()
		c.want(answer, alice, "one.vm.resize", 0, text, false)
		if got := size(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		used := c.usage(alice, quota.CPU, 0) + " " + c.usage(alice, quota.Memory, 0)
		if !strings.HasPrefix(want, used) {
			t.Errorf("%s: used %s", text, used)
		}
	}
	step("ok 0", "", "1 100")
	step("ok 0", "CPU=0 MEMORY=0 VCPU=0", "1 100")
	step("ok 0", "CPU=abc MEMORY=3000000000 VCPU=4294967297", "1 100")
	step("ok 0", "CPU=1.5 VCPU=2", "1.5 100 2")
	step("ok 0", "<T><MEMORY>50</MEMORY></T>", "1.5 50 2")
	const negative = "8192 [VirtualMachineResize] Could resize the VM. "
	step(negative+"CPU must be a positive float or integer value.", "CPU=-1 MEMORY=-1", "1.5 50 2")
	step(negative+"MEMORY must be a positive integer value.", "MEMORY=-1 VCPU=-1", "1.5 50 2")
	step(negative+"VCPU must be a positive integer value.", "VCPU=-1", "1.5 50 2")
	step("8192 Parse error: syntax error, unexpected $end, expecting OBRACKET or STRING at line 1, columns 4:5", "CPU=", "1.5 50 2")
	c.must(root, "one.user.quota", 2, "VM=[VMS=-1,CPU=-1,MEMORY=60,VOLATILE_SIZE=-1]")
	step("512 [VirtualMachineResize] user [2] limit of 60 reached for MEMORY quota in VM", "MEMORY=61 CPU=9", "1.5 50 2")
	step("ok 0", "MEMORY=60", "1.5 60 2")

	c.must(root, "one.vm.deploy", 0, 0)
	c.drive()
	step("2048 [VirtualMachineResize] Wrong state to perform action", "CPU=1", "1.5 60 2")
	c.must(alice, "one.vm.action", "poweroff", 0)
	c.drive()
	// The host was never measured: it has room for nothing. Only oneadmin may exceed that.
	step("2048 [VirtualMachineResize] host 0 does not have enough capacity.", "CPU=2", "1.5 60 2")
	c.want("2048 [VirtualMachineResize] host 0 does not have enough capacity.", root, "one.vm.resize", 0, "CPU=2", true)
	c.want("ok 0", root, "one.vm.resize", 0, "CPU=2", false)
	if got := c.get(root, "one.host.info", 0); !strings.Contains(got, "<MEM_USAGE>61440</MEM_USAGE><CPU_USAGE>200</CPU_USAGE>") {
		t.Errorf("%s", got)
	}
	c.must(alice, "one.vm.action", "delete", 0)
	c.drive()
	if got := c.get(root, "one.host.info", 0); !strings.Contains(got, "<MEM_USAGE>0</MEM_USAGE><CPU_USAGE>0</CPU_USAGE>") {
		t.Errorf("left on the host: %s", got)
	}
	if used := fmt.Sprint(c.usage(alice, quota.CPU, 0), c.usage(alice, quota.Memory, 0), c.usage(alice, quota.VMs, 0)); used != "000" {
		t.Errorf("left in the account: %s", used)
	}
}
