package quota

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goned/core/refusal"
	"goned/core/template"
)

func parseTemplate(t testing.TB, text string) *template.Template {
	t.Helper()
	tmpl, err := template.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// flat is the quotas without markup: "VM CPU=-1 CPU_USED=0 …", one entry a line.
func flat(q *Quotas) string {
	s := string(q.AppendXML(nil))
	for _, k := range kindNames {
		s = strings.NewReplacer("<"+k+"_QUOTA>", "", "</"+k+"_QUOTA>", "", "<"+k+">", k, "</"+k+">", "\n").Replace(s)
	}
	for _, m := range append(metricNames[:], "ID") {
		s = strings.NewReplacer("<"+m+">", " "+m+"=", "</"+m+">", "", "<"+m+"_USED>", "/", "</"+m+"_USED>", "").Replace(s)
	}
	return strings.NewReplacer("<![CDATA[", "", "]]>", "").Replace(s)
}

func TestSet(t *testing.T) {
	const vm = "VM CPU=-1/0 MEMORY=-1/0 VMS=9/0 VOLATILE_SIZE=-1/0\n"
	for name, tc := range map[string]struct {
		before, text string
		defaults     bool
		want, err    string
	}{
		"new entry, missing limits use the default": {text: "VM=[VMS=9]", want: vm},
		"all limits":                   {text: "VM=[VMS=4,CPU=5.5,MEMORY=1024,VOLATILE_SIZE=0]", want: "VM CPU=5.50/0 MEMORY=1024/0 VMS=4/0 VOLATILE_SIZE=0/0\n"},
		"existing entry needs all":     {before: "VM=[VMS=9]", text: "VM=[VMS=3]", want: vm, err: "VM = [ VMS=3 ]"},
		"below -1":                     {text: "VM=[VMS=-2]", err: "VM = [ VMS=-2 ]"},
		"no number in a new entry":     {text: "VM=[VMS=abc]"},
		"usage in the text is ignored": {text: "VM=[VMS=9,VMS_USED=7]", want: vm},
		"all or nothing": {
			text: "NETWORK=[ID=0,LEASES=3]\nVM=[VMS=4,CPU=5.5,MEMORY=1024,VOLATILE_SIZE=-2]",
			err:  "VM = [ CPU=5.5,MEMORY=1024,VMS=4,VOLATILE_SIZE=-2 ]",
		},
		"simple attribute":          {text: "VM=5", err: "VM"},
		"id missing":                {text: "IMAGE=[RVMS=1]", err: "IMAGE = [ RVMS=1 ]"},
		"id is no number":           {text: "DATASTORE=[ID=x,SIZE=1]", err: "DATASTORE = [ ID=x,SIZE=1 ]"},
		"removed when it is all -1": {before: "NETWORK=[ID=3,LEASES=2]", text: "NETWORK=[ID=3,LEASES=-1]"},
		"order of creation":         {text: "IMAGE=[ID=9,RVMS=1]\nIMAGE=[ID=2,RVMS=0]", want: "IMAGE ID=9 RVMS=1/0\nIMAGE ID=2 RVMS=0/0\n"},
		"keys sorted around the id": {text: "DATASTORE=[ID=1,SIZE=10,IMAGES=3]", want: "DATASTORE ID=1 IMAGES=3/0 SIZE=10/0\n"},
		"default, missing limit":    {defaults: true, text: "VM=[VMS=1]", err: "VM = [ VMS=1 ]"},
		"default, negative":         {defaults: true, text: "NETWORK=[ID=1,LEASES=-1]", err: "NETWORK = [ ID=1,LEASES=-1 ]"},
		"default, removed at 0":     {defaults: true, before: "NETWORK=[ID=1,LEASES=2]", text: "NETWORK=[ID=1,LEASES=0]"},
		"32-bit float":              {text: "NETWORK=[ID=1,LEASES=1000000000000]", want: "NETWORK ID=1 LEASES=999999995904/0\n"},
		"two decimals":              {text: "NETWORK=[ID=1,LEASES=1.256]", want: "NETWORK ID=1 LEASES=1.26/0\n"},
		"other attributes":          {text: "FOO=[ID=1]"},
	} {
		t.Run(name, func(t *testing.T) {
			q := &Quotas{Default: tc.defaults}
			if err := q.Set(parseTemplate(t, tc.before)); err != nil {
				t.Fatal(err)
			}
			err := q.Set(parseTemplate(t, tc.text))
			if tc.err != "" {
				if err == nil || err.Error() != "Negative limits or bad format in quota "+tc.err {
					t.Errorf("error %v", err)
				}
			} else if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tc.want, flat(q)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestCharge(t *testing.T) {
	for name, tc := range map[string]struct {
		limits, defaults string
		requests         []Request
		err, want        string
	}{
		"first use makes the entry": {
			requests: []Request{ForVM(1.5, 64, 10)},
			want:     "VM CPU=-1/1.50 MEMORY=-1/64 VMS=-1/1 VOLATILE_SIZE=-1/10\n",
		},
		"limit in six digits": {
			limits: "VM=[MEMORY=1048576]", requests: []Request{ForVM(1, 1048577, 0)},
			err:  "limit of 1.04858e+06 reached for MEMORY quota in VM",
			want: "VM CPU=-1/0 MEMORY=1048576/0 VMS=-1/0 VOLATILE_SIZE=-1/0\n",
		},
		"order of metrics": {
			limits: "VM=[VMS=1,CPU=0.5,MEMORY=1,VOLATILE_SIZE=-1]", requests: []Request{ForVM(9, 9, 0)},
			err:  "limit of 0.5 reached for CPU quota in VM",
			want: "VM CPU=0.50/0 MEMORY=1/0 VMS=1/0 VOLATILE_SIZE=-1/0\n",
		},
		"up to the limit": {
			limits: "NETWORK=[ID=3,LEASES=2]", requests: []Request{ForLease(3), ForLease(3)},
			want: "NETWORK ID=3 LEASES=2/2\n",
		},
		"the second of two is refused, the first is not counted": {
			limits: "NETWORK=[ID=3,LEASES=1]", requests: []Request{ForLease(3), ForLease(3)},
			err: "limit of 1 reached for LEASES quota in NETWORK with ID: 3", want: "NETWORK ID=3 LEASES=1/0\n",
		},
		"default limit": {
			defaults: "DATASTORE=[ID=1,SIZE=10,IMAGES=0]", requests: []Request{ForImage(1, 11)},
			err: "limit of 10 reached for SIZE quota in DATASTORE with ID: 1",
		},
		"default is for another id": {
			defaults: "DATASTORE=[ID=1,SIZE=10,IMAGES=0]", requests: []Request{ForImage(2, 11)},
			want: "DATASTORE ID=2 IMAGES=-1/1 SIZE=-1/11\n",
		},
		"0 is unlimited whatever the default": {
			limits: "IMAGE=[ID=0,RVMS=0]", defaults: "IMAGE=[ID=0,RVMS=1]", requests: []Request{ForUse(0), ForUse(0)},
			want: "IMAGE ID=0 RVMS=0/2\n",
		},
		"only what is asked for is tested": {
			limits: "VM=[CPU=0.1]", requests: []Request{ForVolatile(5)},
			want: "VM CPU=0.10/0 MEMORY=-1/0 VMS=-1/0 VOLATILE_SIZE=-1/5\n",
		},
		"invalid when its turn comes": {
			limits:   "NETWORK=[ID=3,LEASES=1]",
			requests: OfNewVM(parseTemplate(t, "NIC=[NETWORK_ID=3]\nNIC=[NETWORK_ID=3]\nMEMORY=0\nCPU=1")),
			err:      "limit of 1 reached for LEASES quota in NETWORK with ID: 3", want: "NETWORK ID=3 LEASES=1/0\n",
		},
		"negative image": {requests: []Request{ForImage(1, 5), ForImage(1, -1)}, err: "Image size must be a positive integer value"},
		"huge image":     {requests: []Request{ForImage(1, 1<<31)}, err: "Image size must be a positive integer value"},
		"largest image":  {requests: []Request{ForImage(1, 1<<31-1)}, want: "DATASTORE ID=1 IMAGES=-1/1 SIZE=-1/2147483647\n"},
		"memory":         {requests: OfNewVM(parseTemplate(t, "CPU=1\nMEMORY=-1")), err: "MEMORY attribute must be a positive integer value"},
		"huge":           {requests: OfNewVM(parseTemplate(t, "CPU=1\nMEMORY=4294967297")), err: "MEMORY attribute must be a positive integer value"},
		"cpu":            {requests: OfNewVM(parseTemplate(t, "CPU=x\nMEMORY=1")), err: "CPU attribute must be a positive float or integer value"},
		"disk id":        {requests: OfNewVM(parseTemplate(t, "CPU=1\nMEMORY=1\nDISK=[IMAGE_ID=1x]")), err: "String '1x' is not a valid ID"},
		"sizes that would overflow or lower the usage": {
			requests: OfNewVM(parseTemplate(t, "CPU=1\nMEMORY=1\nDISK=[TYPE=fs,SIZE=9000000000000000000]\nDISK=[TYPE=SWAP,SIZE=9000000000000000000]\nDISK=[TYPE=fs,SIZE=-8]")),
			want:     "VM CPU=-1/1 MEMORY=-1/1 VMS=-1/1 VOLATILE_SIZE=-1/10000000000000\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			q, defaults := &Quotas{}, &Quotas{Default: true}
			if err := q.Set(parseTemplate(t, tc.limits)); err != nil {
				t.Fatal(err)
			}
			if err := defaults.Set(parseTemplate(t, tc.defaults)); err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := q.Charge(defaults, tc.requests...); err != nil {
				got = err.Error()
			}
			if got != tc.err {
				t.Errorf("error %q, want %q", got, tc.err)
			}
			if diff := cmp.Diff(tc.want, flat(q)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAccountNamesItsOwner(t *testing.T) {
	limits := parseTemplate(t, "IMAGE=[ID=0,RVMS=1]")
	for _, tc := range []struct {
		account Account
		want    string
	}{
		{Account{OwnerID: 2}, "user [2] limit of 1 reached for RVMS quota in IMAGE with ID: 0"},
		{Account{OwnerID: 100, Group: true}, "group [100] limit of 1 reached for RVMS quota in IMAGE with ID: 0"},
		{Account{}, ""},
	} {
		if err := tc.account.Quotas.Set(limits); err != nil {
			t.Fatal(err)
		}
		err := tc.account.Charge(nil, ForUse(0), ForUse(0))
		r, ok := refusal.As(err)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("oneadmin is charged: %v", err)
		case tc.want != "" && (!ok || r.Kind != refusal.Authorization || r.Text != tc.want):
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func requests(t *rapid.T) []Request {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Request {
		id := rapid.IntRange(0, 3).Draw(t, "id")
		size := rapid.Int64Range(0, 1<<40).Draw(t, "size")
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return ForImage(id, size)
		case 1:
			return ForLease(id)
		case 2:
			return ForUse(id)
		case 3:
			return ForVolatile(size)
		}
		return ForVM(rapid.Float64Range(0.001, 64).Draw(t, "cpu"), size, size/2)
	}), 0, 6).Draw(t, "requests")
}

// TestUsageIsTheSumOfWhatLives charges and releases at random: usage is always the sum of what was charged and not released, no
// limit is exceeded, a refusal changes nothing, and at the end nothing is left but the limits.
func TestUsageIsTheSumOfWhatLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := &Quotas{}
		limits := rapid.SampledFrom([]string{
			"", "VM=[VMS=3]", "VM=[CPU=10.5,MEMORY=0]", "NETWORK=[ID=1,LEASES=2]\nIMAGE=[ID=2,RVMS=1]", "DATASTORE=[ID=0,SIZE=1000000,IMAGES=2]",
		}).Draw(t, "limits")
		tmpl, err := template.Parse(limits)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Set(tmpl); err != nil {
			t.Fatal(err)
		}
		empty := flat(q)
		var living [][]Request
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			if len(living) > 0 && rapid.Bool().Draw(t, "release") {
				i := rapid.IntRange(0, len(living)-1).Draw(t, "which")
				q.Release(living[i]...)
				living = append(living[:i:i], living[i+1:]...)
			} else {
				r, before := requests(t), flat(q)
				if err := q.Charge(nil, r...); err == nil {
					living = append(living, r)
				} else if flat(q) != before {
					t.Fatalf("%v, but\n%s", err, cmp.Diff(before, flat(q)))
				}
			}
			checkSums(t, q, living)
			again, err := Parse("<QUOTAS><ID>1</ID>" + string(q.AppendXML(nil)) + "</QUOTAS>")
			if err != nil || flat(again) != flat(q) {
				t.Fatalf("written and read: %v\n%s", err, cmp.Diff(flat(q), flat(again)))
			}
		}
		for _, r := range living {
			q.Release(r...)
		}
		if flat(q) != empty {
			t.Fatalf("left over:\n%s", cmp.Diff(empty, flat(q)))
		}
	})
}

func checkSums(t *rapid.T, q *Quotas, living [][]Request) {
	type place struct {
		m  Metric
		id int
	}
	sums := map[place]Amount{}
	for _, rs := range living {
		for _, r := range rs {
			for _, d := range r.Demands {
				sums[place{d.Metric, r.ID}] += d.Amount
			}
		}
	}
	for p, sum := range sums {
		if got := q.Used(p.m, p.id); got != sum {
			t.Fatalf("%v of %d is %d, the sum is %d", p.m, p.id, got, sum)
		}
		if limit := q.Limit(p.m, p.id); limit > 0 && sum > limit {
			t.Fatalf("%v of %d is %d, the limit %d", p.m, p.id, sum, limit)
		}
	}
}

// TestSumThatFloatsMiss: after a charge of 1.6 CPU was taken back from 2.6, 4.6 shows 1.00 for what is 1.
func TestSumThatFloatsMiss(t *testing.T) {
	q := &Quotas{}
	for _, step := range []struct {
		charge, release float64
		want            string
	}{{1, 0, "1"}, {1.6, 0, "2.60"}, {0, 1.6, "1.00"}, {1, 0, "2"}, {0, 1, "1"}} {
		if step.charge > 0 {
			if err := q.Charge(nil, ForResize(0, step.charge, 0, 0)); err != nil {
				t.Fatal(err)
			}
		} else {
			q.Release(ForResize(0, step.release, 0, 0))
		}
		if want := "VM CPU=-1/" + step.want + " MEMORY=-1/0 VMS=-1/0 VOLATILE_SIZE=-1/0\n"; flat(q) != want {
			t.Errorf("%+v: %s", step, flat(q))
		}
		again, err := Parse("<QUOTAS>" + string(q.AppendXML(nil)) + "</QUOTAS>")
		if err != nil || flat(again) != flat(q) {
			t.Errorf("read again: %v %s", err, flat(again))
		}
	}
}

func TestCloneIsDeep(t *testing.T) {
	q := &Quotas{}
	if err := q.Charge(nil, ForLease(1)); err != nil {
		t.Fatal(err)
	}
	before := flat(q)
	c := q.Clone()
	if err := c.Charge(nil, ForLease(1), ForLease(2)); err != nil {
		t.Fatal(err)
	}
	if flat(q) != before {
		t.Error("a change of the clone changed the original")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("<QUOTAS><ID>2</ID><VM_QUOTA><VM><CPU><![CDATA[12.25]]></CPU><CPU_USED><![CDATA[1e300]]></CPU_USED></VM></VM_QUOTA></QUOTAS>")
	f.Add("<DEFAULT_USER_QUOTAS><NETWORK_QUOTA><NETWORK><ID>7</ID><LEASES>-inf</LEASES></NETWORK></NETWORK_QUOTA></DEFAULT_USER_QUOTAS>")
	f.Fuzz(func(t *testing.T, body string) {
		q, err := Parse(body)
		if err != nil {
			return
		}
		again, err := Parse(string(q.DefaultsXML(UserDefaults)))
		if err != nil {
			t.Fatalf("%v\n%s", err, q.DefaultsXML(UserDefaults))
		}
		if diff := cmp.Diff(flat(q), flat(again)); diff != "" {
			t.Errorf("(-first +second)\n%s", diff)
		}
	})
}
