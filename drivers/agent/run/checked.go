package run

import (
	"context"
	"strings"
	"time"
)

// Checked runs scripts on hosts the way 4.6 runs polls, probes, reboots and
// snapshots: each in a session of its own, after a check that the script is
// there, repeated on failure if so configured.
type Checked struct {
	SSH     *SSH
	Remotes *Remotes
	// Retries is how often a failed run is repeated, a second apart; missing
	// scripts are copied to the host before that.
	Retries int
	Timeout time.Duration
	Log     func(text string)
}

// retryPause is 4.6's.
const retryPause = time.Second

// Run runs a script with arguments on a host. Failed tries are logged. If the
// script is missing its host is brought up to date and it is run once more,
// whatever Retries says (4.6 needs a retry for that, so a host that lost its
// scripts stays in error).
func (c *Checked) Run(ctx context.Context, host string, argv []string) Result {
	res := c.once(ctx, host, argv)
	updated := false
	for tries := c.Retries; !res.OK() && ctx.Err() == nil; tries-- {
		switch {
		case res.Code == MissingCode && !updated:
			updated = true
			if err := c.update(ctx, host); err != nil {
				return res
			}
		case tries <= 0:
			return res
		default:
			if !sleep(ctx, retryPause) {
				return res
			}
		}
		res = c.once(ctx, host, argv)
	}
	return res
}

func (c *Checked) update(ctx context.Context, host string) error {
	c.Log("Remote worker node files not found\nUpdating remotes")
	err := c.Remotes.Sync(ctx, host, true)
	if err != nil {
		c.Log("ERROR: Cannot copy " + c.Remotes.Local + " to " + host + ": " + err.Error())
	}
	return err
}

func (c *Checked) once(ctx context.Context, host string, argv []string) Result {
	stream := c.SSH.Open(host)
	defer stream.Close()
	label := checkedLabel(argv)
	res := stream.Executable(ctx, argv[0], c.Timeout)
	if res.Code == MissingCode {
		res.Stderr = withExitCode("ERROR: "+argv[0]+" is missing on "+host+"\n", MissingCode)
	}
	if res.OK() {
		res = stream.Run(ctx, Step{Argv: argv, Timeout: c.Timeout})
	}
	res.Label, res.logAlways = label, false
	if !res.OK() && ctx.Err() == nil {
		c.Log(res.LogText())
	}
	return res
}

// checkedLabel is the command line as 4.6 logs it, with its thirty blanks.
func checkedLabel(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = QuoteIfNeeded(w)
	}
	return `'if [ -x "` + argv[0] + `" ]; then ` + strings.Join(words, " ") + "; else" +
		strings.Repeat(" ", 30) + "exit 42; fi'"
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
