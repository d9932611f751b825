package vm

import (
	"fmt"
	"strconv"
	"strings"
	"unique"

	"goned/core/resource"
	"goned/core/template/xmldoc"
)

// Record is one run of a VM on one host. Times are epoch seconds, 0 = not yet.
type Record struct {
	OID      int
	Seq      int
	Hostname string
	HID      int
	// CID is the host's cluster, -1 for none.
	CID          int
	STime, ETime int64
	// VMMMAD, VNMMAD and TMMAD name the drivers; TMMAD is empty on public cloud hosts.
	VMMMAD, VNMMAD, TMMAD string
	// DSLocation is the directory of the datastores on the host, DSID the system datastore in it (-1 on public cloud hosts).
	DSLocation string
	DSID       int
	// Times of prolog (PSTime to PETime), running (RSTime to RETime) and epilog (ESTime to EETime).
	PSTime, PETime int64
	RSTime, RETime int64
	ESTime, EETime int64
	Reason         Reason
	Action         Action
	// VMInfo is the VM document that the record's row in the history table ends with; empty reads as <VM/>. Only the last two
	// records of a VM have it, which are the ones that change.
	VMInfo string
}

// RemoteDir is the VM's directory, the same string on host and front-end.
func (r *Record) RemoteDir() string {
	return r.DSLocation + "/" + strconv.Itoa(r.DSID) + "/" + strconv.Itoa(r.OID)
}

// Body is the body of the record's row in the history table, which one.vmpool.accounting returns as it is.
func (r *Record) Body() []byte {
	info := r.VMInfo
	if info == "" {
		info = "<VM/>"
	}
	dst := make([]byte, 0, 640+len(info))
	dst = r.appendFields(append(dst, "<HISTORY>"...))
	dst = append(dst, info...)
	return append(dst, "</HISTORY>"...)
}

// AppendXML writes the record as VM documents show it: without the VM.
func (r *Record) AppendXML(dst []byte) []byte {
	dst = r.appendFields(append(dst, "<HISTORY>"...))
	return append(dst, "</HISTORY>"...)
}

func (r *Record) appendFields(dst []byte) []byte {
	dst = resource.AppendInt(dst, "OID", int64(r.OID))
	dst = resource.AppendInt(dst, "SEQ", int64(r.Seq))
	dst = resource.AppendText(dst, "HOSTNAME", r.Hostname)
	dst = resource.AppendInt(dst, "HID", int64(r.HID))
	dst = resource.AppendInt(dst, "CID", int64(r.CID))
	dst = resource.AppendInt(dst, "STIME", r.STime)
	dst = resource.AppendInt(dst, "ETIME", r.ETime)
	dst = resource.AppendText(dst, "VMMMAD", r.VMMMAD)
	dst = resource.AppendText(dst, "VNMMAD", r.VNMMAD)
	dst = resource.AppendText(dst, "TMMAD", r.TMMAD)
	dst = resource.AppendText(dst, "DS_LOCATION", r.DSLocation)
	dst = resource.AppendInt(dst, "DS_ID", int64(r.DSID))
	dst = resource.AppendInt(dst, "PSTIME", r.PSTime)
	dst = resource.AppendInt(dst, "PETIME", r.PETime)
	dst = resource.AppendInt(dst, "RSTIME", r.RSTime)
	dst = resource.AppendInt(dst, "RETIME", r.RETime)
	dst = resource.AppendInt(dst, "ESTIME", r.ESTime)
	dst = resource.AppendInt(dst, "EETIME", r.EETime)
	dst = resource.AppendInt(dst, "REASON", int64(r.Reason))
	return resource.AppendInt(dst, "ACTION", int64(r.Action))
}

// ParseRecord reads the body of a row of the history table. The VM document in it is kept as text and not looked at: a start with
// many rows must not read every VM once per record.
func ParseRecord(body string) (*Record, error) {
	fields, info := cutVM(body)
	doc, err := xmldoc.Parse(fields)
	if err != nil {
		return nil, fmt.Errorf("history record: %w", err)
	}
	r, err := readRecord(doc)
	if err != nil {
		return nil, fmt.Errorf("history record: %w", err)
	}
	r.VMInfo = info
	return &r, nil
}

// cutVM takes the VM document out of a history body. The fields before it are plain text and can't contain a tag.
func cutVM(body string) (fields, info string) {
	from := strings.Index(body, "<VM>")
	if from < 0 {
		return body, ""
	}
	to := strings.LastIndex(body, "</VM>")
	if to < from {
		return body, ""
	}
	to += len("</VM>")
	return body[:from] + body[to:], body[from:to]
}

func readRecord(doc *xmldoc.Node) (Record, error) {
	r := resource.Reader{Node: doc}
	rec := Record{
		OID: r.Int("OID"), Seq: r.Int("SEQ"), Hostname: r.Text("HOSTNAME"), HID: r.Int("HID"), CID: r.Int("CID"),
		STime: r.Int64("STIME"), ETime: r.Int64("ETIME"),
		VMMMAD: r.Text("VMMMAD"), VNMMAD: "dummy", TMMAD: r.Text("TMMAD"), DSLocation: r.Text("DS_LOCATION"), DSID: r.Int("DS_ID"),
		PSTime: r.Int64("PSTIME"), PETime: r.Int64("PETIME"), RSTime: r.Int64("RSTIME"), RETime: r.Int64("RETIME"),
		ESTime: r.Int64("ESTIME"), EETime: r.Int64("EETIME"),
		Reason: Reason(r.Int("REASON")), Action: Action(r.Int("ACTION")),
	}
	if n := doc.Child("VNMMAD"); n != nil {
		rec.VNMMAD = unique.Make(n.Text).Value()
	}
	return rec, r.Err
}
