package match

import "testing"

func TestRankValue(t *testing.T) {
	const smallest = -2147483648
	tests := []struct {
		text string
		want int32
	}{
		{"", 0},
		{" ", 0},
		{"10.9", 10},
		{"- 10.9", -10},
		{"X + 2 * 3", 7},
		{"(X + 2) * 3", 9},
		{"10 - 2 - 3", 5},
		{"100 / 10 / 5", 2},
		{"- X * 2 + 5", 3},
		{"2 * - X + 5", 3},
		{"2 * - X * 3", -6},
		{"- - 5", 5},
		{"0.9 * 5", 4},
		{"FREE_CPU - 100", 600},
		{"GIGS", 8},
		{"EXP", 2000},
		{"BADEXP", 0},
		{"COLOR", 0},
		{"NOPE + 3", 3},
		{`"V/K1" + 4`, 4},
		{"1 / 0", smallest},
		{"0 / 0", smallest},
		{"- (1 / 0)", smallest},
		{"3000000000", -1294967296}, // cut to 32 bits when it is read
		{"2147483.0 * 10000", smallest},
	}
	table := oddTable(t)
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			rank, err := ParseRank(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := rank.bind(table).of(0); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// A wrong rank counts as what was complete before the error.
func TestRankErrors(t *testing.T) {
	tests := []struct {
		text  string
		value int32
		err   string
	}{
		{"X +", 0, "unexpected $end at line 1, columns 3:4"},
		{"+ X", 0, "unexpected '+', expecting $end at line 1, columns 1:2"},
		{"FREE_CPU X", 700, "unexpected STRING, expecting $end at line 1, columns 10:11"},
		{"FREE_CPU-3", 700, "unexpected INTEGER, expecting $end at line 1, columns 9:11"},
		{"FREE_CPU = 1", 700, "unexpected $undefined, expecting $end at line 1, columns 10:11"},
		{"(X", 0, "unexpected $end at line 1, columns 2:3"},
		{"FREE_CPU )", 700, "unexpected ')', expecting $end at line 1, columns 10:11"},
		{"FREE_CPU + * 2", 0, "unexpected '*' at line 1, columns 12:13"},
		{"()", 0, "unexpected ')' at line 1, columns 2:3"},
		{`""`, 0, "empty attribute name at line 1, columns 1:3"},
	}
	table := oddTable(t)
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			rank, err := ParseRank(tt.text)
			if err == nil || err.Error() != "syntax error, "+tt.err {
				t.Errorf("got  %v\nwant syntax error, %s", err, tt.err)
			}
			if got := rank.bind(table).of(0); got != tt.value {
				t.Errorf("value %d, want %d", got, tt.value)
			}
		})
	}
}
