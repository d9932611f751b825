package sched

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"goned/core/match"
	"goned/core/template"
)

// Config is sched.conf, with 4.6's defaults for what it leaves out.
type Config struct {
	Port           int
	Interval       time.Duration // between the end of a pass and the next, 0 for none at all
	MaxVM          int           // machines considered in a pass, 0 for all
	LiveReschedule bool
	MessageSize    int64  // bytes of an answer of oned
	LogSystem      string // file, syslog or stderr
	LogLevel       match.Level
	Policy         match.Policy

	attributes *template.Template
}

// Message is an error whose text is 4.6's, which people and scripts know.
type Message string

func (m Message) Error() string { return string(m) }

// The errors that prevent the start.
const (
	ErrConfig    Message = "Error reading configuration file."
	ErrLogSystem Message = "Unknown LOG_SYSTEM."
)

// LoadConfig reads a sched.conf.
func LoadConfig(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("\nError while parsing configuration file:\nError opening template file: %w\n%w", err, ErrConfig)
	}
	return ParseConfig(string(text))
}

// ParseConfig reads the text of a sched.conf.
func ParseConfig(text string) (*Config, error) {
	t, err := template.ParseText(text)
	if err != nil {
		reason := strings.TrimPrefix(err.Error(), "Parse error: ")
		return nil, fmt.Errorf("\nError while parsing configuration file:\n%s\n%w", reason, ErrConfig)
	}
	addDefaults(t)
	c := &Config{
		Port:           number(t, "ONED_PORT"),
		Interval:       time.Duration(number(t, "SCHED_INTERVAL")) * time.Second,
		MaxVM:          unlimited(number(t, "MAX_VM"), 0),
		LiveReschedule: number(t, "LIVE_RESCHEDS") == 1,
		MessageSize:    int64(number(t, "MESSAGE_SIZE")),
		Policy: match.Policy{
			MaxDispatch: unlimited(number(t, "MAX_DISPATCH"), 0),
			MaxHost:     unlimited(number(t, "MAX_HOST"), int(^uint(0)>>1)),
		},
		attributes: t,
	}
	c.Policy.AuthorizeDatastores, _ = t.Bool("DS_AUTHORIZATION")
	if v := t.Vector("DEFAULT_SCHED"); v != nil {
		c.Policy.HostRank = match.HostPolicy(leadingInt(v.Get("POLICY")), v.Get("RANK"))
	}
	if v := t.Vector("DEFAULT_DS_SCHED"); v != nil {
		c.Policy.DatastoreRank = match.DatastorePolicy(leadingInt(v.Get("POLICY")), v.Get("RANK"))
	}
	return c, c.readLog(t.Vector("LOG"))
}

// readLog: a level out of range is 0, as in 4.6.
func (c *Config) readLog(v *template.Vector) error {
	c.LogSystem = strings.ToLower(v.Get("SYSTEM"))
	switch c.LogSystem {
	case "file", "syslog", "stderr":
	default:
		return ErrLogSystem
	}
	if level := leadingInt(v.Get("DEBUG_LEVEL")); 0 <= level && level <= int(match.LevelDebug) {
		c.LogLevel = match.Level(level)
	}
	return nil
}

func addDefaults(t *template.Template) {
	for _, d := range []template.Pair{
		{Key: "MESSAGE_SIZE", Value: "1073741824"}, {Key: "ONED_PORT", Value: "2633"},
		{Key: "SCHED_INTERVAL", Value: "30"}, {Key: "MAX_VM", Value: "300"},
		{Key: "MAX_DISPATCH", Value: "30"}, {Key: "MAX_HOST", Value: "1"}, {Key: "LIVE_RESCHEDS", Value: "0"},
	} {
		if !t.Has(d.Key) {
			t.AddSimple(d.Key, d.Value)
		}
	}
	for _, name := range []string{"DEFAULT_SCHED", "DEFAULT_DS_SCHED"} {
		if !t.Has(name) {
			t.AddVector(name, template.NewVector(template.Pair{Key: "POLICY", Value: "1"}))
		}
	}
	if !t.Has("LOG") {
		t.AddVector("LOG", template.NewVector(
			template.Pair{Key: "SYSTEM", Value: "file"}, template.Pair{Key: "DEBUG_LEVEL", Value: "3"}))
	}
}

// Endpoint is where oned listens: always on this host, as in 4.6, whatever
// ONE_XMLRPC says.
func (c *Config) Endpoint() string { return fmt.Sprintf("http://localhost:%d/RPC2", c.Port) }

// Dump is the configuration as the log shows it: a line per attribute.
func (c *Config) Dump() string {
	var b strings.Builder
	for a := range c.attributes.Attrs() {
		b.WriteString(a.Name + "=")
		if a.Vec == nil {
			b.WriteString(a.Value)
		} else {
			b.WriteString(a.Vec.Marshal(","))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// number is 0 for what is no whole number, as in 4.6.
func number(t *template.Template, name string) int {
	n, _ := t.Int(name)
	return int(n)
}

// unlimited maps negative limits, which 4.6 reads as huge ones.
func unlimited(n, none int) int {
	if n < 0 {
		return none
	}
	return n
}

func leadingInt(s string) int {
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, err := strconv.Atoi(s[:end])
	if err != nil {
		return 0
	}
	return n
}
