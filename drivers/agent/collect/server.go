// Package collect is push monitoring: collectd, the IM driver that receives
// what hosts report over UDP, and the client that reports from a host.
package collect

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"goned/drivers/agent"
)

const (
	// maxDatagram is more than UDP can carry.
	maxDatagram = 64 << 10
	// maxBuffered makes a flood of reports go out before their time.
	maxBuffered = 8 << 20
	// socketBuffer takes up what arrives while a report is handled.
	socketBuffer = 4 << 20
)

// Server receives reports, each one or more lines as an IM driver answers
// them, and hands them to oned.
type Server struct {
	conn net.PacketConn
	out  *agent.Output
	// flush is how long reports are collected.
	flush time.Duration

	mu      sync.Mutex // guards pending and size
	pending []string
	size    int
}

// Listen opens the UDP port (4.6: 4124 on all addresses).
func Listen(address string, port int, flush time.Duration, out *agent.Output) (*Server, error) {
	conn, err := net.ListenPacket("udp4", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	if udp, ok := conn.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(socketBuffer) // the kernel may grant less
	}
	return &Server{conn: conn, out: out, flush: max(flush, 10*time.Millisecond)}, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.conn.LocalAddr() }

// Run receives until ctx ends and closes the port.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	defer s.conn.Close()
	var flusher sync.WaitGroup
	defer flusher.Wait()
	flushCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	flusher.Go(func() { s.flushEvery(flushCtx) })

	buffer := make([]byte, maxDatagram)
	for {
		n, _, err := s.conn.ReadFrom(buffer)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			continue // an ICMP error of an earlier packet says nothing about ours
		}
		s.receive(buffer[:n])
	}
}

func (s *Server) flushEvery(ctx context.Context) {
	ticker := time.NewTicker(s.flush)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.flushNow()
		}
	}
}

func (s *Server) flushNow() {
	s.mu.Lock()
	lines := s.pending
	s.pending, s.size = nil, 0
	s.mu.Unlock()
	for _, line := range lines {
		s.out.Send(line)
	}
}

// receive keeps the lines of a datagram that an IM driver may say. 4.6 passes
// on whatever arrives; anything else is noise or worse, and is dropped.
func (s *Server) receive(datagram []byte) {
	for line := range bytes.Lines(datagram) {
		text := string(bytes.TrimRight(line, "\r\n"))
		if !acceptable(text) {
			continue
		}
		s.mu.Lock()
		s.pending = append(s.pending, text)
		s.size += len(text)
		full := s.size > maxBuffered
		s.mu.Unlock()
		if full {
			s.flushNow()
		}
	}
}

// acceptable reports whether a line is `MONITOR SUCCESS|FAILURE id base64` or
// a log line.
func acceptable(line string) bool {
	words := strings.Fields(line)
	if len(words) >= 3 && words[0] == "LOG" {
		return true
	}
	if len(words) != 4 || words[0] != "MONITOR" || words[1] != agent.Success && words[1] != agent.Failure {
		return false
	}
	if _, err := strconv.ParseUint(words[2], 10, 31); err != nil {
		return false
	}
	_, err := base64.StdEncoding.DecodeString(words[3])
	return err == nil
}

// Report is the datagram for one round of probes.
func Report(hostID int, text string, ok bool) []byte {
	result := agent.Success
	if !ok {
		result = agent.Failure
	}
	return fmt.Appendf(nil, "MONITOR %s %d %s\n", result, hostID, base64.StdEncoding.EncodeToString([]byte(text)))
}
