package agent

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Layout is where a cloud's files are: below ONE_LOCATION for a self-contained
// installation, else the system-wide directories.
type Layout struct {
	Var string // /var/lib/one or $ONE_LOCATION/var
	Etc string // /etc/one or $ONE_LOCATION/etc
	Log string // /var/log/one or $ONE_LOCATION/var
}

// LayoutOf returns the layout for a value of ONE_LOCATION, which may be empty.
func LayoutOf(oneLocation string) Layout {
	if oneLocation == "" {
		return Layout{Var: "/var/lib/one", Etc: "/etc/one", Log: "/var/log/one"}
	}
	varDir := filepath.Join(oneLocation, "var")
	return Layout{Var: varDir, Etc: filepath.Join(oneLocation, "etc"), Log: varDir}
}

// Remotes is the directory of scripts on the front-end.
func (l Layout) Remotes() string { return filepath.Join(l.Var, "remotes") }

// IsDriver reports whether name can be a driver directory below dir that may be
// used: one of the enabled ones, or with nil any that has what, which may be "".
func IsDriver(dir string, enabled []string, name, what string) bool {
	if name == "" || strings.ContainsRune(name, '/') || strings.HasPrefix(name, ".") {
		return false
	}
	if enabled != nil {
		return slices.Contains(enabled, name)
	}
	info, err := os.Stat(filepath.Join(dir, name, what))
	return err == nil && (what != "" || info.IsDir())
}

// Settings is what drivers read from the configuration that oned leaves in
// var/config at its start.
type Settings struct {
	// RemoteDir is SCRIPTS_REMOTE_DIR, where the scripts are on hosts.
	RemoteDir string
	// CollectdPort and PushSeconds come from the IM_MAD entry of collectd.
	CollectdPort, PushSeconds int
}

// DefaultSettings are 4.6's built-in values.
func DefaultSettings() Settings {
	return Settings{RemoteDir: "/var/tmp/one", CollectdPort: 4124, PushSeconds: 20}
}

var (
	portOption   = regexp.MustCompile(`-p (\d+)`)
	periodOption = regexp.MustCompile(`-i (\d+)`)
)

// ReadSettings reads var/config. A missing file leaves the defaults: drivers
// can be run by hand without a daemon.
func ReadSettings(l Layout) (Settings, error) {
	s := DefaultSettings()
	f, err := os.Open(filepath.Join(l.Var, "config"))
	if err != nil {
		return s, err
	}
	defer f.Close()
	return parseSettings(f)
}

func parseSettings(r io.Reader) (Settings, error) {
	s := DefaultSettings()
	collectd := ""
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		name, value, ok := strings.Cut(sc.Text(), "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToUpper(strings.TrimSpace(name)) {
		case "SCRIPTS_REMOTE_DIR":
			s.RemoteDir = value
		case "IM_MAD":
			if collectd == "" && strings.Contains(value, "collectd") {
				collectd = value
			}
		}
	}
	if m := portOption.FindStringSubmatch(collectd); m != nil {
		s.CollectdPort, _ = strconv.Atoi(m[1])
	}
	if m := periodOption.FindStringSubmatch(collectd); m != nil {
		s.PushSeconds, _ = strconv.Atoi(m[1])
	}
	return s, sc.Err()
}

// ReadRC reads the NAME=VALUE assignments of a shell rc file, as the wrapper
// programs of 4.6 source it: quotes are removed and $NAME is replaced outside
// of single quotes. Nothing is executed. A missing file has no assignments.
func ReadRC(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var env []string
	values := map[string]string{}
	get := func(name string) string {
		if v, ok := values[name]; ok {
			return v
		}
		return os.Getenv(name)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		name, value, ok := strings.Cut(line, "=")
		if !ok || !rcName.MatchString(name) {
			continue
		}
		values[name] = rcValue(value, get)
		env = append(env, name+"="+values[name])
	}
	return env, nil
}

var rcName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// rcValue reads one shell word.
func rcValue(s string, get func(string) string) string {
	var out, part strings.Builder
	flush := func(expand bool) {
		if expand {
			out.WriteString(os.Expand(part.String(), get))
		} else {
			out.WriteString(part.String())
		}
		part.Reset()
	}
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == 0 && (c == ' ' || c == '\t' || c == ';' || c == '#' && i == 0):
			flush(true)
			return out.String()
		case quote == 0 && (c == '"' || c == '\''):
			flush(true)
			quote = c
		case quote != 0 && c == quote:
			flush(quote == '"')
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(s):
			flush(true)
			i++
			out.WriteByte(s[i])
		default:
			part.WriteByte(c)
		}
	}
	flush(quote != '\'')
	return out.String()
}
