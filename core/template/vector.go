package template

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Pair is one KEY=value of a vector attribute.
type Pair struct{ Key, Value string }

// Vector is the value of a vector attribute: pairs sorted by the bytes of
// their keys, every key once. Keys are compared as written: the text form has
// them in upper case, the XML form keeps their case. All methods that only
// read accept a nil Vector and take it for an empty one.
type Vector struct {
	pairs []Pair
}

// NewVector returns a vector of these pairs; of pairs with the same key the
// last counts.
func NewVector(pairs ...Pair) *Vector {
	return sortedVector(slices.Clone(pairs), true)
}

// sortedVector takes over pairs in the order they were written. Of equal keys
// the last or the first survives.
func sortedVector(pairs []Pair, last bool) *Vector {
	byKey := func(a, b Pair) int { return cmp.Compare(a.Key, b.Key) }
	if !slices.IsSortedFunc(pairs, byKey) {
		slices.SortStableFunc(pairs, byKey)
	}
	kept := pairs[:0]
	for _, p := range pairs {
		switch n := len(kept); {
		case n == 0 || kept[n-1].Key != p.Key:
			kept = append(kept, p)
		case last:
			kept[n-1] = p
		}
	}
	return &Vector{kept}
}

func (v *Vector) find(key string) (int, bool) {
	if v == nil {
		return 0, false
	}
	return slices.BinarySearchFunc(v.pairs, key, func(p Pair, key string) int { return cmp.Compare(p.Key, key) })
}

// Get returns the value of the key, "" when it is absent.
func (v *Vector) Get(key string) string {
	value, _ := v.Lookup(key)
	return value
}

// Lookup is Get that tells an empty value from an absent key.
func (v *Vector) Lookup(key string) (string, bool) {
	if i, ok := v.find(key); ok {
		return v.pairs[i].Value, true
	}
	return "", false
}

// Set gives the key a value.
func (v *Vector) Set(key, value string) {
	i, found := v.find(key)
	if found {
		v.pairs[i].Value = value
		return
	}
	v.pairs = insert(v.pairs, i, Pair{key, value})
}

// insert puts x in front of list[i]. A full list gets room for more than one: what is added to at all, a disk of a new VM, is
// added to a dozen times.
func insert[T any](list []T, i int, x T) []T {
	if len(list) == cap(list) {
		list = slices.Grow(list, 16)
	}
	return slices.Insert(list, i, x)
}

// Del removes the key if it is there.
func (v *Vector) Del(key string) {
	if i, ok := v.find(key); ok {
		v.pairs = slices.Delete(v.pairs, i, i+1)
	}
}

// Pairs returns the pairs sorted by key. The slice belongs to the vector and
// must not be changed.
func (v *Vector) Pairs() []Pair {
	if v == nil {
		return nil
	}
	return v.pairs
}

// Len returns the number of keys.
func (v *Vector) Len() int { return len(v.Pairs()) }

// Clone returns a copy, nil of nil.
func (v *Vector) Clone() *Vector {
	if v == nil {
		return nil
	}
	return &Vector{slices.Clone(v.pairs)}
}

// Equal reports whether both hold the same pairs.
func (v *Vector) Equal(other *Vector) bool { return slices.Equal(v.Pairs(), other.Pairs()) }

// Int returns the value of the key as a number. Like the stream extraction of
// 4.6 it accepts white space and a sign in front and decimal digits, and
// nothing behind them: " 5" is 5, "5 ", "5x", "5.0" and "0x5" are none, nor is
// what 64 bits can't hold.
func (v *Vector) Int(key string) (int64, bool) { return parseInt(v.Get(key)) }

// Int32 is Int for the places where 4.6 reads a 32-bit number and refuses what
// does not fit.
func (v *Vector) Int32(key string) (int32, bool) { return parseInt32(v.Get(key)) }

// Float returns the value of the key as a number, with the strictness of Int:
// white space and sign, digits with at most one point, an exponent. Hexadecimal,
// "inf" and "nan" are none, nor is what exceeds the 32-bit float of 4.6.
func (v *Vector) Float(key string) (float64, bool) { return parseFloat(v.Get(key)) }

// Bool returns whether the value of the key is YES in any case; ok is false
// when there is no value or an empty one.
func (v *Vector) Bool(key string) (val, ok bool) { return parseBool(v.Get(key)) }

// Marshal returns "KEY=value" of all keys joined by sep, without quotes: the
// form of vectors in 4.6's messages, with "," as separator.
func (v *Vector) Marshal(sep string) string {
	var b strings.Builder
	for i, p := range v.Pairs() {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(p.Key)
		b.WriteByte('=')
		b.WriteString(p.Value)
	}
	return b.String()
}

// streamSpace is what C++ skips in front of a number.
const streamSpace = " \t\n\v\f\r"

func parseInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimLeft(s, streamSpace), 10, 64)
	return n, err == nil
}

func parseInt32(s string) (int32, bool) {
	n, err := strconv.ParseInt(strings.TrimLeft(s, streamSpace), 10, 32)
	return int32(n), err == nil
}

func parseFloat(s string) (float64, bool) {
	s = strings.TrimLeft(s, streamSpace)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c == '.', c == '+', c == '-', c == 'e', c == 'E':
		default:
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(float64(float32(f)), 0) {
		return 0, false
	}
	return f, true
}

func parseBool(s string) (val, ok bool) {
	return upperASCII(s) == "YES", s != ""
}
