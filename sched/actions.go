package sched

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"goned/core/match"
	"goned/core/match/xpath"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// scheduledActions are the names a SCHED_ACTION can have.
var scheduledActions = []string{
	"shutdown", "shutdown-hard", "undeploy", "undeploy-hard", "hold", "release", "stop", "suspend", "resume", "boot",
	"delete", "delete-recreate", "reboot", "reboot-hard", "poweroff", "poweroff-hard", snapshotCreate,
}

// snapshotCreate is the one with a method of its own.
const snapshotCreate = "snapshot-create"

const errUnsupported Message = "This action is not supported."

// runActions executes what the owners of machines ordered for a time that has
// passed. A pool that can't be read skips it, the pass goes on.
func (s *Scheduler) runActions(ctx context.Context) {
	pool := s.readVMs(ctx)
	if pool == nil {
		return
	}
	now := s.now()
	var due []*xmldoc.Node
	for _, vm := range pool.All("VM") {
		if hasDueAction(vm.Child("USER_TEMPLATE"), now) {
			due = append(due, vm)
			if len(due) == s.conf.MaxVM {
				break
			}
		}
	}
	if len(due) == 0 {
		return
	}
	slices.SortStableFunc(due, func(a, b *xmldoc.Node) int { return vmID(a) - vmID(b) })
	list := "VMs with scheduled actions:\n"
	for _, vm := range due {
		list += " " + strconv.Itoa(vmID(vm))
	}
	s.debug("VM", list)
	for _, vm := range due {
		if s.over(ctx) {
			return
		}
		s.runActionsOf(ctx, vm, now)
	}
}

func vmID(vm *xmldoc.Node) int {
	id := vm.Child("ID")
	if id == nil {
		return 0
	}
	n, _ := strconv.Atoi(id.Text)
	return n
}

// hasDueAction finds the machines whose actions are looked at. The test is
// 4.6's, on numbers as XPath sees them; which actions are executed is decided
// more strictly by due.
func hasDueAction(user *xmldoc.Node, now time.Time) bool {
	for _, a := range user.All("SCHED_ACTION") {
		early := slices.ContainsFunc(a.All("TIME"), func(n *xmldoc.Node) bool {
			return xpath.Number(n.Text) < float64(now.Unix())
		})
		done := slices.ContainsFunc(a.All("DONE"), func(n *xmldoc.Node) bool { return xpath.Number(n.Text) > 0 })
		if early && !done {
			return true
		}
	}
	return false
}

// runActionsOf executes the due actions of a machine in the order of its
// template and writes the template back with the outcome. Entries that are no
// vectors are lost, as in 4.6.
func (s *Scheduler) runActionsOf(ctx context.Context, vm *xmldoc.Node, now time.Time) {
	id := vmID(vm)
	t := template.FromElement(vm.Child("USER_TEMPLATE"))
	for _, a := range t.Take("SCHED_ACTION") {
		if a.Vec == nil {
			continue
		}
		if due(a.Vec, now) {
			s.runAction(ctx, id, a.Vec, now)
		}
		t.AddVector("SCHED_ACTION", a.Vec)
	}
	s.log.Flush()
	s.updateVM(ctx, id, t)
}

func due(action *template.Vector, now time.Time) bool {
	at, ok := action.Int32("TIME")
	_, done := action.Int32("DONE")
	return ok && !done && int64(at) < now.Unix()
}

func (s *Scheduler) runAction(ctx context.Context, vm int, action *template.Vector, now time.Time) {
	name := strings.ToLower(action.Get("ACTION"))
	outcome := "Success."
	if err := s.act(ctx, vm, name); err != nil {
		outcome = "Failure. " + err.Error()
		action.Set("MESSAGE", now.Format(time.ANSIC)+" : "+err.Error())
	} else {
		action.Del("MESSAGE")
		action.Set("DONE", strconv.FormatInt(now.Unix(), 10))
	}
	s.log.Line("VM", match.LevelInfo, "Executing action '"+name+"' for VM "+strconv.Itoa(vm)+" : "+outcome)
}

func (s *Scheduler) act(ctx context.Context, vm int, name string) error {
	if !slices.Contains(scheduledActions, name) {
		return errUnsupported
	}
	s.log.Flush()
	if name == snapshotCreate {
		return s.call(ctx, "one.vm.snapshotcreate", vm, "")
	}
	return s.call(ctx, "one.vm.action", name, vm)
}
