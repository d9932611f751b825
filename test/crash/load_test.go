package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// kindOf is a kind of object that the load makes, changes and removes.
type kindOf struct {
	api, remover string
	// template is what an object of that name is made of, with args behind.
	template func(name string, n int) (text string, args []any)
}

var objectKinds = []kindOf{
	{"vm", "", func(name string, n int) (string, []any) {
		text := fmt.Sprintf("NAME = %s\nCPU = 0.29\nMEMORY = 64\nDISK = [ IMAGE_ID = %d ]\nDISK = [ TYPE = fs, SIZE = 7 ]\nNIC = [ NETWORK_ID = 0 ]\n", name, n%3)
		return text + "CONTEXT = [ NETWORK = YES ]\n", []any{n%7 == 0}
	}},
	{"image", "one.image.delete", func(name string, n int) (string, []any) {
		if n%2 == 0 {
			return "NAME = " + name + "\nPATH = /some/image\n", []any{1}
		}
		return "NAME = " + name + "\nTYPE = DATABLOCK\nSIZE = 5\n", []any{1}
	}},
	{"vn", "one.vn.delete", func(name string, n int) (string, []any) {
		return "NAME = " + name + "\nBRIDGE = br0\nTYPE = RANGED\nIP_START = 10.1.0.1\nIP_END = 10.1.0.9\n", []any{-1}
	}},
	{"template", "one.template.delete", func(name string, n int) (string, []any) {
		return "NAME = " + name + "\nCPU = 1\nMEMORY = 1\n", nil
	}},
}

// object is one thing that a worker has made, and what it knows of it for certain.
type object struct {
	kind kindOf
	id   int
	name string
	// serial is what the last confirmed update wrote, trying what an update wrote that nobody has confirmed.
	serial, trying int
	deleting, gone bool
	// copied tells that it came into being with its source's serial.
	copied bool
	// held are the addresses of a network that are on hold; false: released; missing: nobody knows.
	held map[int]bool
}

// worker makes calls, one after the other. Nobody else touches its objects.
type worker struct {
	c       *cloud
	session string
	rand    *rand.Rand
	number  int
	objects []*object
	made    int
	calls   int
}

// run works until the daemon is killed, or stop is closed.
func (w *worker) run(stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		w.calls++
		if err := w.step(); err != nil {
			return err
		}
	}
}

// unclear reports whether a call ended without answer: it was carried out or not.
func unclear(err error) bool {
	var r *refusal
	return err != nil && !errors.As(err, &r)
}

// living are the objects that are there for sure, all and the VMs among them.
func (w *worker) living() (all, vms []*object) {
	for _, o := range w.objects {
		if o.gone || o.deleting {
			continue
		}
		all = append(all, o)
		if o.kind.api == "vm" {
			vms = append(vms, o)
		}
	}
	return all, vms
}

// step makes one call, so that there are always some objects of each kind and never many.
func (w *worker) step() error {
	all, vms := w.living()
	switch others := len(all) - len(vms); {
	case len(vms) < 3:
		return w.make(objectKinds[0])
	case others < 5:
		return w.make(objectKinds[1+w.rand.IntN(len(objectKinds)-1)])
	case others > 12:
		return w.remove(all[w.rand.IntN(len(all))])
	case w.rand.IntN(12) == 0:
		return w.make(objectKinds[w.rand.IntN(len(objectKinds))])
	case len(vms) < 8 && w.rand.IntN(2) == 0:
		all = vms
	}
	o := all[w.rand.IntN(len(all))]
	switch n := w.rand.IntN(10); {
	case n < 2:
		return w.update(o)
	case n == 2 && (o.kind.api != "vm" || len(vms) > 5 || w.rand.IntN(4) == 0):
		return w.remove(o)
	case o.kind.api == "vm":
		return w.live(o)
	case o.kind.api == "vn":
		return w.hold(o)
	case o.kind.api == "image":
		return w.onImage(o)
	}
	return w.update(o)
}

func (w *worker) make(k kindOf) error {
	w.made++
	o := &object{kind: k, name: fmt.Sprintf("w%d-%d", w.number, w.made), held: map[int]bool{}}
	text, args := k.template(o.name, w.rand.IntN(100))
	id, err := w.c.call(w.session, "one."+k.api+".allocate", append([]any{text}, args...)...)
	if err != nil {
		return ifUnclear(err)
	}
	o.id = id.(int)
	w.objects = append(w.objects, o)
	return nil
}

