package quota

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"goned/core/template"
)

// Demand is an amount of a metric.
type Demand struct {
	Metric Metric
	Amount Amount
}

// Request is what somebody wants to use of one datastore, network or image, or of VMs (ID 0). Only the metrics in it are tested
// and counted, all of the same kind, in the order of their constants.
type Request struct {
	Kind    Kind
	ID      int
	Demands []Demand
	// Invalid, if not nil, makes the request one that is refused with this error when its turn comes.
	Invalid error
}

// ForImage is the request of a new image of that size in MB. A size that 4.6 could not count is refused: a negative one would lower
// the usage.
func ForImage(datastore int, size int64) Request {
	if size < 0 || size > math.MaxInt32 {
		return Request{Kind: Datastore, ID: datastore, Invalid: errors.New("Image size must be a positive integer value")}
	}
	return Request{Kind: Datastore, ID: datastore, Demands: []Demand{{Size, Units(float64(size))}, {Images, Units(1)}}}
}

// ForLease is the request of one lease of a network.
func ForLease(network int) Request {
	return Request{Kind: Network, ID: network, Demands: []Demand{{Leases, Units(1)}}}
}

// ForUse is the request of a VM to use an image.
func ForUse(image int) Request {
	return Request{Kind: Image, ID: image, Demands: []Demand{{RVMs, Units(1)}}}
}

// ForVM is the request of one VM with that much memory in MB and volatile disks in MB.
func ForVM(cpu float64, memory, volatile int64) Request {
	return Request{Kind: VM, Demands: []Demand{
		{VMs, Units(1)}, {CPU, Units(cpu)}, {Memory, Units(float64(memory))}, {VolatileSize, Units(float64(volatile))},
	}}
}

// ForResize is the request of a VM that has another size than before (memory in MB); what it asks for may be negative. It is the
// difference of what the sizes count for, so that a VM leaves nothing behind when it goes.
func ForResize(fromCPU, toCPU float64, fromMemory, toMemory int64) Request {
	return Request{Kind: VM, Demands: []Demand{
		{CPU, Units(toCPU) - Units(fromCPU)}, {Memory, Units(float64(toMemory)) - Units(float64(fromMemory))},
	}}
}

// ForVolatile is the request of one more volatile disk of that size in MB.
func ForVolatile(size int64) Request {
	return Request{Kind: VM, Demands: []Demand{{VolatileSize, Units(float64(size))}}}
}

// OfNewVM are the requests of a VM that is to be made of a template, in 4.6's order: a lease for each NIC, the VM itself, each
// image. A template that lacks what is counted gives a request that is refused when its turn comes.
func OfNewVM(t *template.Template) []Request {
	var requests []Request
	for _, nic := range t.Vectors("NIC") {
		requests = appendUse(requests, nic.Get("NETWORK_ID"), ForLease)
	}
	memory, okMemory := t.Int32("MEMORY")
	cpu, okCPU := t.Float("CPU")
	vm := ForVM(cpu, int64(memory), VolatileMB(t))
	switch {
	case !okMemory || memory <= 0:
		vm.Invalid = errors.New("MEMORY attribute must be a positive integer value")
	case !okCPU || cpu <= 0:
		vm.Invalid = errors.New("CPU attribute must be a positive float or integer value")
	}
	requests = append(requests, vm)
	for _, disk := range t.Vectors("DISK") {
		requests = appendUse(requests, disk.Get("IMAGE_ID"), ForUse)
	}
	return requests
}

func appendUse(requests []Request, id string, request func(int) Request) []Request {
	if id == "" {
		return requests
	}
	n, err := ParseID(id)
	r := request(n)
	r.Invalid = err
	return append(requests, r)
}

// OfVM are the requests that a VM with this template, made earlier, stands for: what is to be released when it is gone. What is no
// number counts as nothing.
func OfVM(t *template.Template) []Request {
	requests := OfNewVM(t)
	return slices.DeleteFunc(requests, func(r Request) bool { return r.Invalid != nil && r.Kind != VM })
}

// VolatileMB is the size of all volatile disks (TYPE fs or swap) of a VM template. In 4.6 a negative size lowers the usage; ours
// counts as nothing, and one too large for any quota as the largest amount.
func VolatileMB(t *template.Template) int64 {
	var sum int64
	for _, disk := range t.Vectors("DISK") {
		if Volatile(disk) {
			size, _ := disk.Int("SIZE")
			sum = min(sum+min(max(size, 0), maxAmount), maxAmount)
		}
	}
	return sum
}

// Volatile reports whether a DISK has no image and lives only as long as its VM.
func Volatile(disk *template.Vector) bool {
	kind := disk.Get("TYPE")
	return strings.EqualFold(kind, "SWAP") || strings.EqualFold(kind, "FS")
}

// Charge adds the usage of all requests, or of none: the error is that of the first request that is refused, in 4.6's words. A
// limit UseDefault stands for that of defaults, which may be nil; each request is tested with those before it counted.
func (q *Quotas) Charge(defaults *Quotas, requests ...Request) error {
	next := q.Clone()
	for i := range requests {
		r := &requests[i]
		if r.Invalid != nil {
			return r.Invalid
		}
		if err := next.charge(defaults, r); err != nil {
			return err
		}
	}
	q.entries = next.entries
	return nil
}

func (q *Quotas) charge(defaults *Quotas, r *Request) error {
	first := kindMetrics[r.Kind][0]
	e, standard := q.at(r.Kind, r.ID), defaults.find(r.Kind, r.ID)
	for _, d := range r.Demands {
		limit := e.limit[d.Metric-first].Amount
		if limit == UseDefault {
			limit = Unlimited
			if standard != nil {
				limit = standard.limit[d.Metric-first].Amount
			}
		}
		if limit != Unlimited && e.used[d.Metric-first].plus(d.Amount) > limit {
			return limitReached(limit, d.Metric, r)
		}
	}
	for _, d := range r.Demands {
		e.used[d.Metric-first] = e.used[d.Metric-first].add(d.Amount)
	}
	q.dropIdle(r.Kind, r.ID)
	return nil
}

func limitReached(limit Amount, m Metric, r *Request) error {
	text := "limit of " + limit.text() + " reached for " + m.String() + " quota in " + r.Kind.String()
	if r.Kind != VM {
		text += " with ID: " + strconv.Itoa(r.ID)
	}
	return errors.New(text)
}

// Release takes back the usage of requests that were charged before. Of what is not known nothing is taken.
func (q *Quotas) Release(requests ...Request) {
	for i := range requests {
		r := &requests[i]
		if q.find(r.Kind, r.ID) == nil {
			continue
		}
		e := q.at(r.Kind, r.ID)
		first := kindMetrics[r.Kind][0]
		for _, d := range r.Demands {
			e.used[d.Metric-first] = e.used[d.Metric-first].add(-d.Amount)
		}
		q.dropIdle(r.Kind, r.ID)
	}
}
