// Package hooks holds the messages between oned and the HM_MAD driver.
package hooks

import (
	"encoding/base64"
	"path"
	"strconv"
	"strings"
)

// Local is the host word of a hook that runs on the front-end.
const Local = "LOCAL"

// Execution is one run of a hook.
type Execution struct {
	// ObjectID is the id of the VM, host, image, … that the hook is about.
	ObjectID int
	// Name is the hook's NAME; it must be one word on the wire, so blanks in
	// it become underscores (4.6 breaks the line).
	Name string
	// Host is Local or the name of a host.
	Host string
	// Command is the program, Arguments what follows it; `-` stands for none.
	Command, Arguments string
	// Stdin is what the hook is to read, if not empty. It goes as a last word, which 4.6's one_hm would take for an argument.
	Stdin string
}

// stdinMark begins the word that carries Stdin.
const stdinMark = "STDIN:"

// TakeStdin takes the word that carries Stdin off the arguments of a request.
func TakeStdin(words []string) (rest []string, stdin string, ok bool) {
	if len(words) == 0 {
		return words, "", false
	}
	last := len(words) - 1
	encoded, marked := strings.CutPrefix(words[last], stdinMark)
	if !marked {
		return words, "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	return words[:last], string(decoded), err == nil
}

// Line is the request.
func (e Execution) Line() string {
	args := e.Arguments
	if strings.TrimSpace(args) == "" {
		args = "-"
	}
	name := strings.Join(strings.Fields(e.Name), "_")
	if name == "" {
		name = "-"
	}
	line := "EXECUTE " + strconv.Itoa(e.ObjectID) + " " + name + " " + e.Host + " " + e.Command + " " + args
	if e.Stdin != "" {
		line += " " + stdinMark + base64.StdEncoding.EncodeToString([]byte(e.Stdin))
	}
	return strings.NewReplacer("\n", " ", "\r", " ", "\x00", "").Replace(line)
}

// CommandPath is the program a hook's COMMAND names. Relative ones lie below
// the remotes directory of the front-end, or below SCRIPTS_REMOTE_DIR for
// remote hooks; the double slashes are 4.6's.
func CommandPath(command string, remote bool, varDir, scriptsRemoteDir string) string {
	switch {
	case path.IsAbs(command):
		return command
	case remote:
		return scriptsRemoteDir + "/hooks//" + command
	}
	return strings.TrimSuffix(varDir, "/") + "/remotes//hooks/" + command
}

// Variables are the values that hook arguments may name.
type Variables struct {
	ID int
	// Template is the base64 of the object's XML.
	Template string
	// PrevState and PrevLCMState are names of states; they are replaced for VM
	// state hooks only, so leave both empty otherwise.
	PrevState, PrevLCMState string
}

// Expand replaces the first occurrence of each variable, in 4.6's order.
func (v Variables) Expand(arguments string) string {
	arguments = strings.Replace(arguments, "$ID", strconv.Itoa(v.ID), 1)
	arguments = strings.Replace(arguments, "$TEMPLATE", v.Template, 1)
	if v.PrevState != "" {
		arguments = strings.Replace(arguments, "$PREV_STATE", v.PrevState, 1)
	}
	if v.PrevLCMState != "" {
		arguments = strings.Replace(arguments, "$PREV_LCM_STATE", v.PrevLCMState, 1)
	}
	return arguments
}

// ResultText is the log line (tag HKM, level I or E) for an answer; the dot
// and blank at its end are 4.6's.
func ResultText(success bool, text string) string {
	if success {
		return "Success executing Hook: " + text + ". "
	}
	return "Error executing Hook: " + text + ". "
}
