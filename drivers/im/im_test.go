package im

import "testing"

func TestLines(t *testing.T) {
	for got, want := range map[string]string{
		MonitorLine(0, "node1", "/var/lib/one//datastores", true):  "MONITOR 0 node1 /var/lib/one//datastores 1",
		MonitorLine(7, "node2", "/var/lib/one//datastores", false): "MONITOR 7 node2 /var/lib/one//datastores 0",
		StopMonitorLine(0, "node1"):                                "STOPMONITOR 0 node1 ",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMonitorText(t *testing.T) {
	tests := []struct {
		name    string
		success bool
		in      string
		want    string
	}{
		{"good", true, "SFlQRVJWSVNPUj1rdm0K", "HYPERVISOR=kvm\n"},
		{"failure in base64", false, "bm8gcm91dGU=", "no route"},
		{"failure as plain text", false, "Could not update remotes", "Could not update remotes"},
		{"failure that looks like base64", false, "timeout+", "timeout+"},
		{"success as plain text", true, "HYPERVISOR=kvm", ""},
		{"empty", true, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := MonitorText(tt.success, tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
