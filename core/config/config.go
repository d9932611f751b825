// Package config reads oned.conf: 4.6's attributes, its defaults, and what each of them means. Attributes that it does not know
// are kept and shown, as 4.6 does.
package config

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"goned/core/template"
)

// Config is the configuration of a daemon. It does not change after Load.
type Config struct {
	// Attributes is everything in the file and the defaults of what is not, as one.system.config shows it.
	Attributes *template.Template
	Dirs       Dirs
	Log        LogConfig
	DB         DBConfig
	Federation Federation

	Port                                 int
	ManagerTimer, MonitoringInterval     int64 // seconds
	HostPerInterval, VMPerInterval       int
	HostMonitoringExpiration             int64 // seconds; 0: keep no samples
	VMMonitoringExpiration               int64
	VMIndividualMonitoring               bool
	VNCBasePort                          int
	ScriptsRemoteDir                     string
	SubmitOnHold                         bool
	MACPrefix                            uint16 // the first two bytes of generated addresses
	NetworkSize                          int
	DatastoreLocation, DatastoreBasePath string
	CapacityCheck                        bool
	DefaultImageType                     string
	DefaultDevicePrefix                  string
	DefaultCDROMPrefix                   string
	SessionExpiration                    int64 // seconds; 0: no session cache
	OtherPermissions                     bool
	Umask                                string
	OneGateEndpoint                      string
	KeepaliveTimeout, KeepaliveMax       int
	RequestTimeout                       int
	RPCLog                               bool
	VMRestricted, ImageRestricted        []string
	InheritImage, InheritDS, InheritVNet []string
	VMMads, IMMads, TMConfs              []*template.Vector
	TMMad, DatastoreMad, HMMad, AuthMad  *template.Vector
	VMHooks, HostHooks                   []*template.Vector
	NetHooks, ImageHooks                 []*template.Vector
	UserHooks, GroupHooks                []*template.Vector
	MaxRequestBody                       int64 // bytes; ours: MAX_REQUEST_SIZE
	MaxConnections                       int   // ours: MAX_CONNECTIONS; MAX_CONN of 4.6 limited a thread per connection
	ActionTimeouts                       ActionTimeouts
}

// ActionTimeouts are how long drivers may take for an action of the driver protocol: DRIVER_ACTION_TIMEOUT, which is ours. In 4.6 they
// may take for ever.
type ActionTimeouts struct {
	each  time.Duration            // 0: for ever
	kinds map[string]time.Duration // actions that have a limit of their own
}

// Of is the limit of an action, 0 for none.
func (t ActionTimeouts) Of(action string) time.Duration {
	if d, ok := t.kinds[action]; ok {
		return d
	}
	return t.each
}

// LogConfig is the attribute LOG.
type LogConfig struct {
	System string // "file", "syslog" or "stderr"
	Level  int    // 0 error, 1 warning, 2 info, 3 debug
}

// DBConfig is the attribute DB.
type DBConfig struct {
	MySQL              bool
	Server             string
	Port               int
	User, Passwd, Name string
}

// Federation is the attribute FEDERATION.
type Federation struct {
	Mode   string // STANDALONE, MASTER or SLAVE
	Zone   int    // the id of the zone that this daemon acts as: 0 when standalone, whatever the file says
	Master string // endpoint of the master, for slaves
}

// Slave reports whether shared tables belong to another daemon.
func (f Federation) Slave() bool { return f.Mode == "SLAVE" }

// Load reads a configuration file.
func Load(path string, dirs Dirs) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("\nError while parsing configuration file:\nError opening template file: %w", err)
	}
	return Parse(string(text), dirs)
}

// Parse reads the text of a configuration file.
func Parse(text string, dirs Dirs) (*Config, error) {
	// A file may begin with '<' only by accident: it is never the XML form.
	t, err := template.ParseText(text)
	if err != nil {
		return nil, fmt.Errorf("\nError while parsing configuration file:\n%s", strings.TrimPrefix(err.Error(), "Parse error: "))
	}
	addDefaults(t, dirs)
	c := &Config{Attributes: t, Dirs: dirs}
	if err := c.readVectors(); err != nil {
		return nil, err
	}
	c.readValues()
	return c, nil
}

