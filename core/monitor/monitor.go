// Package monitor decides when hosts, datastores and VMs are measured, and what their answers change.
package monitor

import (
	"fmt"
	"strings"
	"time"

	"goned/core/cloud"
	"goned/core/datastore"
	"goned/core/hook"
	"goned/core/host"
	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/state"
	"goned/core/template"
)

func log(tx *state.Tx, module string, level message.Level, text string) {
	tx.Send(message.Log{VM: message.OnedLog, Module: module, Level: level, Text: text})
}

func date(tx *state.Tx) string { return time.Unix(tx.Now, 0).Format(time.ANSIC) }

// NoDriver notes that a host's information driver is not loaded.
func NoDriver(tx *state.Tx, id int) error {
	if tx.Hosts.Get(id) == nil {
		return nil
	}
	h := tx.Hosts.Edit(id)
	was := h.State
	h.NoDriver()
	hook.HostMoved(tx, h, was)
	return nil
}

// HostAnswer takes in what an information driver said of a host, asked or not.
func HostAnswer(tx *state.Tx, id int, ok bool, text string) error {
	if tx.Hosts.Get(id) == nil {
		return nil
	}
	h := tx.Hosts.Edit(id)
	was := h.State
	if !ok {
		return hostFailed(tx, h, was, text)
	}
	answer, err := template.ParseText(text)
	if err != nil {
		log(tx, "ONE", message.Error, "Error parsing host information: "+strings.TrimPrefix(err.Error(), "Parse error: ")+
			". Monitoring information: \n"+text)
		h.Unreadable(tx.Now, date(tx))
		hook.HostMoved(tx, h, was)
		return nil
	}
	systemDatastores(tx, answer)
	var cpu, memory int64
	if c := tx.Clusters.Get(h.ClusterID); c != nil {
		cpu, memory = c.Reserved()
	}
	report := h.Monitored(answer, cpu, memory, func(ds int) bool { return localDatastore(tx, ds) }, tx.Now)
	hook.HostMoved(tx, h, was)
	saveSample(tx, h)
	log(tx, "InM", message.Debug, fmt.Sprintf("Host %s (%d) successfully monitored.", h.Name, h.ID))
	if !report.VMPoll {
		return nil
	}
	for _, vm := range report.Lost {
		if err := lifecycle.Gone(tx, vm); err != nil {
			return err
		}
	}
	for _, f := range report.Found {
		if err := lifecycle.Polled(tx, f.ID, f.Poll); err != nil {
			return err
		}
	}
	return nil
}

func saveSample(tx *state.Tx, h *host.Host) {
	if tx.Conf.HostMonitoringExpiration > 0 {
		tx.SaveHostSample(h)
	}
}

func hostFailed(tx *state.Tx, h *host.Host, was host.State, text string) error {
	log(tx, "ONE", message.Error, h.Fail(tx.Now, date(tx), text))
	hook.HostMoved(tx, h, was)
	for _, vm := range h.VMs {
		if err := lifecycle.Vanish(tx, vm); err != nil {
			return err
		}
	}
	return nil
}

// localDatastore reports whether each host has a system datastore's space for itself.
func localDatastore(tx *state.Tx, id int) bool {
	d := tx.Datastores.Get(id)
	return d != nil && d.Type == datastore.System && !shared(d)
}

func shared(d *datastore.Datastore) bool {
	value, set := d.Template.Lookup("SHARED")
	return !set || strings.EqualFold(value, "YES")
}

// systemDatastores takes in what a host reports of the system datastores that all hosts share.
func systemDatastores(tx *state.Tx, answer *template.Template) {
	for _, r := range host.ReportedDS(answer) {
		d := tx.Datastores.Get(r.ID)
		if d == nil || d.Type != datastore.System || !shared(d) {
			continue
		}
		d = tx.Datastores.Edit(r.ID)
		d.TotalMB, _ = r.Values.Int("TOTAL_MB")
		d.FreeMB, _ = r.Values.Int("FREE_MB")
		d.UsedMB, _ = r.Values.Int("USED_MB")
		log(tx, "ImM", message.Debug, fmt.Sprintf("Datastore %s (%d) successfully monitored.", d.Name, d.ID))
	}
}

// DatastoreAnswer takes in what the datastore driver said of a datastore's sizes.
func DatastoreAnswer(tx *state.Tx, id int, ok bool, text string) error {
	d := tx.Datastores.Get(id)
	switch {
	case d == nil:
		return nil
	case !ok:
		log(tx, "ImM", message.Error, fmt.Sprintf("Error monitoring datastore %d: %s", id, text))
		return nil
	}
	t, err := template.ParseText(text)
	if err != nil {
		log(tx, "ImM", message.Error, "Error parsing datastore information: "+strings.TrimPrefix(err.Error(), "Parse error: ")+
			". Monitoring information: \n"+text)
		return nil
	}
	d = tx.Datastores.Edit(id)
	d.TotalMB, _ = t.Int("TOTAL_MB")
	d.FreeMB, _ = t.Int("FREE_MB")
	d.UsedMB, _ = t.Int("USED_MB")
	log(tx, "ImM", message.Debug, fmt.Sprintf("Datastore %s (%d) successfully monitored.", d.Name, id))
	return nil
}

// AskDatastores asks for the sizes of all datastores.
func AskDatastores(tx *state.Tx) error {
	for d := range tx.Datastores.All() {
		cloud.MonitorDatastore(tx, d)
	}
	return nil
}
