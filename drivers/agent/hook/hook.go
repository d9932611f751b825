// Package hook is the driver process one_hm: it runs hook commands on the
// front-end or on a host.
package hook

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
	"goned/drivers/hooks"
)

// Driver runs hooks. Their commands come from oned.conf and may use what a
// shell offers; the values that oned puts into them are numbers, state names
// and base64.
type Driver struct {
	SSH *run.SSH
	// Timeout ends a hook; 0 for never.
	Timeout time.Duration
	Out     *agent.Output
}

// Actions are the requests one_hm answers.
func (d *Driver) Actions() map[string]agent.Action {
	return map[string]agent.Action{"EXECUTE": {Args: -3, Run: d.execute}}
}

// execute handles `name host command arguments…`.
func (d *Driver) execute(ctx context.Context, r agent.Request) {
	name, host := r.Args[0], r.Args[1]
	command, stdin := commandLine(r.Args[2:])
	var res run.Result
	if strings.EqualFold(host, hooks.Local) {
		res = run.Local(ctx, run.Command{Label: command, Argv: []string{"/bin/sh", "-c", command}, Stdin: stdin, Timeout: d.Timeout})
	} else {
		stream := d.SSH.Open(host)
		res = stream.Run(ctx, run.Step{Label: "'" + command + "'", Argv: []string{"sh", "-c", command}, Stdin: stdin, Timeout: d.Timeout})
		stream.Close()
	}
	if !res.OK() && ctx.Err() == nil {
		d.Out.Log(r.ID, res.LogText())
	}
	result, text := agent.Success, strings.TrimSpace(firstLine(res.Stdout))
	if !res.OK() {
		result, text = agent.Failure, res.ErrorMessage()
	}
	d.Out.Reply(ctx, r, result, name+": "+text)
}

// commandLine is the shell text of a hook and what the hook reads. An object's
// template among the arguments is also there to be read, and where it would be
// too long for a command line, which the shell gets as one argument, only there:
// the argument is `-` then.
func commandLine(words []string) (command string, stdin []byte) {
	words, given, explicit := hooks.TakeStdin(words)
	command = strings.Join(words, " ")
	template, document := findTemplate(words)
	switch {
	case explicit:
		stdin = []byte(given)
	case document != nil:
		stdin = document
	}
	if template != "" && len(command) > run.ArgumentLimit {
		command = strings.ReplaceAll(command, template, "-")
	}
	return command, stdin
}

// findTemplate is the first base64 of an XML document among the words.
func findTemplate(words []string) (text string, document []byte) {
	for _, w := range words {
		for text := range strings.FieldsFuncSeq(w, notEncoded) {
			// An option ends with = before its value; base64 with up to two.
			text = strings.TrimLeft(text[strings.IndexByte(strings.TrimRight(text, "="), '=')+1:], "=")
			decoded, err := base64.StdEncoding.DecodeString(text)
			if err == nil && len(decoded) > 1 && decoded[0] == '<' && decoded[len(decoded)-1] == '>' {
				return text, decoded
			}
		}
	}
	return "", nil
}

// notEncoded tells characters that base64 does not use.
func notEncoded(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '+' && r != '/' && r != '='
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
