package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
)

// shellComplaint is what a shell says about a script, not a tool about its task.
var shellComplaint = regexp.MustCompile(`(?i)(syntax error|unterminated quoted|unexpected EOF while|bad substitution|unbound variable|parameter not set|command not found|: not found$).*`)

// answering are the scripts whose output oned keeps: it must not be empty.
var answering = map[string]bool{
	"vmm/deploy": true, "vmm/snapshot_create": true, "datastore/cp": true, "datastore/clone": true, "datastore/mkfs": true, "datastore/stat": true,
}

// judgeScripts looks at what the directory's scripts did for a request.
func (c *checker) judgeScripts(point string) {
	data, err := os.ReadFile(c.trace)
	if err != nil {
		c.verdict(point, false, "no trace of its scripts: %v", err)
		return
	}
	dir := filepath.Join(c.root, "var/remotes", c.kind, c.name)
	for line := range bytes.Lines(data) {
		var r run.Record
		if err := json.Unmarshal(line, &r); err != nil || len(r.Argv) == 0 {
			continue // cut off: the driver was still writing
		}
		if filepath.Dir(filepath.Clean(r.Argv[0])) == dir {
			c.judge(point, filepath.Base(r.Argv[0]), r)
		}
	}
}

func (c *checker) judge(point, script string, r run.Record) {
	if r.Code == 126 || r.Code == 127 {
		c.verdict(point, false, "%s ends with status %d: %s", script, r.Code, lastLine(r.Stderr))
	}
	// Random bytes contain anything.
	if c.round != dying {
		complaint := ""
		for l := range strings.Lines(r.Stderr) {
			l = strings.TrimSpace(l)
			if complaint == "" && strings.Contains(l, "/"+script+":") {
				complaint = shellComplaint.FindString(l)
			}
		}
		c.verdict(point, complaint == "", "%s: the shell says: %s", script, complaint)
		begins, ends := strings.Count(r.Stderr, agent.ErrorBegin), strings.Count(r.Stderr, agent.ErrorEnd)
		c.verdict(point, begins == ends, "%s: %d marks begin an error message and %d end one", script, begins, ends)
		if r.Code != 0 && begins == 0 {
			c.note(script, "fails without an error message between the marks: the last line of stderr is shown instead")
		}
	}
	if r.Code == 0 && answering[c.kind+"/"+script] {
		c.verdict(point, strings.TrimSpace(firstLine(r.Stdout)) != "", "%s succeeds without an answer", script)
	}
}

// note tells what is allowed but not good, once for a script.
func (c *checker) note(script, text string) {
	if c.noted[script] {
		return
	}
	if c.noted == nil {
		c.noted = map[string]bool{}
	}
	c.noted[script] = true
	fmt.Fprintf(c.Out, "note %s: %s\n", script, text)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// lastLine is the last thing a command said itself.
func lastLine(stderr string) string {
	last := ""
	for l := range strings.Lines(stderr) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "ExitCode:") {
			last = l
		}
	}
	return last
}
