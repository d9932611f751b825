package vm

import (
	"fmt"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// PoolXML is the database body, which pool listings show: with the last history record only.
func (v *VM) PoolXML() []byte { return v.AppendPoolXML(make([]byte, 0, 4096)) }

// AppendPoolXML appends what PoolXML gives.
func (v *VM) AppendPoolXML(dst []byte) []byte {
	return v.appendXML(dst, v.History[max(len(v.History)-1, 0):])
}

// ReloadedXML is PoolXML as reading it back from the database gives it.
func (v *VM) ReloadedXML() []byte {
	if v.Fresh {
		v = v.Clone()
	}
	return v.PoolXML()
}

// InfoXML is the document of one.vm.info: with all history records.
func (v *VM) InfoXML() []byte {
	if v.Fresh {
		v = v.Clone()
	}
	return v.appendXML(make([]byte, 0, 4096+512*len(v.History)), v.History)
}

// SnapshotXML is the document that history bodies end with: without any record.
func (v *VM) SnapshotXML() []byte { return v.appendXML(make([]byte, 0, 4096), nil) }

func (v *VM) appendXML(dst []byte, records []Record) []byte {
	dst = v.Base.AppendXML(append(dst, "<VM>"...), nil)
	dst = resource.AppendInt(dst, "LAST_POLL", v.LastPoll)
	dst = resource.AppendInt(dst, "STATE", int64(v.State))
	dst = resource.AppendInt(dst, "LCM_STATE", int64(v.LCMState))
	dst = resource.AppendInt(dst, "RESCHED", number(v.Resched))
	dst = resource.AppendInt(dst, "STIME", v.STime)
	dst = resource.AppendInt(dst, "ETIME", v.ETime)
	dst = resource.AppendText(dst, "DEPLOY_ID", v.DeployID)
	dst = resource.AppendInt(dst, "MEMORY", v.Memory)
	dst = resource.AppendInt(dst, "CPU", v.CPU)
	dst = resource.AppendInt(dst, "NET_TX", v.NetTX)
	dst = resource.AppendInt(dst, "NET_RX", v.NetRX)
	dst = v.Template.AppendXML(dst, "TEMPLATE")
	dst = v.UserTemplate.AppendXML(dst, "USER_TEMPLATE")
	return append(appendHistory(dst, records), "</VM>"...)
}

// AppendHistory writes the HISTORY_RECORDS element with all records.
func (v *VM) AppendHistory(dst []byte) []byte { return appendHistory(dst, v.History) }

func appendHistory(dst []byte, records []Record) []byte {
	if len(records) == 0 {
		return append(dst, "<HISTORY_RECORDS/>"...)
	}
	dst = append(dst, "<HISTORY_RECORDS>"...)
	for i := range records {
		dst = records[i].AppendXML(dst)
	}
	return append(dst, "</HISTORY_RECORDS>"...)
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Parse reads a database body. As in 4.6, every element but the history must be there. The last history record comes along
// without its VM document; the loader replaces it by the rows of the history table.
func Parse(body string) (*VM, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("VM body: %w", err)
	}
	base, err := resource.ReadBase(doc)
	if err != nil {
		return nil, fmt.Errorf("VM body: %w", err)
	}
	r := resource.Reader{Node: doc}
	v := &VM{
		Base:     base,
		LastPoll: r.Int64("LAST_POLL"), State: State(r.Int("STATE")), LCMState: LCMState(r.Int("LCM_STATE")),
		Resched: r.Int("RESCHED") != 0, STime: r.Int64("STIME"), ETime: r.Int64("ETIME"), DeployID: r.Text("DEPLOY_ID"),
		Memory: r.Int64("MEMORY"), CPU: r.Int64("CPU"), NetTX: r.Int64("NET_TX"), NetRX: r.Int64("NET_RX"),
		Template:     template.FromElement(r.Element("TEMPLATE")),
		UserTemplate: template.FromElement(r.Element("USER_TEMPLATE")),
	}
	if r.Err != nil {
		return nil, fmt.Errorf("VM body %d: %w", v.ID, r.Err)
	}
	for _, n := range doc.Child("HISTORY_RECORDS").All("HISTORY") {
		rec, err := readRecord(n)
		if err != nil {
			return nil, fmt.Errorf("VM body %d: history record: %w", v.ID, err)
		}
		v.History = append(v.History, rec)
	}
	return v, nil
}
