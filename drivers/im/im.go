// Package im holds the messages between oned and IM_MAD drivers (collectd
// among them): monitoring requests and the decoding of answers. What a
// monitor text says is an OpenNebula template, read by the core.
package im

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MonitorLine asks for the figures of a host. dsLocation is the datastore
// directory on that host (its cluster's or the global one); first is set while
// the host has never been monitored and makes the driver copy its scripts.
func MonitorLine(hostID int, hostname, dsLocation string, first bool) string {
	flag := "0"
	if first {
		flag = "1"
	}
	return "MONITOR " + strconv.Itoa(hostID) + " " + hostname + " " + dsLocation + " " + flag
}

// StopMonitorLine tells a driver that a host has been deleted. The trailing
// blank is on 4.6's wire.
func StopMonitorLine(hostID int, hostname string) string {
	return "STOPMONITOR " + strconv.Itoa(hostID) + " " + hostname + " "
}

// MonitorText decodes the text of a MONITOR answer, for failures too. 4.6
// shows an empty reason when a driver sends its failure as plain text; here
// text that is not base64 is taken as it is.
func MonitorText(success bool, text string) string {
	text = strings.TrimSpace(text)
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		if success {
			return ""
		}
		return text
	}
	if !success && !utf8.Valid(data) {
		return text // a word like "timeout!" can look like base64
	}
	return string(data)
}
