// Package quota is the limits of users and groups and what they use of them. It knows the arithmetic and the texts of 4.6, not
// who is charged for what.
package quota

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Kind is what a quota is about.
type Kind int

// The kinds, in the order of their elements in documents.
const (
	Datastore Kind = iota
	Network
	VM
	Image
	kinds
)

// Metric is something that is counted.
type Metric int

// The metrics, in the order in which limits are tested.
const (
	Size         Metric = iota // MB of images in a datastore
	Images                     // images in a datastore
	Leases                     // leases of a network
	VMs                        // virtual machines
	CPU                        // CPUs of the virtual machines
	Memory                     // their memory in MB
	VolatileSize               // MB of their volatile disks
	RVMs                       // VMs that use an image
	metrics
)

var kindNames = [kinds]string{"DATASTORE", "NETWORK", "VM", "IMAGE"}

var metricNames = [metrics]string{"SIZE", "IMAGES", "LEASES", "VMS", "CPU", "MEMORY", "VOLATILE_SIZE", "RVMS"}

// kindMetrics are the first metric of a kind and the one behind its last.
var kindMetrics = [kinds][2]Metric{{Size, Leases}, {Leases, VMs}, {VMs, RVMs}, {RVMs, metrics}}

// xmlOrder are the metrics of a kind sorted by name.
var xmlOrder = [kinds][]Metric{{Images, Size}, {Leases}, {CPU, Memory, VMs, VolatileSize}, {RVMs}}

// most is the number of metrics of the kind that has most.
const most = 4

// String is the name in templates and documents.
func (k Kind) String() string { return kindNames[k] }

// String is the name in templates and documents.
func (m Metric) String() string { return metricNames[m] }

// Amount is a quantity in hundredths. 4.6 computes in 32-bit floats and rounds what it stores to two decimals; whole hundredths
// give the same for all values that a client can see, but what was charged and released again leaves exactly nothing.
type Amount int64

// maxAmount bounds one amount so that sums of thousands of them can't overflow: 10^13 units, MB for example.
const maxAmount = 1e13

// Units turns a number into an amount, rounded to hundredths. What is beyond 10^13 counts as 10^13.
func Units(v float64) Amount {
	if v != v {
		return 0
	}
	return bounded(min(max(v, -maxAmount), maxAmount))
}

// ceiling is the largest amount there is; what would exceed it stays there.
const ceiling Amount = 9e18

func (a Amount) plus(b Amount) Amount {
	switch {
	case b > 0 && a > ceiling-b:
		return ceiling
	case b < 0 && a < -ceiling-b:
		return -ceiling
	}
	return a + b
}

// parseNumber reads a stored number. Decimals behind the second are rounded.
func parseNumber(text string) (number, bool) {
	if whole, fraction, _ := strings.Cut(text, "."); len(fraction) == 0 || len(fraction) == 2 {
		n, err := strconv.ParseInt(whole+(fraction + "00")[:2], 10, 64)
		if err == nil && n >= int64(-ceiling) && n <= int64(ceiling) {
			return number{Amount(n), fraction == "00"}, true
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if v != v || err != nil && !errors.Is(err, strconv.ErrRange) {
		return number{}, false
	}
	return number{Amount: bounded(v)}, true
}

// bounded turns any number but NaN into an amount.
func bounded(v float64) Amount {
	const most = float64(ceiling / 100)
	return Amount(math.RoundToEven(min(max(v, -most), most) * 100))
}

// number is an amount as it is stored. 4.6 adds in 32-bit floats and writes two decimals unless the sum is exactly whole, so that
// a whole sum may have them, too.
type number struct {
	Amount
	decimals bool // two decimals although the amount is whole
}

// add is the sum, written as 4.6 would write it.
func (n number) add(d Amount) number {
	sum := number{Amount: n.plus(d)}
	noisy := float32(float64(n.Amount)/100) + float32(float64(d)/100)
	sum.decimals = sum.Amount%100 == 0 && noisy != float32(math.Ceil(float64(noisy)))
	return sum
}

// append writes a number as 4.6 does: without decimals if it is whole, else with two.
func (n number) append(dst []byte) []byte {
	a := n.Amount
	if a < 0 {
		dst = append(dst, '-')
		a = -a
	}
	dst = strconv.AppendInt(dst, int64(a/100), 10)
	if a%100 == 0 && !n.decimals {
		return dst
	}
	return append(dst, '.', byte('0'+a/10%10), byte('0'+a%10))
}

// text is the amount in error texts: six significant digits.
func (a Amount) text() string {
	s := strconv.FormatFloat(float64(a)/100, 'g', 6, 64)
	mantissa, exponent, hasExponent := strings.Cut(s, "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	if hasExponent {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// The two limits that are none.
const (
	Unlimited  Amount = 0
	UseDefault Amount = -100 // not in default quotas
)

// ParseID reads the id of a datastore, network or image out of a template. The error's text is 4.6's.
func ParseID(text string) (int, error) {
	id, err := strconv.ParseInt(strings.TrimLeft(text, " \t\n\v\f\r"), 10, 32)
	if err != nil {
		return 0, errors.New("String '" + text + "' is not a valid ID")
	}
	return int(id), nil
}
