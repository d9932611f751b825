package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"goned/test/mariadb"
	"goned/test/oned"
)

// TestFederation runs a master and a slave. What replication would bring to the
// slave's database, views do: it sees the master's users, groups, rules and zones.
func TestFederation(t *testing.T) {
	t.Parallel()
	server, err := mariadb.Start()
	if errors.Is(err, mariadb.ErrMissing) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(server.Stop)
	database := func(name string) string {
		return fmt.Sprintf(`[ BACKEND = "mysql", SERVER = "127.0.0.1", PORT = %d, USER = %q, PASSWD = %q, DB_NAME = %q ]`,
			server.Port, mariadb.User, mariadb.Password, name)
	}

	master := newCloud(t, settings{db: database("master"), conf: `FEDERATION = [ MODE = "MASTER", ZONE_ID = 0 ]`})
	slavePort := freePort(t)
	zone := master.must(t, "one.zone.allocate", fmt.Sprintf("NAME = \"远方\"\nENDPOINT = \"http://127.0.0.1:%d/RPC2\"", slavePort))
	must(t, server.Exec(t.Context(), "CREATE DATABASE slave"))
	for _, table := range []string{"user_pool", "group_pool", "acl", "zone_pool", "db_versioning"} {
		must(t, server.Exec(t.Context(), fmt.Sprintf("CREATE VIEW slave.%[1]s AS SELECT * FROM master.%[1]s", table)))
	}
	slave := newCloud(t, settings{
		db: database("slave"), port: slavePort, secrets: master.path("var", ".one"),
		conf: fmt.Sprintf(`FEDERATION = [ MODE = "SLAVE", ZONE_ID = %d, MASTER_ONED = %q ]`, zone, master.Endpoint),
	})

	// What the whole federation shares is changed by the master, whoever is asked.
	group := slave.must(t, "one.group.allocate", "组")
	uid := slave.must(t, "one.user.allocate", "somebody", "pw", "")
	slave.must(t, "one.user.chgrp", uid, group)
	const vms, create, everywhere = "1400000000", "8", "400000000"
	slave.must(t, "one.acl.addrule", fmt.Sprintf("2%08x", group), vms, create, everywhere)
	slave.must(t, "one.user.update", uid, "UMASK=\"137\"", 1)
	for _, c := range []*cloud{master, slave} {
		d, err := c.as("somebody:pw").Document("one.user.info", -1)
		must(t, err)
		if d.Number("ID") != uid || d.Number("GID") != group || d.Text("TEMPLATE/UMASK") != "137" {
			t.Errorf("user %d of group %d with umask %q", d.Number("ID"), d.Number("GID"), d.Text("TEMPLATE/UMASK"))
		}
	}

	// The rest belongs to the zone, quotas of shared users too.
	slave.must(t, "one.user.quota", uid, `VM=[CPU=-1,MEMORY=-1,VMS=1,VOLATILE_SIZE=-1]`)
	mine := slave.as("somebody:pw")
	mine.must(t, "one.vm.allocate", "CPU=1\nMEMORY=64", false)
	var limit *oned.Refused
	if _, err := mine.Call("one.vm.allocate", "CPU=1\nMEMORY=64", false); !errors.As(err, &limit) || !strings.Contains(limit.Text, "limit") {
		t.Errorf("the quota of the zone: %v", err)
	}
	master.as("somebody:pw").must(t, "one.vm.allocate", "CPU=1\nMEMORY=64", false)
	master.as("somebody:pw").must(t, "one.vm.allocate", "CPU=1\nMEMORY=64", false)

	// A changed password counts everywhere at once.
	slave.must(t, "one.user.passwd", uid, "new")
	for _, c := range []*cloud{master, slave} {
		if _, err := c.as("somebody:pw").Call("one.user.info", -1); !errors.As(err, &limit) {
			t.Errorf("the old password: %v", err)
		}
		c.as("somebody:new").must(t, "one.user.passwd", uid, "new")
	}

	// Without the master the zone goes on with what it has.
	master.stop()
	if _, err := slave.Call("one.group.allocate", "late"); !errors.As(err, &limit) || !strings.Contains(limit.Text, "federation master") {
		t.Errorf("a shared change without master: %v", err)
	}
	slave.must(t, "one.vm.allocate", "CPU=1\nMEMORY=64", false)
}