func addDefaults(t *template.Template, dirs Dirs) {
	for _, d := range []struct{ name, value string }{
		{"MANAGER_TIMER", "15"}, {"MONITORING_INTERVAL", "60"}, {"MONITORING_THREADS", "50"}, {"HOST_PER_INTERVAL", "15"},
		{"HOST_MONITORING_EXPIRATION_TIME", "43200"}, {"VM_INDIVIDUAL_MONITORING", "no"}, {"VM_PER_INTERVAL", "5"},
		{"VM_MONITORING_EXPIRATION_TIME", "14400"}, {"PORT", "2633"}, {"VNC_BASE_PORT", "5900"},
		{"SCRIPTS_REMOTE_DIR", "/var/tmp/one"}, {"VM_SUBMIT_ON_HOLD", "NO"}, {"MAX_CONN", "15"}, {"MAX_CONN_BACKLOG", "15"},
		{"KEEPALIVE_TIMEOUT", "15"}, {"KEEPALIVE_MAX_CONN", "30"}, {"TIMEOUT", "15"}, {"RPC_LOG", "NO"},
		{"MESSAGE_SIZE", "1073741824"}, {"MAC_PREFIX", "02:00"}, {"NETWORK_SIZE", "254"},
		{"DATASTORE_LOCATION", dirs.Var + "/datastores"}, {"DATASTORE_BASE_PATH", dirs.Var + "/datastores"},
		{"DATASTORE_CAPACITY_CHECK", "YES"}, {"DEFAULT_IMAGE_TYPE", "OS"}, {"DEFAULT_DEVICE_PREFIX", "hd"},
		{"DEFAULT_CDROM_DEVICE_PREFIX", "hd"}, {"SESSION_EXPIRATION_TIME", "0"}, {"ENABLE_OTHER_PERMISSIONS", "YES"},
		{"DEFAULT_UMASK", "177"},
	} {
		if len(t.All(d.name)) == 0 {
			t.AddSimple(d.name, d.value)
		}
	}
	for name, pairs := range map[string][]template.Pair{
		"LOG":        {{Key: "SYSTEM", Value: "file"}, {Key: "DEBUG_LEVEL", Value: "3"}},
		"DB":         {{Key: "BACKEND", Value: "sqlite"}},
		"FEDERATION": {{Key: "MODE", Value: "STANDALONE"}, {Key: "ZONE_ID", Value: "0"}, {Key: "MASTER_ONED", Value: ""}},
	} {
		if len(t.All(name)) == 0 {
			t.AddVector(name, template.NewVector(pairs...))
		}
	}
}

func (c *Config) readVectors() error {
	t := c.Attributes
	logv := t.Vector("LOG")
	switch system := strings.ToLower(logv.Get("SYSTEM")); system {
	case "file", "syslog", "stderr":
		c.Log.System = system
	default:
		return fmt.Errorf("Unknown LOG_SYSTEM.")
	}
	if level := wholeInt(logv.Get("DEBUG_LEVEL")); level >= 0 && level <= 5 {
		c.Log.Level = level
	}
	dbv := t.Vector("DB")
	c.DB = DBConfig{
		MySQL: dbv.Get("BACKEND") == "mysql", Server: or(dbv.Get("SERVER"), "localhost"), Port: wholeInt(dbv.Get("PORT")),
		User: or(dbv.Get("USER"), "oneadmin"), Passwd: or(dbv.Get("PASSWD"), "oneadmin"), Name: or(dbv.Get("DB_NAME"), "opennebula"),
	}
	return c.readFederation(t.Vector("FEDERATION"))
}

func (c *Config) readFederation(v *template.Vector) error {
	f := &c.Federation
	f.Mode, f.Master = strings.ToUpper(v.Get("MODE")), v.Get("MASTER_ONED")
	switch f.Mode {
	case "STANDALONE":
		return nil
	case "MASTER", "SLAVE":
	default:
		return fmt.Errorf("FEDERATION MODE must be one of STANDALONE, MASTER, SLAVE.")
	}
	zone, err := strconv.Atoi(v.Get("ZONE_ID"))
	if err != nil {
		return fmt.Errorf("FEDERATION ZONE_ID must be set for federated instances.")
	}
	f.Zone = zone
	if f.Slave() && f.Master == "" {
		return fmt.Errorf("FEDERATION MASTER_ONED endpoint is missing.")
	}
	return nil
}

