package resource

import (
	"math/rand/v2"
	"slices"
	"testing"

	"goned/core/template/xmldoc"
)

// A ManyIDs is what an IDs is after the same changes, and no version of it changes later.
func TestManyIDsIsIDs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var many ManyIDs
	var few IDs
	type version struct {
		many ManyIDs
		few  IDs
	}
	var old []version
	for step := range 6000 {
		id := r.IntN(1500)
		if step < 2000 {
			id = step // ascending, as ids come
		}
		var did, want bool
		if step < 2000 || step%3 > 0 == (step < 4000) {
			many, did = many.With(id)
			few, want = few.With(id)
		} else {
			many, did = many.Without(id)
			few, want = few.Without(id)
		}
		if did != want || many.Len() != len(few) || many.Has(id) != few.Has(id) {
			t.Fatalf("step %d, id %d: changed %v, want %v; %d ids, want %d", step, id, did, want, many.Len(), len(few))
		}
		if step%500 == 0 {
			old = append(old, version{many, few})
		}
	}
	for _, v := range append(old, version{many, few}, version{}) {
		if got := slices.Collect(v.many.All()); !slices.Equal(got, v.few) {
			t.Errorf("%d ids, want %d", len(got), len(v.few))
		}
		xml := v.many.AppendXML(nil, "VMS")
		if string(xml) != string(v.few.AppendXML(nil, "VMS")) || v.many.Size() != len(xml)-2*len("VMS") {
			t.Errorf("XML of %d bytes, Size %d: %.80q", len(xml), v.many.Size(), xml)
		}
		doc, err := xmldoc.Parse(string(xml))
		if err != nil {
			t.Fatal(err)
		}
		if read := ReadManyIDs(doc); !slices.Equal(slices.Collect(read.All()), v.few) {
			t.Errorf("%d ids are read of %d", read.Len(), len(v.few))
		}
		for _, run := range v.many.runs {
			if len(run.ids) == 0 || len(run.ids) > idRunSize {
				t.Errorf("a run of %d ids", len(run.ids))
			}
		}
	}
}

func TestManyIDsStops(t *testing.T) {
	for id := range NewManyIDs(IDs{3, 4, 5}).All() {
		if id != 3 {
			t.Errorf("goes on with %d", id)
		}
		break
	}
	var none ManyIDs
	if _, removed := none.Without(1); removed || none.Has(1) {
		t.Error("the empty set has 1")
	}
}
