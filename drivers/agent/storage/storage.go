// Package storage is the driver process one_datastore: it runs the scripts of
// remotes/datastore.
package storage

import (
	"context"
	"encoding/base64"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
)

// Driver runs datastore scripts.
type Driver struct {
	// Dir is remotes/datastore on the front-end.
	Dir string
	// Drivers are the datastore drivers that may be used; nil for every
	// directory that Dir has when the request comes.
	Drivers []string
	// Timeout ends a script; 0 for never.
	Timeout time.Duration
	Out     *agent.Output
}

// Actions are the requests one_datastore answers.
func (d *Driver) Actions() map[string]agent.Action {
	actions := map[string]agent.Action{}
	for _, name := range []string{"CP", "RM", "MKFS", "STAT", "CLONE", "MONITOR"} {
		actions[name] = agent.Action{Args: 1, Run: d.run}
	}
	return actions
}

// expendable are the lists that make a request long: a datastore's images (some
// 7,000 fill an argument), the VMs and clones of an image. No script reads them.
var expendable = []string{"DATASTORE/IMAGES", "IMAGE/VMS", "IMAGE/CLONES"}

func (d *Driver) run(ctx context.Context, r agent.Request) {
	message := r.Args[0]
	result, info := agent.Failure, ""
	name, err := driverName(message)
	switch {
	case err != nil:
		info = "Cannot read " + r.Action + " request: " + err.Error()
	case !agent.IsDriver(d.Dir, d.Drivers, name, ""):
		info = "Datastore driver '" + name + "' not available"
	default:
		script := filepath.Join(d.Dir, name, strings.ToLower(r.Action))
		res := run.Local(ctx, run.Command{
			Argv: []string{script, run.FitDocument(message, expendable...), strconv.Itoa(r.ID)}, Timeout: d.Timeout,
		})
		if text := res.LogText(); text != "" && ctx.Err() == nil {
			d.Out.Log(r.ID, text)
		}
		if res.OK() {
			result = agent.Success
		}
		info = res.Info()
		if r.Action == "MONITOR" {
			info = res.Data()
		}
	}
	if r.Action == "MONITOR" {
		info = base64.StdEncoding.EncodeToString([]byte(info))
	}
	d.Out.Reply(ctx, r, result, info)
}

func driverName(message string) (string, error) {
	data, err := base64.StdEncoding.DecodeString(message)
	if err != nil {
		return "", err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		return "", err
	}
	if e := doc.FindElement("/DS_DRIVER_ACTION_DATA/DATASTORE/DS_MAD"); e != nil {
		return e.Text(), nil
	}
	return "", nil
}