func ifUnclear(err error) error {
	if unclear(err) {
		return err
	}
	return nil
}

func (w *worker) update(o *object) error {
	o.trying = max(o.serial, o.trying) + 1
	_, err := w.c.call(w.session, "one."+o.kind.api+".update", o.id, "SERIAL = "+strconv.Itoa(o.trying), 1)
	if err != nil {
		return ifUnclear(err)
	}
	o.serial = o.trying
	return nil
}

func (w *worker) remove(o *object) error {
	o.deleting = true
	var err error
	if o.kind.api == "vm" {
		_, err = w.c.call(w.session, "one.vm.action", "delete", o.id)
	} else {
		_, err = w.c.call(w.session, o.kind.remover, o.id)
	}
	switch {
	case unclear(err):
		return err
	case err != nil:
		o.deleting = false
	default:
		o.gone = true
	}
	return nil
}

// live does something with a VM. Whether it is possible depends on drivers.
func (w *worker) live(o *object) error {
	var err error
	action := func(name string) { _, err = w.c.call(w.session, "one.vm.action", name, o.id) }
	switch w.rand.IntN(16) {
	case 0, 1, 2, 3:
		_, err = w.c.call("oneadmin:opennebula", "one.vm.deploy", o.id, w.rand.IntN(2), false, -1)
	case 4:
		_, err = w.c.call(w.session, "one.vm.attach", o.id, "DISK = [ IMAGE_ID = "+strconv.Itoa(w.rand.IntN(3))+" ]")
	case 5:
		_, err = w.c.call(w.session, "one.vm.detach", o.id, w.rand.IntN(4))
	case 6:
		_, err = w.c.call(w.session, "one.vm.attachnic", o.id, "NIC = [ NETWORK_ID = 0 ]")
	case 7:
		_, err = w.c.call(w.session, "one.vm.snapshotcreate", o.id, "")
	case 8, 9:
		w.made++
		var id any
		name := fmt.Sprintf("w%d-%d", w.number, w.made)
		if id, err = w.c.call(w.session, "one.vm.savedisk", o.id, 0, name, "", w.rand.IntN(2) == 0, false); err == nil {
			w.objects = append(w.objects, &object{kind: objectKinds[1], id: id.(int), name: name})
		}
	case 10:
		action([]string{"poweroff", "suspend", "stop", "undeploy"}[w.rand.IntN(4)])
	case 11:
		action("resume")
	case 12:
		action("shutdown")
	case 13:
		_, err = w.c.call("oneadmin:opennebula", "one.vm.migrate", o.id, w.rand.IntN(2), w.rand.IntN(2) == 0, false)
	case 14:
		_, err = w.c.call(w.session, "one.vm.resize", o.id, "CPU = 0.57\nMEMORY = 32\n", false)
	case 15:
		action("delete-recreate")
	}
	return ifUnclear(err)
}

// hold puts an address on hold or releases it.
func (w *worker) hold(o *object) error {
	n := 1 + w.rand.IntN(9)
	held, known := o.held[n]
	method := "one.vn.hold"
	if held && known {
		method = "one.vn.release"
	}
	delete(o.held, n)
	_, err := w.c.call(w.session, method, o.id, fmt.Sprintf("LEASES = [ IP = 10.1.0.%d ]", n))
	switch {
	case unclear(err):
		return err
	case err == nil:
		o.held[n] = method == "one.vn.hold"
	}
	return nil
}

func (w *worker) onImage(o *object) error {
	var err error
	switch w.rand.IntN(3) {
	case 0:
		_, err = w.c.call(w.session, "one.image.enable", o.id, w.rand.IntN(2) == 0)
	case 1:
		_, err = w.c.call(w.session, "one.image.persistent", o.id, w.rand.IntN(2) == 0)
	case 2:
		w.made++
		var id any
		name := fmt.Sprintf("w%d-%d", w.number, w.made)
		if id, err = w.c.call(w.session, "one.image.clone", o.id, name); err == nil {
			w.objects = append(w.objects, &object{kind: objectKinds[1], id: id.(int), name: name, copied: true})
		}
	}
	return ifUnclear(err)
}

// forget drops what is gone, or may be.
func (w *worker) forget() {
	w.objects, _ = w.living()
}

// work lets all workers run until the daemon is killed after some time.
func work(c *cloud, workers []*worker, after time.Duration) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() {
			if err := w.run(stop); err != nil {
				return // the daemon is dead
			}
		})
	}
	time.Sleep(after)
	c.kill()
	close(stop)
	wg.Wait()
}
