package mad

import (
	"math"
	"strconv"
	"strings"
)

// Message is one line of a driver, `ACTION RESULT ID TEXT`, taken apart as
// 4.6 does: words are separated by any run of blanks, ID is the leading
// decimal number of the third word (`30x` is 30 with text `x`) and TEXT is
// the rest with its trailing blanks.
type Message struct {
	Action string
	Result string
	// ID is the object or request number; it means something only if HasID.
	// LOG lines may carry `-` there.
	ID    int
	HasID bool
	Text  string
	// Raw is the whole line without its line feed, for logs.
	Raw string
}

// Success reports whether the result word is exactly SUCCESS, the only one
// that VM, TM, AUTH and HM answers count as success.
func (m Message) Success() bool { return m.Result == "SUCCESS" }

// Info is the text of an answer; one that is empty or begins with `-` means
// "no text" in 4.6 and yields "".
func (m Message) Info() string {
	if strings.HasPrefix(m.Text, "-") {
		return ""
	}
	return m.Text
}

// Severity is the level letter of a log line: 'E', 'I' or 'D'.
type Severity byte

// LogLine is a driver's `LOG LEVEL ID TEXT`. Without a numeric ID (HasID
// false) it belongs in oned.log, otherwise in the log of that VM.
type LogLine struct {
	Severity Severity
	ID       int
	HasID    bool
	Text     string
}

// Log returns the log line that m is, if it is one. Only the first letter of
// the level counts; everything but E and D is information (W too, as in 4.6).
func (m Message) Log() (LogLine, bool) {
	if m.Action != "LOG" {
		return LogLine{}, false
	}
	sev := Severity('I')
	switch m.Result[0] {
	case 'E', 'D':
		sev = Severity(m.Result[0])
	}
	return LogLine{Severity: sev, ID: m.ID, HasID: m.HasID, Text: m.Text}, true
}

// ParseMessage takes a driver's line (without its line feed) apart. ok is
// false for what 4.6 drops in silence: fewer than two words, or a third word
// that is no number on anything but a LOG line.
func ParseMessage(line string) (m Message, ok bool) {
	m.Raw = line
	m.Action, line = cutWord(line)
	m.Result, line = cutWord(line)
	if m.Result == "" {
		return Message{}, false
	}
	rest := trimBlanks(line)
	if id, n := leadingInt(rest); n > 0 {
		m.ID, m.HasID = id, true
		m.Text = trimBlanks(rest[n:])
		return m, true
	}
	if m.Action != "LOG" {
		return Message{}, false
	}
	// A sign without digits is swallowed, so `LOG I - text` keeps " text".
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		rest = rest[1:]
	}
	m.Text = rest
	return m, true
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func trimBlanks(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	return s
}

func cutWord(s string) (word, rest string) {
	s = trimBlanks(s)
	for i := 0; i < len(s); i++ {
		if isBlank(s[i]) {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// leadingInt reads a decimal prefix of s and its length; length 0 means that
// there is none or that it exceeds 32 bits.
func leadingInt(s string) (value, length int) {
	n := 0
	if n < len(s) && (s[n] == '-' || s[n] == '+') {
		n++
	}
	start := n
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n == start {
		return 0, 0
	}
	v, err := strconv.ParseInt(s[:n], 10, 64)
	if err != nil || v > math.MaxInt32 || v < math.MinInt32 {
		return 0, 0
	}
	return int(v), n
}
