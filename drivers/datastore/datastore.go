// Package datastore holds the messages between oned and the DATASTORE_MAD
// driver: request lines, the meaning of answers and 4.6's texts for them.
package datastore

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Action is the first word of a DATASTORE_MAD request and of its answer.
type Action string

// The actions of 4.6's DATASTORE_MAD protocol.
const (
	Copy    Action = "CP"
	MakeFS  Action = "MKFS"
	Clone   Action = "CLONE"
	Remove  Action = "RM"
	Stat    Action = "STAT"
	Monitor Action = "MONITOR"
)

// Actions lists them all.
func Actions() []Action { return []Action{Copy, MakeFS, Clone, Remove, Stat, Monitor} }

// Line is a request. id is the image's for Copy, MakeFS, Clone and Remove, the
// datastore's for Monitor and a running request number for Stat. imageXML is
// empty for Monitor and StatImage's result for Stat; otherwise both documents
// are those of one.image.info and one.datastore.info.
func Line(a Action, id int, imageXML, datastoreXML string) string {
	doc := "<DS_DRIVER_ACTION_DATA>" + imageXML + datastoreXML + "</DS_DRIVER_ACTION_DATA>"
	return string(a) + " " + strconv.Itoa(id) + " " + base64.StdEncoding.EncodeToString([]byte(doc))
}

// StatImage is the image part of a Stat request: only the path to measure.
// Characters that would end the element are escaped, which 4.6 does not do.
func StatImage(path string) string {
	return "<IMAGE><PATH>" + strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(path) + "</PATH></IMAGE>"
}

// Succeeded judges a result word: for Copy, MakeFS, Clone and Remove anything
// but FAILURE is a success, for Stat and Monitor only SUCCESS is (4.6).
func Succeeded(a Action, result string) bool {
	switch a {
	case Stat, Monitor:
		return result == "SUCCESS"
	}
	return result != "FAILURE"
}

// Source is the image source that a Copy, MakeFS or Clone answer carries: its
// first word, or nothing.
func Source(text string) string {
	if f := strings.Fields(text); len(f) > 0 {
		return f[0]
	}
	return ""
}

// Size is the image size in MB that a successful Stat answer carries. The
// error's text is the one 4.6 puts behind "Cannot determine Image SIZE. ".
func Size(text string) (int64, error) {
	word := Source(text)
	if word == "" {
		return 0, sizeError("")
	}
	n := 0
	if word[0] == '-' || word[0] == '+' {
		n++
	}
	for n < len(word) && word[n] >= '0' && word[n] <= '9' {
		n++
	}
	mb, err := strconv.ParseInt(word[:n], 10, 64)
	if err != nil || n != len(word) || mb > math.MaxInt32 {
		return 0, sizeError(word)
	}
	return mb, nil
}

type sizeError string

func (e sizeError) Error() string {
	if e == "" {
		return "Cannot parse SIZE"
	}
	return "Cannot parse SIZE. " + string(e)
}

// MonitorText decodes the text of a Monitor answer, for failures too. ok is
// false if it is not base64 or empty; 4.6 then logs
// "Bad monitor data: " with the text as received.
func MonitorText(text string) (decoded string, ok bool) {
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(data) == 0 {
		return "", false
	}
	return string(data), true
}

// SuccessText is what 4.6 writes to oned.log (tag ImM, level I).
func SuccessText(a Action, imageID int) string {
	switch a {
	case Copy:
		return fmt.Sprintf("Image (%d) copied and ready to use.", imageID)
	case MakeFS:
		return "Image created and ready to use"
	case Clone:
		return "Image cloned and ready to use."
	case Remove:
		return "Image successfully removed."
	}
	return ""
}

// FailureText is what 4.6 writes to oned.log (tag ImM, level E) and, except
// for Remove, into the image's ERROR. original is the id of a clone's original,
// source the path that Remove could not delete.
func FailureText(a Action, info string, original int, source string) string {
	text := ""
	switch a {
	case Copy:
		text = "Error copying image in the datastore"
	case MakeFS:
		text = "Error creating datablock"
	case Clone:
		text = fmt.Sprintf("Error cloning from Image %d", original)
	case Remove:
		text = "Error removing image from datastore. Manually remove image source " + source +
			" to completely delete the image"
	case Stat:
		if info == "" {
			return "Cannot determine Image SIZE"
		}
		return "Cannot determine Image SIZE. " + info
	}
	if info != "" {
		text += ": " + info
	}
	return text
}
