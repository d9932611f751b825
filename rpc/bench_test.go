package rpc

import (
	"fmt"
	"sync/atomic"
	"testing"

	"goned/core/auth"
	"goned/core/state"
	"goned/rpc/xmlrpc"
)

// benchTemplate becomes a VM document of 3.4 KB.
const benchTemplate = `NAME = "load-vm"
CPU = 0.1
VCPU = 1
MEMORY = 128
OS = [ ARCH = "x86_64", BOOT = "hd" ]
FEATURES = [ ACPI = "yes", PAE = "yes" ]
DISK = [ IMAGE_ID = %d, DRIVER = "qcow2", CACHE = "none" ]
DISK = [ TYPE = swap, SIZE = 1024, TARGET = "hdz" ]
NIC = [ NETWORK_ID = 0, MODEL = "virtio" ]
GRAPHICS = [ TYPE = "vnc", LISTEN = "0.0.0.0", KEYMAP = "en-us" ]
INPUT = [ TYPE = "tablet", BUS = "usb" ]
CONTEXT = [ HOSTNAME = "load-vm.example.org", NETWORK = "YES", TARGET = "hdy", SSH_PUBLIC_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB
  AAABAQC7mJ3b1vQk0nT9m4g9W2pXo0r3s5U6yVZ8aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7iJ8kL9mN0oP1qR2sT3uV4wX5yZ6aB7cD8eF
  9gH0iJ1kL2mN3oP4qR5sT6uV7wX8yZ9aB0cD1eF2gH3iJ4kL5 load@example.org",
  DNS = "10.0.0.1", SEARCH_DOMAIN = "example.org", USER_SCRIPT = "yum -y update; systemctl restart httpd" ]
DESCRIPTION = "load generator virtual machine with a sentence of description"
SCHED_REQUIREMENTS = "CPUSPEED > 1000"
SCHED_RANK = "FREE_CPU"
`

// benchCloud is a cloud with a network and ten images that everybody may use.
func benchCloud(b *testing.B) *testCloud {
	c := newCloud(b, "")
	everybody := []any{1, 1, 0, 1, 0, 0, 1, 0, 0}
	ds := c.must(root, "one.datastore.allocate", "NAME=perf\nDS_MAD=dummy\nTM_MAD=dummy", -1)
	c.must(root, "one.datastore.chmod", append([]any{ds}, everybody...)...)
	for i := range 10 {
		img := c.must(root, "one.image.allocate", fmt.Sprintf("NAME=i%d\nPATH=/etc/hosts\nTYPE=OS", i), ds)
		c.must(root, "one.image.chmod", append([]any{img}, everybody...)...)
	}
	c.drive()
	net := c.must(root, "one.vn.allocate", "NAME=n\nTYPE=RANGED\nBRIDGE=b\nNETWORK_ADDRESS=10.0.0.0\nNETWORK_MASK=255.0.0.0", -1)
	c.must(root, "one.vn.chmod", append([]any{net}, everybody...)...)
	return c
}

// seed makes n VMs, of which bob owns five and alice the others.
func seed(b *testing.B, c *testCloud, n int) {
	inParallel(b, 64, n, func(i int) error {
		session := alice
		if i%(n/5) == 0 {
			session = bob
		}
		if a := c.call(session, "one.vm.allocate", fmt.Sprintf(benchTemplate, i%10), true); !a.ok {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
}

// BenchmarkCalls makes calls that read, answers encoded, with few VMs and with many: only those that return the pool may differ.
func BenchmarkCalls(b *testing.B) {
	for _, n := range []int{100, 3000} {
		c := benchCloud(b)
		seed(b, c, n)
		for _, call := range []struct {
			name, session, method string
			params                []any
		}{
			{"vm.info", root, "one.vm.info", []any{n / 2}},
			{"image.info", root, "one.image.info", []any{0}},
			{"own 5 VMs", bob, "one.vmpool.info", []any{auth.Mine, -1, -1, -1}},
			{"usable 5 VMs", bob, "one.vmpool.info", []any{auth.All, -1, -1, -1}},
			{"first page", root, "one.vmpool.info", []any{auth.All, 0, -20, -1}},
			{"last page", root, "one.vmpool.info", []any{auth.All, n - 20, -20, -1}},
			{"whole pool", root, "one.vmpool.info", []any{auth.All, -1, -1, -1}},
		} {
			in := &xmlrpc.Call{Method: call.method, Params: []xmlrpc.Value{xmlrpc.String(call.session)}}
			for _, p := range call.params {
				in.Params = append(in.Params, value(b, p))
			}
			b.Run(fmt.Sprintf("%s/of %d", call.name, n), func(b *testing.B) {
				b.ReportAllocs()
				var scratch []byte
				for b.Loop() {
					v, fault := c.srv.ServeCall(b.Context(), in)
					parts, _ := xmlrpc.EncodeResponse(scratch, v, fault)
					scratch = parts[0][:0]
				}
			})
		}
	}
}

// BenchmarkAllocate allocates VMs from several clients at once, on the disk that holds the directory of temporary files.
func BenchmarkAllocate(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			c := benchCloud(b)
			b.ReportAllocs()
			b.ResetTimer()
			inParallel(b, writers, b.N, func(i int) error {
				if a := c.call(alice, "one.vm.allocate", fmt.Sprintf(benchTemplate, i%10), true); !a.ok {
					return fmt.Errorf("%v", a)
				}
				return nil
			})
		})
	}
}

// BenchmarkGroupCommit makes the smallest change there is from 64 writers at once: what it costs is the share of a disk sync.
func BenchmarkGroupCommit(b *testing.B) {
	c := newCloud(b, "")
	inParallel(b, 64, b.N, func(int) error {
		return c.store.Update(func(tx *state.Tx) error { tx.NextID(state.VMIDs); return nil })
	})
}

// inParallel runs fn n times from so many goroutines.
func inParallel(b *testing.B, writers, n int, fn func(i int) error) {
	var next atomic.Int64
	done := make(chan error)
	for range writers {
		go func() {
			var err error
			for err == nil {
				i := int(next.Add(1) - 1)
				if i >= n {
					break
				}
				err = fn(i)
			}
			done <- err
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}
