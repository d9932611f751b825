// Package transfer is the driver process one_tm: it runs the lines of transfer
// scripts with the scripts of remotes/tm.
package transfer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
)

// Runner executes single transfer commands, for one_tm and for the disk steps
// of one_vmm_exec.
type Runner struct {
	// Dir is remotes/tm on the front-end.
	Dir string
	// Drivers are the transfer drivers that may be used; nil for every
	// directory that Dir has when the command runs.
	Drivers []string
	// Timeout ends a command; 0 for never.
	Timeout time.Duration
	Out     *agent.Output
}

// Run executes one line `CMD driver args…` for a VM and logs its failure. A
// line is taken apart as a shell would as far as quotes go (4.6's
// `/path:'name'`), but nothing in it is expanded or executed.
func (r *Runner) Run(ctx context.Context, vmid int, line string) (ok bool, info string) {
	words, err := SplitLine(line)
	if err != nil {
		return false, err.Error()
	}
	if len(words) < 2 {
		return false, "Transfer command is incomplete: " + line
	}
	name, driver := strings.ToLower(words[0]), words[1]
	if !r.available(driver) {
		return false, "Transfer Driver '" + driver + "' not available"
	}
	if strings.ContainsAny(name, "/.") {
		return false, "Transfer command '" + name + "' is no script name"
	}
	script := filepath.Join(r.Dir, driver, name)
	label := script
	if args := strings.Fields(line)[2:]; len(args) > 0 {
		label += " " + strings.Join(args, " ")
	}
	res := run.Local(ctx, run.Command{Label: label, Argv: append([]string{script}, words[2:]...), Timeout: r.Timeout})
	if text := res.LogText(); text != "" && ctx.Err() == nil {
		r.Out.Log(vmid, text)
	}
	return res.OK(), res.Info()
}

// HasScript reports whether a driver has a script that not every driver of
// 4.6's time has.
func (r *Runner) HasScript(driver, name string) bool {
	if !r.available(driver) {
		return false
	}
	info, err := os.Stat(filepath.Join(r.Dir, driver, name))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func (r *Runner) available(driver string) bool { return agent.IsDriver(r.Dir, r.Drivers, driver, "") }

// Actions are the requests one_tm answers.
func (r *Runner) Actions() map[string]agent.Action {
	return map[string]agent.Action{"TRANSFER": {Args: 1, Run: r.transfer}}
}

// transfer runs a script up to its first failing line.
func (r *Runner) transfer(ctx context.Context, req agent.Request) {
	text, err := os.ReadFile(req.Args[0])
	if errors.Is(err, fs.ErrNotExist) {
		r.Out.Reply(ctx, req, agent.Failure, "Transfer file '"+req.Args[0]+"' does not exist")
		return
	}
	if err != nil {
		r.Out.Reply(ctx, req, agent.Failure, "Transfer file cannot be read: "+err.Error())
		return
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if ok, info := r.Run(ctx, req.ID, line); !ok {
			r.Out.Reply(ctx, req, agent.Failure, info)
			return
		}
	}
	r.Out.Reply(ctx, req, agent.Success, "-")
}

// SplitLine takes a transfer line apart at blanks. Quotes (single, double,
// backslash) keep blanks together and are removed; every other character
// stands for itself.
func SplitLine(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	quote := rune(0)
	escaped := false
	for _, c := range line {
		switch {
		case escaped:
			if quote == '"' && !strings.ContainsRune("\"\\$`", c) {
				word.WriteByte('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("unmatched quote in transfer command: " + strings.TrimSpace(line))
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
