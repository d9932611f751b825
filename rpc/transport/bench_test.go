package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"syscall"
	"testing"

	"goned/rpc/xmlrpc"
)

// fixed answers every call with the same value.
type fixed struct{ v xmlrpc.Value }

func (h fixed) ServeCall(context.Context, *xmlrpc.Call) (xmlrpc.Value, *xmlrpc.Fault) {
	return h.v, nil
}

// cpuTime is the user and system time of this process in nanoseconds.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}

// benchmarkCalls makes calls over one connection with a client that does next to
// nothing: the CPU time reported is the server's, the kernel's share of both ends
// included.
func benchmarkCalls(b *testing.B, v xmlrpc.Value) {
	_, addr := serve(b, fixed{v}, Config{})
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	request := []byte(post(call("one.vm.info", xmlrpc.String("oneadmin:opennebula"), xmlrpc.Int(123))))
	buf := make([]byte, 1<<20)
	_, size := xmlrpc.EncodeResponse(nil, v, nil)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	br := bufio.NewReaderSize(nc, len(buf))
	start := cpuTime(b)
	for b.Loop() {
		if _, err := nc.Write(request); err != nil {
			b.Fatal(err)
		}
		for { // to the end of the header
			line, err := br.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if len(line) == 2 {
				break
			}
		}
		for left := size; left > 0; {
			n, err := io.ReadFull(br, buf[:min(left, len(buf))])
			if err != nil {
				b.Fatal(err)
			}
			left -= n
		}
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
}

func BenchmarkCallSmall(b *testing.B) {
	benchmarkCalls(b, xmlrpc.Array(xmlrpc.Bool(true), xmlrpc.String("4.6.2"), xmlrpc.Int(0)))
}

func BenchmarkCall5K(b *testing.B) {
	benchmarkCalls(b, xmlrpc.Array(xmlrpc.Bool(true), xmlrpc.Escaped(make5K()), xmlrpc.Int(0)))
}

func BenchmarkCall50M(b *testing.B) {
	chunks := make([][]byte, 10000)
	for i := range chunks {
		chunks[i] = make5K()
	}
	benchmarkCalls(b, xmlrpc.Array(xmlrpc.Bool(true), xmlrpc.Escaped(chunks...), xmlrpc.Int(0)))
}

func make5K() []byte {
	b := make([]byte, 5000)
	for i := range b {
		b[i] = 'x'
	}
	return b
}
