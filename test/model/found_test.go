package model

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFound repeats what random steps have found wrong, so that it is not left to chance to find it again.
func TestFound(t *testing.T) {
	o := testOrigin(t)
	for name, do := range map[string]func(w *world){
		"chown of an image that is being removed": func(w *world) {
			w.call("oneadmin", "one.image.delete", 1)
			w.call("oneadmin", "one.image.chown", 1, 2, 1)
		},
		"disk of an image that says it is volatile": func(w *world) {
			w.runningVM("")
			w.call("oneadmin", "one.vm.chown", 0, 2, 1)
			w.call("alice", "one.vm.attach", 0, "DISK=[IMAGE_ID=1,TYPE=fs,SIZE=10]")
		},
		"one of two disks of an image is detached": func(w *world) {
			w.runningVM("DISK=[IMAGE_ID=0]\nDISK=[IMAGE_ID=0]")
			w.call("oneadmin", "one.vm.detach", 0, 1)
			w.answerOne(0, true)
		},
		"update of an image that waits for a disk": func(w *world) {
			w.runningVM("DISK=[IMAGE_ID=0]")
			w.call("oneadmin", "one.vm.savedisk", 0, 0, "saved", "", true, false)
			w.call("oneadmin", "one.image.update", 6, "A=1", 0)
			w.answerOne(0, true)
		},
		"restart while the target of a savedisk is cloned": func(w *world) {
			w.call("oneadmin", "one.image.allocate", "NAME=saved\nTYPE=DATABLOCK\nSIZE=1\nSAVE_AS=YES", 1)
			w.answerOne(0, true)
			w.call("oneadmin", "one.image.enable", 6, true)
			w.call("oneadmin", "one.image.clone", 6, "clone")
			w.restart()
		},
		"poll with the daemon's attributes": func(w *world) {
			w.runningVM("DISK=[IMAGE_ID=0]\nNIC=[NETWORK_ID=0]")
			w.call("oneadmin", "one.vm.action", "suspend", 0)
			w.answerOne(0, false)
			w.answerWith(w.asked[0], true, "STATE=a MEMORY=7 CPU=9 DISK=none NIC=none")
		},
		"clock that is set back": func(w *world) {
			w.call("oneadmin", "one.vm.allocate", "CPU=1\nMEMORY=64", false)
			w.call("oneadmin", "one.vm.deploy", 0, 0, false, -1)
			w.clock = w.clock.Add(-time.Hour)
			w.answerOne(0, true)
			w.answerOne(0, true)
			w.call("oneadmin", "one.vm.action", "shutdown-hard", 0)
			w.answerOne(0, true)
		},
		"copy of an image that is being cloned": func(w *world) {
			w.call("oneadmin", "one.image.clone", 1, "clone")
			w.answer(request{driver: "ds", action: "CP", object: 6}, true)
			w.answerOne(0, true)
			w.call("oneadmin", "one.image.delete", 6)
		},
		"restart with a disk of an image that has no source": func(w *world) {
			w.runningVM("")
			w.call("oneadmin", "one.image.allocate", "NAME=failed\nPATH=/a", 1)
			w.answerOne(0, false)
			w.call("oneadmin", "one.image.enable", 6, true)
			w.call("oneadmin", "one.vm.attach", 0, "DISK=[IMAGE_ID=6]")
			w.problems = append(w.problems, w.restart()...)
		},
		"copy of an image that is being made for a disk": func(w *world) {
			w.runningVM("DISK=[IMAGE_ID=0]")
			w.call("oneadmin", "one.vm.savedisk", 0, 0, "saved", "", true, false)
			w.answer(request{driver: "ds", action: "CP", object: 6}, false)
			w.answerOne(0, true)
		},
		"restart while a data block is made that has become something else": func(w *world) {
			w.call("oneadmin", "one.image.allocate", "NAME=block\nTYPE=DATABLOCK\nSIZE=1", 1)
			w.call("oneadmin", "one.image.chtype", 6, "OS")
			w.restart()
			clear(w.lostImage)
		},
		"recovery of the detachment of a disk that was to be copied": func(w *world) {
			w.runningVM("DISK=[IMAGE_ID=0]")
			w.call("oneadmin", "one.vm.savedisk", 0, 0, "saved", "", false, false)
			w.answerOne(0, true)
			w.call("oneadmin", "one.vm.detach", 0, 0)
			w.call("oneadmin", "one.vm.recover", 0, false)
		},
		"removal that nobody has asked for": func(w *world) {
			w.answer(request{driver: "ds", action: "RM", object: 0}, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(o, t.Logf)
				defer w.close()
				do(w)
				if problems := w.check(); len(problems) > 0 {
					t.Error(strings.Join(problems, "\n"))
				}
			})
		})
	}
}

// runningVM makes VM 0 and brings it to RUNNING.
func (w *world) runningVM(extra string) {
	w.call("oneadmin", "one.vm.allocate", "CPU=1\nMEMORY=64\n"+extra, false)
	w.call("oneadmin", "one.vm.deploy", 0, 0, false, -1)
	w.answerOne(0, true)
	w.answerOne(0, true)
}
