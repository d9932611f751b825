// Package user is a user: the document, the rules for names and passwords, group membership. Nothing here does I/O.
package user

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// Ids of the users that every cloud has.
const (
	OneadminID    = 0
	ServeradminID = 1
)

// CoreDriver is the authentication driver whose passwords are stored as SHA-1.
const CoreDriver = "core"

// whiteSpace may be neither in names nor in passwords of users.
const whiteSpace = " \t\n\v\f\r"

// User is a user. One in a pool is not changed; Clone gives a copy that may be.
type User struct {
	ID int
	// GID and GName are the primary group, which Groups has too.
	GID      int
	Groups   resource.IDs
	GName    string
	Name     string
	Password string // as stored: see StoredPassword
	Driver   string // authentication driver
	Enabled  bool
	Template *template.Template
}

// CheckName applies the rules for user names: those for all names, and no white space. 4.6 adds a period to the text when a user
// is made.
func CheckName(name string) error { return resource.CheckName(name, whiteSpace) }

// CheckPassword refuses empty passwords and those with white space. 4.6 adds a period to the text when a user is made.
func CheckPassword(password string) error {
	if password == "" {
		return errors.New("Invalid password, it cannot be empty")
	}
	if i := strings.IndexAny(password, whiteSpace); i >= 0 {
		return errors.New("Invalid password, character '" + password[i:i+1] + "' is not allowed")
	}
	return nil
}

// StoredPassword is what is stored for a password: its SHA-1 in hexadecimal for the core driver, itself for all others.
func StoredPassword(driver, password string) string {
	if driver != CoreDriver {
		return password
	}
	sum := sha1.Sum([]byte(password))
	return hex.EncodeToString(sum[:])
}

// SetPassword checks a password and stores it under the rules of the user's driver.
func (u *User) SetPassword(password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	u.Password = StoredPassword(u.Driver, password)
	return nil
}

// SetDriver changes the authentication driver and, unless it is empty, the password under the new driver's rules. When the
// password is refused nothing changes.
func (u *User) SetDriver(driver, password string) error {
	if password != "" {
		if err := CheckPassword(password); err != nil {
			return err
		}
		u.Password = StoredPassword(driver, password)
	}
	u.Driver = driver
	return nil
}

// ParseTemplate reads a user's template: of several attributes of one name the last counts.
func ParseTemplate(text string) (*template.Template, error) { return template.ParseUnique(text) }

// SetPrimary makes a group the primary one. A group that the user was not in yet replaces the old primary group; when he was in
// it already, the old one stays as a secondary group. left is the group the user is no longer in, or -1; joined tells that he is
// new in gid.
func (u *User) SetPrimary(gid int, gname string) (left int, joined bool) {
	left = -1
	if gid == u.GID {
		return left, false
	}
	if u.Groups, joined = u.Groups.With(gid); joined {
		left = u.GID
		u.Groups, _ = u.Groups.Without(left)
	}
	u.GID, u.GName = gid, gname
	return left, joined
}

// Join adds a secondary group.
func (u *User) Join(gid int) error {
	groups, ok := u.Groups.With(gid)
	if !ok {
		return errors.New("User is already in this group")
	}
	u.Groups = groups
	return nil
}

// Leave removes a secondary group.
func (u *User) Leave(gid int) error {
	groups, ok := u.Groups.Without(gid)
	switch {
	case !ok:
		return errors.New("User is not part of this group")
	case gid == u.GID:
		return errors.New("Cannot remove user from the primary group")
	}
	u.Groups = groups
	return nil
}

// OID is the user's number.
func (u *User) OID() int { return u.ID }

// Label is the user's name.
func (u *User) Label() string { return u.Name }

// Access: a user owns himself and may use and manage, not administer himself.
func (u *User) Access() resource.Access {
	return resource.Access{UID: u.ID, GID: u.GID, Cluster: resource.NoCluster, Perms: resource.OwnerU | resource.OwnerM}
}

// Key is the name, unique among all users.
func (u *User) Key() string { return u.Name }

// Clone is a deep copy.
func (u *User) Clone() *User {
	c := *u
	c.Template = u.Template.Clone()
	return &c
}

// PoolXML is the document without quotas: the database body, and the USER element of pool listings.
func (u *User) PoolXML() []byte { return append(u.appendOpen(make([]byte, 0, 768)), "</USER>"...) }

// InfoXML is the document of one.user.info. quotas and defaults append the elements of the user's quotas and of
// DEFAULT_USER_QUOTAS; either may be nil.
func (u *User) InfoXML(quotas, defaults func([]byte) []byte) []byte {
	dst := u.appendOpen(make([]byte, 0, 2048))
	for _, more := range []func([]byte) []byte{quotas, defaults} {
		if more != nil {
			dst = more(dst)
		}
	}
	return append(dst, "</USER>"...)
}

func (u *User) appendOpen(dst []byte) []byte {
	dst = append(dst, "<USER>"...)
	dst = resource.AppendInt(dst, "ID", int64(u.ID))
	dst = resource.AppendInt(dst, "GID", int64(u.GID))
	dst = u.Groups.AppendXML(dst, "GROUPS")
	dst = resource.AppendText(dst, "GNAME", u.GName)
	dst = resource.AppendText(dst, "NAME", u.Name)
	dst = resource.AppendText(dst, "PASSWORD", u.Password)
	dst = resource.AppendText(dst, "AUTH_DRIVER", u.Driver)
	enabled := int64(0)
	if u.Enabled {
		enabled = 1
	}
	dst = resource.AppendInt(dst, "ENABLED", enabled)
	return u.Template.AppendXML(dst, "TEMPLATE")
}

// Parse reads a database body. As in 4.6, every element must be there.
func Parse(body string) (*User, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("user body: %w", err)
	}
	r := resource.Reader{Node: doc}
	u := &User{
		ID: r.Int("ID"), GID: r.Int("GID"), Groups: resource.ReadIDs(r.Element("GROUPS")),
		GName: r.Text("GNAME"), Name: r.Text("NAME"), Password: r.Text("PASSWORD"), Driver: r.Text("AUTH_DRIVER"),
		Enabled:  r.Int("ENABLED") != 0,
		Template: template.FromElement(r.Element("TEMPLATE")),
	}
	if r.Err != nil {
		return nil, fmt.Errorf("user body %d: %w", u.ID, r.Err)
	}
	return u, nil
}