func (c *Config) readValues() {
	t := c.Attributes
	str := func(name string) string { return t.Get(name) }
	num := func(name string) int { return wholeInt(t.Get(name)) }
	yes := func(name string) bool { return strings.EqualFold(t.Get(name), "YES") }
	secs := func(name string) int64 { return leadingInt(t.Get(name)) }

	c.Port, c.VNCBasePort, c.NetworkSize = num("PORT"), num("VNC_BASE_PORT"), num("NETWORK_SIZE")
	c.ManagerTimer, c.MonitoringInterval = secs("MANAGER_TIMER"), secs("MONITORING_INTERVAL")
	c.HostPerInterval, c.VMPerInterval = num("HOST_PER_INTERVAL"), num("VM_PER_INTERVAL")
	c.HostMonitoringExpiration, c.VMMonitoringExpiration = secs("HOST_MONITORING_EXPIRATION_TIME"), secs("VM_MONITORING_EXPIRATION_TIME")
	c.VMIndividualMonitoring, c.SubmitOnHold = yes("VM_INDIVIDUAL_MONITORING"), yes("VM_SUBMIT_ON_HOLD")
	c.ScriptsRemoteDir = str("SCRIPTS_REMOTE_DIR")
	c.MACPrefix = macPrefix(str("MAC_PREFIX"))
	c.DatastoreLocation, c.DatastoreBasePath = str("DATASTORE_LOCATION"), str("DATASTORE_BASE_PATH")
	c.CapacityCheck, c.OtherPermissions = yes("DATASTORE_CAPACITY_CHECK"), yes("ENABLE_OTHER_PERMISSIONS")
	c.DefaultImageType = strings.ToUpper(str("DEFAULT_IMAGE_TYPE"))
	c.DefaultDevicePrefix, c.DefaultCDROMPrefix = str("DEFAULT_DEVICE_PREFIX"), str("DEFAULT_CDROM_DEVICE_PREFIX")
	c.SessionExpiration, c.Umask = secs("SESSION_EXPIRATION_TIME"), str("DEFAULT_UMASK")
	c.OneGateEndpoint = str("ONEGATE_ENDPOINT")
	c.KeepaliveTimeout, c.KeepaliveMax = num("KEEPALIVE_TIMEOUT"), num("KEEPALIVE_MAX_CONN")
	c.RequestTimeout, c.RPCLog = num("TIMEOUT"), yes("RPC_LOG")
	c.VMRestricted, c.ImageRestricted = c.list("VM_RESTRICTED_ATTR"), c.list("IMAGE_RESTRICTED_ATTR")
	c.InheritImage, c.InheritDS, c.InheritVNet = c.list("INHERIT_IMAGE_ATTR"), c.list("INHERIT_DATASTORE_ATTR"), c.list("INHERIT_VNET_ATTR")
	c.VMMads, c.IMMads, c.TMConfs = t.Vectors("VM_MAD"), t.Vectors("IM_MAD"), t.Vectors("TM_MAD_CONF")
	c.TMMad, c.DatastoreMad, c.HMMad, c.AuthMad = t.Vector("TM_MAD"), t.Vector("DATASTORE_MAD"), t.Vector("HM_MAD"), t.Vector("AUTH_MAD")
	c.VMHooks, c.HostHooks, c.NetHooks = t.Vectors("VM_HOOK"), t.Vectors("HOST_HOOK"), t.Vectors("VNET_HOOK")
	c.ImageHooks, c.UserHooks, c.GroupHooks = t.Vectors("IMAGE_HOOK"), t.Vectors("USER_HOOK"), t.Vectors("GROUP_HOOK")
	c.MaxRequestBody = 16 << 20
	if n := leadingInt(str("MAX_REQUEST_SIZE")); n > 0 {
		c.MaxRequestBody = n
	}
	c.MaxConnections = num("MAX_CONNECTIONS")
	c.ActionTimeouts = c.actionTimeouts()
}

// actionTimeouts reads DRIVER_ACTION_TIMEOUT, in seconds: one number for all actions, or a vector of actions with DEFAULT for the others.
func (c *Config) actionTimeouts() ActionTimeouts {
	seconds := func(text string) time.Duration { return time.Duration(max(leadingInt(text), 0)) * time.Second }
	v := c.Attributes.Vector("DRIVER_ACTION_TIMEOUT")
	if v == nil {
		return ActionTimeouts{each: seconds(c.Attributes.Get("DRIVER_ACTION_TIMEOUT"))}
	}
	t := ActionTimeouts{each: seconds(v.Get("DEFAULT")), kinds: map[string]time.Duration{}}
	for _, p := range v.Pairs() {
		if p.Key != "DEFAULT" {
			t.kinds[p.Key] = seconds(p.Value)
		}
	}
	return t
}

// list is the upper-cased values of a repeatable simple attribute.
func (c *Config) list(name string) []string {
	var out []string
	for _, a := range c.Attributes.All(name) {
		if a.Vec == nil {
			out = append(out, strings.ToUpper(a.Value))
		}
	}
	return out
}

// Dump is the configuration as 4.6 logs it and writes it to the file "config": a line per attribute, sorted by name.
func (c *Config) Dump() string {
	var b strings.Builder
	for a := range c.Attributes.Attrs() {
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

// Endpoint is the address that the first boot gives the local zone.
func (c *Config) Endpoint() string {
	if c.Federation.Master != "" {
		return c.Federation.Master
	}
	return "http://localhost:" + strconv.Itoa(c.Port) + "/RPC2"
}

// wholeInt is 0 unless the whole text is a number, as 4.6 reads integers.
func wholeInt(s string) int {
	n, err := strconv.ParseInt(strings.TrimLeft(s, " \t"), 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

// leadingInt takes the digits in front, as 4.6 reads times.
func leadingInt(s string) int64 {
	s = strings.TrimLeft(s, " \t")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// macPrefix reads "hh:hh"; what is not of this form is 00:01, as in 4.6.
func macPrefix(s string) uint16 {
	hi, lo, ok := strings.Cut(s, ":")
	h, err1 := strconv.ParseUint(hi, 16, 8)
	l, err2 := strconv.ParseUint(lo, 16, 8)
	if !ok || err1 != nil || err2 != nil {
		return 1
	}
	return uint16(h<<8 | l)
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
