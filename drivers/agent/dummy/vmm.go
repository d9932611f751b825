// Package dummy holds drivers that touch nothing: VM actions that always
// succeed (or as a file says) and a host with invented figures. They serve for
// trying out a cloud and for tests.
package dummy

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/beevik/etree"

	"goned/drivers/agent"
)

// ActionsDir is where 4.6's dummy driver looks for the results of actions.
const ActionsDir = "/tmp/opennebula_dummy_actions"

// VMM is the driver process one_vmm_dummy.
type VMM struct {
	// Dir holds a file per action; each line is the result of one request,
	// used in turn: success, failure, 1, 0 or -, and seconds to wait.
	Dir string
	Out *agent.Output

	mu    sync.Mutex // guards turns
	turns map[string]int
}

// results are the file names of the actions.
var results = map[string]string{
	"DEPLOY": "deploy", "SHUTDOWN": "shutdown", "REBOOT": "reboot", "RESET": "reset", "CANCEL": "cancel",
	"SAVE": "save", "RESTORE": "restore", "MIGRATE": "migrate", "POLL": "poll", "CLEANUP": "cleanup",
	"ATTACHDISK": "attach_disk", "DETACHDISK": "detach_disk",
	"ATTACHNIC": "attach_nic", "DETACHNIC": "detach_nic",
	"SNAPSHOTCREATE": "snapshot_create", "SNAPSHOTREVERT": "snapshot_revert", "SNAPSHOTDELETE": "snapshot_delete",
}

// Actions are the requests of a VM_MAD driver.
func (d *VMM) Actions() map[string]agent.Action {
	actions := map[string]agent.Action{}
	for name := range results {
		actions[name] = agent.Action{Args: 1, Run: d.run}
	}
	return actions
}

func (d *VMM) run(ctx context.Context, r agent.Request) {
	result := d.result(ctx, results[r.Action])
	doc := etree.NewDocument()
	data, err := base64.StdEncoding.DecodeString(r.Args[0])
	if err == nil {
		err = doc.ReadFromBytes(data)
	}
	if err != nil || doc.Root() == nil {
		d.Out.Reply(ctx, r, agent.Failure, "Cannot read request")
		return
	}
	d.Out.Reply(ctx, r, result, info(r.Action, doc.Root()))
}

// info is the text of an answer, which 4.6 gives with failures as well.
func info(action string, request *etree.Element) string {
	switch action {
	case "DEPLOY":
		return text(request, "HOST") + ":" + text(request, "VM/NAME") + ":dummy"
	case "SNAPSHOTCREATE":
		return "dummy-snap"
	case "POLL":
		memory := 256
		if request.FindElement("./VM/TEMPLATE/MEMORY") != nil {
			memory = number(request, "VM/TEMPLATE/MEMORY") * 1024
		}
		cpu := 100
		if request.FindElement("./VM/TEMPLATE/CPU") != nil {
			cpu = number(request, "VM/TEMPLATE/CPU") * 100
		}
		return fmt.Sprintf("STATE=a NETTX=%d NETRX=%d USEDMEMORY=%d USEDCPU=%d",
			number(request, "VM/NET_TX")+50*rand.IntN(3), number(request, "VM/NET_RX")+100*rand.IntN(4),
			memory*(rand.IntN(80)+20)/100, cpu*(rand.IntN(95)+5)/100)
	}
	return "-"
}

func text(root *etree.Element, path string) string {
	if e := root.FindElement("./" + path); e != nil {
		return e.Text()
	}
	return ""
}

// number is the integer a member begins with.
func number(root *etree.Element, path string) int {
	s := strings.TrimSpace(text(root, path))
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, _ := strconv.Atoi(s[:n])
	return v
}

// result takes the next line of the action's file, and waits if it says so.
func (d *VMM) result(ctx context.Context, name string) string {
	data, err := os.ReadFile(filepath.Join(d.Dir, name))
	if err != nil {
		return agent.Success
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	d.mu.Lock()
	if d.turns == nil {
		d.turns = map[string]int{}
	}
	words := strings.Fields(lines[d.turns[name]%len(lines)])
	d.turns[name]++
	d.mu.Unlock()
	if len(words) == 0 {
		return agent.Success
	}
	if len(words) > 1 {
		seconds, _ := strconv.Atoi(words[1])
		wait(ctx, time.Duration(seconds)*time.Second)
	}
	switch words[0] {
	case "failure", "0":
		return agent.Failure
	case "-":
		return "" // an answer without result, which oned drops
	}
	return agent.Success
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
