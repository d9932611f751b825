package credential

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.yaml.in/yaml/v3"
)

// ldapTimeout bounds each exchange with a server: the next one is to be tried
// while the caller, who waits 90 seconds at most, still does.
const ldapTimeout = 15 * time.Second

// ldapServer is one server's part of ldap_auth.conf.
type ldapServer struct {
	Host           string `yaml:":host"`
	Port           int    `yaml:":port"`
	User           string `yaml:":user"`
	Password       string `yaml:":password"`
	Base           string `yaml:":base"`
	AuthMethod     string `yaml:":auth_method"`
	Encryption     string `yaml:":encryption"`
	Group          string `yaml:":group"`
	UserField      string `yaml:":user_field"`
	GroupField     string `yaml:":group_field"`
	UserGroupField string `yaml:":user_group_field"`
	// CAFile is not in 4.6, which never looks at a server's certificate.
	CAFile string `yaml:":ca_file"`
}

// checkLDAP finds the user on one of the configured servers and binds as him
// with the secret. Words are URI-escaped on their way from and to oned.
func checkLDAP(_ context.Context, s Site, c Claim) (string, error) {
	user, secret := unescapeURI(c.User), unescapeURI(c.Secret)
	servers, order, err := s.readServers()
	if err != nil {
		s.Log("%v", err)
		return "", ErrLogged
	}
	for _, name := range order {
		s.Log("Trying server %s", name)
		node, ok := servers[name]
		if !ok {
			s.Log("Configuration for server not found")
			break
		}
		server := ldapServer{Host: "localhost", Port: 389, AuthMethod: ":simple", UserField: "cn", GroupField: "member", UserGroupField: "dn"}
		if err := node.Decode(&server); err != nil {
			s.Log("Configuration of the server cannot be read: %v", err)
			continue
		}
		dn, err := server.authenticate(user, secret)
		if err != nil {
			s.Log("%v", err)
			continue
		}
		return "ldap " + escapeURI(user) + " " + escapeURI(dn), nil
	}
	s.Log("Could not authenticate user %s", user)
	return "", ErrLogged
}

// readServers returns the servers of ldap_auth.conf by name and the names in
// the order to try them in.
func (s Site) readServers() (servers map[string]*yaml.Node, order []string, err error) {
	path := s.path("ldap_auth.conf")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, configurationError(path, err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, nil, configurationError(path, err)
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return nil, nil, configurationError(path, errors.New("no servers in it"))
	}
	servers = map[string]*yaml.Node{}
	var names []string
	members := document.Content[0].Content
	for i := 0; i+1 < len(members); i += 2 {
		key, value := members[i].Value, members[i+1]
		if key != ":order" {
			servers[key], names = value, append(names, key)
			continue
		}
		if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
			continue
		}
		if value.Kind != yaml.SequenceNode {
			return nil, nil, errors.New(":order value malformed, must be an Array")
		}
		for _, item := range value.Content {
			order = append(order, item.Value)
		}
	}
	if order == nil {
		s.Log(":order value not found, the configuration file could be malformed")
		order = names
	}
	return servers, order, nil
}

// authenticate returns the user's DN.
func (l *ldapServer) authenticate(user, secret string) (string, error) {
	if l.AuthMethod != ":simple" {
		return "", fmt.Errorf("the authentication method %s is not supported, only :simple", l.AuthMethod)
	}
	conn, err := l.connect()
	if err != nil {
		return "", fmt.Errorf("no connection to LDAP server %s: %w", l.Host, err)
	}
	defer conn.Close()
	entry, err := l.find(conn, user)
	if err != nil {
		return "", err
	}
	if l.Group != "" {
		member := entry.DN
		if !strings.EqualFold(l.UserGroupField, "dn") {
			member = entry.GetEqualFoldAttributeValue(l.UserGroupField)
		}
		ok, err := l.isMember(conn, member)
		if err != nil {
			return "", fmt.Errorf("group %s: %w", l.Group, err)
		}
		if !ok {
			return "", fmt.Errorf("User %s is not in group %s", user, l.Group)
		}
	}
	// A server takes a bind without a password for an anonymous one, and
	// accepts it.
	if secret == "" {
		return "", errors.New("Bad user/password")
	}
	if err := conn.Bind(entry.DN, secret); err != nil {
		if ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
			return "", errors.New("Bad user/password")
		}
		return "", fmt.Errorf("Bad user/password: %w", err)
	}
	return entry.DN, nil
}

func (l *ldapServer) connect() (*ldap.Conn, error) {
	address := net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
	security, err := l.tls()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: ldapTimeout}
	scheme := "ldap"
	switch l.Encryption {
	case "", ":start_tls":
	case ":simple_tls":
		scheme = "ldaps"
	default: // passwords must not go out in the clear for a slip of the pen
		return nil, fmt.Errorf("the encryption %s is not known, only :simple_tls and :start_tls", l.Encryption)
	}
	conn, err := ldap.DialURL(scheme+"://"+address, ldap.DialWithDialer(dialer), ldap.DialWithTLSConfig(security))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(ldapTimeout)
	if l.Encryption == ":start_tls" {
		err = conn.StartTLS(security)
	}
	if err == nil && l.User != "" {
		if err = conn.Bind(l.User, l.Password); err != nil {
			err = fmt.Errorf("as %s: %w", l.User, err)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// tls is how the server is known. Without ca_file any certificate is taken, as
// in 4.6: clouds run with self-signed ones.
func (l *ldapServer) tls() (*tls.Config, error) {
	config := &tls.Config{ServerName: l.Host, InsecureSkipVerify: l.CAFile == ""}
	if l.CAFile != "" {
		data, err := os.ReadFile(l.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s: no certificate in it", l.CAFile)
		}
	}
	return config, nil
}

// find returns the user's entry: the one whose user field is the name, or the
// one whose DN it is.
func (l *ldapServer) find(conn *ldap.Conn, user string) (*ldap.Entry, error) {
	attributes := []string{l.UserGroupField}
	found, err := l.search(conn, l.Base, ldap.ScopeWholeSubtree, "("+l.UserField+"="+ldap.EscapeFilter(user)+")", attributes)
	if err == nil && found != nil {
		return found, nil
	}
	if _, parseErr := ldap.ParseDN(user); parseErr == nil {
		byName, nameErr := l.search(conn, user, ldap.ScopeBaseObject, "(objectClass=*)", attributes)
		if nameErr == nil && byName != nil {
			return byName, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("User %s not found: %w", user, err)
	}
	return nil, fmt.Errorf("User %s not found", user)
}

func (l *ldapServer) isMember(conn *ldap.Conn, member string) (bool, error) {
	found, err := l.search(conn, l.Group, ldap.ScopeWholeSubtree, "("+l.GroupField+"="+ldap.EscapeFilter(member)+")", []string{"dn"})
	return found != nil, err
}

// search returns the first match, nil if there is none.
func (l *ldapServer) search(conn *ldap.Conn, base string, scope int, filter string, attributes []string) (*ldap.Entry, error) {
	const limit = 1
	result, err := conn.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, limit,
		int(ldapTimeout.Seconds()), false, filter, attributes, nil))
	if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) {
		if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
			return nil, nil
		}
		return nil, err
	}
	if result == nil || len(result.Entries) == 0 {
		return nil, nil
	}
	return result.Entries[0], nil
}

// unescapeURI undoes %XX; what is no escape stays.
func unescapeURI(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// escapeURI escapes what cannot be in a URI; its reserved characters stay.
func escapeURI(s string) string {
	const allowed = "-_.!~*'();/?:@&=+$,[]"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
