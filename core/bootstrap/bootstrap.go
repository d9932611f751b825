// Package bootstrap makes what every cloud has from its first start on: zone, groups, users, access rules and datastores.
package bootstrap

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	osuser "os/user"
	"strings"

	"goned/core/acl"
	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/config"
	"goned/core/group"
	"goned/core/quota"
	"goned/core/state"
	"goned/core/template"
)

// serverAdmin is the account with which Sunstone and its like act for users.
const serverAdmin = "serveradmin"

// authFiles get serveradmin's credentials, one for each program that uses them.
var authFiles = []string{"sunstone_auth", "occi_auth", "ec2_auth", "onegate_auth", "oneflow_auth"}

// Run makes what is missing. Pools are filled when they have never given out an id, users when there is no user 0. The error is
// 4.6's text for oned.log.
func Run(store *state.Store, conf *config.Config, env func(string) string) error {
	if err := store.Update(defaults); err != nil {
		return err
	}
	if !conf.Federation.Slave() {
		if err := shared(store, conf, env); err != nil {
			return err
		}
	}
	return store.Update(datastores)
}

// shared makes what a federation's zones have in common, and its master alone can make.
func shared(store *state.Store, conf *config.Config, env func(string) string) error {
	if err := store.Update(objects); err != nil {
		return err
	}
	if store.Snapshot().Users.Get(cloud.RootUser) != nil {
		return nil
	}
	name, password, err := credentials(env("ONE_AUTH"))
	if err != nil {
		return err
	}
	secret, err := writeAuthFiles(conf.Dirs.Var + ".one")
	if err != nil {
		return err
	}
	return store.Update(func(tx *state.Tx) error {
		for _, n := range []struct {
			what string
			user cloud.NewUser
		}{
			{"oneadmin", cloud.NewUser{Name: name, Password: password, Driver: "core", TokenPassword: random()}},
			{"server_admin", cloud.NewUser{
				Name: serverAdmin, Password: hash(secret), Driver: "server_cipher", Stored: true, TokenPassword: random(),
			}},
		} {
			if _, err := cloud.AddUser(tx, n.user); err != nil {
				return fmt.Errorf("Error creating %s user: %w.", n.what, err)
			}
		}
		return nil
	})
}

// defaults makes the limits of users and groups that have none, and the numbering of clusters.
func defaults(tx *state.Tx) error {
	s := tx.View()
	if s.UserDefaults == nil {
		tx.SetUserDefaults(&quota.Quotas{Default: true})
	}
	if s.GroupDefaults == nil {
		tx.SetGroupDefaults(&quota.Quotas{Default: true})
	}
	if !s.HasCounter(state.ClusterIDs) {
		tx.ReserveIDs(state.ClusterIDs, reserved)
	}
	return nil
}

// objects makes rules, zone 0 and the two groups.
func objects(tx *state.Tx) error {
	s := tx.View()
	zone := tx.Conf.Federation.Zone
	if !s.HasCounter(state.RuleIDs) {
		for _, r := range []acl.Rule{
			{User: acl.Group | cloud.UsersGroup, Resource: 0x42d000000000 | acl.All, Rights: acl.Create, Zone: acl.Individual + int64(zone)},
			{User: acl.All, Resource: 0x800000000000 | acl.All, Rights: acl.Use, Zone: acl.All},
		} {
			if _, err := cloud.AddRule(tx, r); err != nil {
				return err
			}
		}
	}
	if !s.HasCounter(state.ZoneIDs) {
		t := &template.Template{}
		t.AddSimple("NAME", "OpenNebula")
		t.AddSimple("ENDPOINT", tx.Conf.Endpoint())
		if _, err := cloud.AddZone(tx, t); err != nil {
			return err
		}
		tx.ReserveIDs(state.ZoneIDs, reserved)
	}
	if !s.HasCounter(state.GroupIDs) {
		if err := groups(tx, zone); err != nil {
			return err
		}
	}
	return nil
}

// reserved is the last id of those that users' clusters, zones, groups and datastores never get.
const reserved = 99

func groups(tx *state.Tx, zone int) error {
	if _, err := cloud.AddGroup(tx, "oneadmin"); err != nil {
		return err
	}
	users, err := cloud.AddGroup(tx, "users")
	if err != nil {
		return err
	}
	p := group.Provider{Zone: zone, Cluster: cloud.EveryCluster}
	if err := users.AddProvider(p); err != nil {
		return err
	}
	for _, r := range cloud.ProviderRules(users.ID, p) {
		if _, err := cloud.AddRule(tx, r); err != nil {
			return err
		}
	}
	tx.ReserveIDs(state.GroupIDs, reserved)
	return nil
}

// datastores makes the three that every cloud has.
func datastores(tx *state.Tx) error {
	if tx.View().HasCounter(state.DatastoreIDs) {
		return nil
	}
	root := tx.Users.Get(cloud.RootUser)
	if root == nil {
		return errors.New("there is no user 0")
	}
	owner := &auth.Caller{UID: root.ID, GID: root.GID, UName: root.Name, GName: root.GName, Umask: 0o137}
	for _, text := range []string{
		"NAME=system TYPE=SYSTEM_DS TM_MAD=shared",
		"NAME=default TYPE=IMAGE_DS DS_MAD=fs TM_MAD=shared",
		"NAME=files TYPE=FILE_DS DS_MAD=fs TM_MAD=ssh",
	} {
		t, err := template.ParseText(text)
		if err != nil {
			return err
		}
		if _, err := cloud.AddDatastore(tx, owner, t, -1); err != nil {
			return fmt.Errorf("Error creating default datastore: %w", err)
		}
	}
	tx.ReserveIDs(state.DatastoreIDs, reserved)
	return nil
}

// credentials reads oneadmin's name and password from the file that ONE_AUTH names, or from the home directory's.
func credentials(path string) (name, password string, err error) {
	if path == "" {
		u, err := osuser.Current()
		if err != nil || u.HomeDir == "" {
			return "", "", errors.New("Could not get one_auth file location")
		}
		path = u.HomeDir + "/.one/one_auth"
	}
	f, err := os.Open(path)
	if err != nil {
		return "", "", errors.New("Could not open file: " + path)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	if !lines.Scan() {
		return "", "", errors.New("Error reading file: " + path)
	}
	name, password, ok := strings.Cut(lines.Text(), ":")
	switch {
	case !ok:
		return "", "", errors.New("Wrong format must be <username>:<password>")
	case name == serverAdmin:
		return "", "", errors.New("The name 'serveradmin' is reserved")
	}
	return name, password, nil
}

// writeAuthFiles makes serveradmin's secret and leaves it where the servers look for it.
func writeAuthFiles(dir string) (secret string, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", errors.New("Could not create configuration file " + dir)
	}
	secret = random()
	for _, name := range authFiles {
		path := dir + "/" + name
		if err := os.WriteFile(path, []byte(serverAdmin+":"+secret+"\n"), 0o600); err != nil {
			return "", errors.New("Could not create configuration file " + path)
		}
	}
	return secret, nil
}

// random is 40 hex digits that nobody can guess.
func random() string {
	var b [20]byte
	rand.Read(b[:]) // never fails: see crypto/rand
	return hash(string(b[:]))
}

func hash(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
