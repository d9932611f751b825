package collect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"goned/drivers/agent/run"
)

// Client reports the figures of the host it runs on. It serves hosts where a
// program may be installed; others have the script client of the im directory.
type Client struct {
	// Dir is the script directory on the host (SCRIPTS_REMOTE_DIR).
	Dir string
	// Hypervisor names the probes, im/<name>-probes.d.
	Hypervisor string
	DSLocation string
	HostID     int
	HostName   string
	// Address is host:port of the server.
	Address string
	Port    int
	Period  time.Duration
}

// FrontEnd is the address of the machine that opened this ssh session, where
// 4.6's client sends its reports: the first word of SSH_CLIENT.
func FrontEnd(sshClient string, port int) (string, error) {
	words := strings.Fields(sshClient)
	if len(words) == 0 {
		return "", fmt.Errorf("SSH_CLIENT is not set: cannot tell the address of the front-end")
	}
	return net.JoinHostPort(words[0], strconv.Itoa(port)), nil
}

// Run reports every period, the first time after a random part of one, until
// ctx ends or the scripts have been replaced or are gone: the next monitoring
// request then starts a new client.
func (c *Client) Run(ctx context.Context) error {
	conn, err := net.Dial("udp", c.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	update := filepath.Join(c.Dir, ".update")
	start := modTime(update)
	pause := rand.N(max(c.Period, 1))
	for {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		begin := time.Now()
		if _, err := os.Stat(c.probes()); err != nil || !modTime(update).Equal(start) {
			return nil
		}
		text, ok := c.probe(ctx)
		_, _ = conn.Write(Report(c.HostID, text, ok)) // UDP: a lost report is replaced by the next
		pause = max(0, c.Period-time.Since(begin))
	}
}

func (c *Client) probes() string { return filepath.Join(c.Dir, "im/run_probes") }

func (c *Client) probe(ctx context.Context) (text string, ok bool) {
	res := run.Local(ctx, run.Command{
		Argv: []string{c.probes(), c.Hypervisor + "-probes", c.DSLocation,
			strconv.Itoa(c.Port), strconv.Itoa(int(c.Period / time.Second)), strconv.Itoa(c.HostID), c.HostName},
		Timeout: max(10*c.Period, time.Minute),
	})
	if !res.OK() {
		return "Error executing probes: " + res.ErrorMessage(), false
	}
	return res.Stdout, true
}

func modTime(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
