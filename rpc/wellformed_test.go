package rpc

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"goned/core/lifecycle"
	"goned/core/state"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// TestDocumentsAreWellFormed puts what breaks XML wherever a client can put a text. It is refused, or the documents of all pools are
// XML nonetheless, also when they are read from the database again.
func TestDocumentsAreWellFormed(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	n := 0
	for _, bad := range []string{"a<b", "a&b", "a]]>b", "</NAME>", "&lt;", "a\x01b", "\xff\xfe", "\ufffe", "\U0001f600", `"`} {
		n++
		template := "A=\"" + strings.ReplaceAll(bad, `"`, `\"`) + "\" V=[K=\"" + strings.ReplaceAll(bad, `"`, `\"`) + "\"]"
		for _, call := range []struct {
			method string
			params []any
		}{
			{"one.user.allocate", []any{"u" + bad, "pw", "core"}},
			{"one.user.allocate", []any{"p" + string(rune('a'+n)), "pw" + bad, "ssh"}},
			{"one.user.allocate", []any{"d" + string(rune('a'+n)), "pw", "drv" + bad}},
			{"one.user.passwd", []any{3, "pw" + bad}},
			{"one.user.chauth", []any{4, "drv" + bad, "pw" + bad}},
			{"one.user.update", []any{2, template}},
			{"one.group.allocate", []any{"g" + bad}},
			{"one.group.update", []any{100, template, 1}},
			{"one.cluster.allocate", []any{"c" + bad}},
			{"one.cluster.rename", []any{100, "c" + bad}},
			{"one.cluster.update", []any{100, template}},
			{"one.host.allocate", []any{"h" + bad, "i", "v", "n", -1}},
			{"one.host.allocate", []any{"h" + string(rune('a'+n)), "i" + bad, "v" + bad, "n" + bad, -1}},
			{"one.host.update", []any{0, template}},
			{"one.datastore.allocate", []any{"NAME=d" + string(rune('a'+n)) + " TM_MAD=dummy DS_MAD=\"x" + bad + "\" BASE_PATH=\"/" + bad + "\"", -1}},
			{"one.datastore.update", []any{100, "BASE_PATH=\"/" + bad + "\" DS_MAD=\"" + bad + "\"", 1}},
			{"one.datastore.rename", []any{100, "d" + bad}},
			{"one.vn.allocate", []any{"NAME=n" + string(rune('a'+n)) + " TYPE=FIXED BRIDGE=\"" + bad + "\" PHYDEV=\"" + bad + "\" VLAN_ID=\"" + bad + "\"", -1}},
			{"one.vn.update", []any{0, "BRIDGE=\"" + bad + "\" PHYDEV=\"" + bad + "\" VLAN_ID=\"" + bad + "\""}},
			{"one.vn.update", []any{0, "BRIDGE=\"" + bad + "\"", 1}},
			{"one.image.allocate", []any{"NAME=i" + string(rune('a'+n)) + " TYPE=OS PATH=\"/" + bad + "\" FSTYPE=\"" + bad + "\"", 1}},
			{"one.image.allocate", []any{"NAME=j" + string(rune('a'+n)) + " TYPE=DATABLOCK SIZE=1 FSTYPE=\"" + bad + "\"", 1}},
			{"one.image.allocate", []any{"NAME=k" + string(rune('a'+n)) + " TYPE=OS SIZE=1 SOURCE=\"" + bad + "\"", 1}},
			{"one.image.clone", []any{0, "clone" + bad}},
			{"one.image.update", []any{0, template}},
			{"one.template.allocate", []any{"NAME=t" + string(rune('a'+n)) + " " + template}},
			{"one.template.clone", []any{0, "t" + bad}},
			{"one.document.allocate", []any{"NAME=\"" + bad + "\" " + template, 7}},
			{"one.document.clone", []any{0, "d" + bad}},
			{"one.document.rename", []any{0, "d" + bad}},
			{"one.document.update", []any{0, template}},
			{"one.zone.rename", []any{0, "z" + bad}},
			{"one.zone.update", []any{0, "ENDPOINT=\"" + bad + "\""}},
			{"one.vm.allocate", []any{"CPU=1 MEMORY=1 " + template + " GRAPHICS=[TYPE=\"" + bad + "\"] NIC=[MODEL=\"" + bad + "\"]"}},
			{"one.vm.update", []any{0, template}},
			{"one.vm.snapshotcreate", []any{0, "s" + bad}},
			{"one.vm.savedisk", []any{0, 0, "s" + bad, "", true}},
			{"one.vm.attachnic", []any{0, "NIC=[NETWORK_ID=0,MODEL=\"" + bad + "\"]"}},
			{"one.vm.attach", []any{0, "DISK=[TYPE=swap,SIZE=1,TARGET=\"" + bad + "\"]"}},
		} {
			c.call(root, call.method, call.params...)
			c.drive()
		}
	}
	for _, pool := range []struct {
		method string
		params []any
	}{
		{"one.userpool.info", nil}, {"one.grouppool.info", nil}, {"one.clusterpool.info", nil}, {"one.hostpool.info", nil}, {"one.datastorepool.info", nil},
		{"one.zonepool.info", nil}, {"one.vnpool.info", []any{-2, -1, -1}}, {"one.imagepool.info", []any{-2, -1, -1}}, {"one.templatepool.info", []any{-2, -1, -1}},
		{"one.documentpool.info", []any{-2, -1, -1, 7}}, {"one.vmpool.info", []any{-2, -1, -1, -2}}, {"one.acl.info", nil}, {"one.system.config", nil},
		{"one.vmpool.accounting", []any{-2, -1, -1}}, {"one.vmpool.monitoring", []any{-2}}, {"one.hostpool.monitoring", nil},
	} {
		doc := c.get(root, pool.method, pool.params...)
		tree, err := xmldoc.Parse(doc)
		if err != nil {
			t.Errorf("%s: %v", pool.method, err)
			var at *xmldoc.SyntaxError
			if errors.As(err, &at) {
				t.Logf("%q", doc[max(at.Offset-80, 0):min(at.Offset+40, len(doc))])
			}
			continue
		}
		for _, n := range tree.Children {
			id := n.ChildText("ID")
			info := strings.Replace(strings.Replace(pool.method, "pool", "", 1), "accounting", "info", 1)
			if id == "" || !strings.HasSuffix(info, ".info") || strings.HasPrefix(pool.method, "one.acl") || n.Name == "QUOTAS" {
				continue
			}
			if _, err := xmldoc.Parse(c.get(root, info, number(t, id))); err != nil {
				t.Errorf("%s %s: %v", info, id, err)
			}
		}
	}
	if _, err := state.Load(t.Context(), c.db, c.conf.MACPrefix); err != nil {
		t.Errorf("the daemon would not start again: %v", err)
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDriversTextsAreStored: whatever bytes a driver says, the daemon starts again with what it has stored of them.
func TestDriversTextsAreStored(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	const noise = "\x1b[31mred\x1b[0m ]]> caf\xe9 \x00<&> V=[1A=x]"
	c.must(alice, "one.vm.snapshotcreate", 0, "s")
	c.todo = nil
	c.must(root, "one.image.clone", 0, "copy")
	c.todo = nil
	c.must(root, "one.image.allocate", "NAME=broken TYPE=DATABLOCK SIZE=1", 1)
	c.todo = nil
	c.update(func(tx *state.Tx) error {
		return errors.Join(
			lifecycle.VMMAnswer(tx, lifecycle.Answer{Action: "SNAPSHOTCREATE", VM: 0, Success: true, Info: noise}),
			lifecycle.VMMAnswer(tx, lifecycle.Answer{Action: "DEPLOY", VM: 0, Success: false, Info: noise}),
			lifecycle.Polled(tx, 0, "STATE=a USEDCPU=1 FOO=\"\x1b\xe9\" "+noise),
			lifecycle.ImageAnswer(tx, lifecycle.ImageResult{Action: "CLONE", Image: 1, Success: true, Info: noise}),
			lifecycle.ImageAnswer(tx, lifecycle.ImageResult{Action: "MKFS", Image: 2, Success: false, Info: noise}))
	})
	answer, err := template.ParseText("A=\"" + strings.ReplaceAll(noise, "]]>", "]]") + "\" B=\"\xff\" V=[1A=x,B=y]")
	if err != nil {
		t.Fatal(err)
	}
	c.update(func(tx *state.Tx) error {
		tx.Hosts.Edit(0).Monitored(answer, 0, 0, func(int) bool { return false }, tx.Now)
		return nil
	})
	if got := c.get(root, "one.host.info", 0); !strings.Contains(got, "<V><B><![CDATA[y]]></B></V>") || !strings.Contains(got, "<B><![CDATA[?]]></B>") {
		t.Errorf("%s", got)
	}
	if got := c.get(root, "one.image.info", 2); !strings.Contains(got, "Error creating datablock: ?[31mred?[0m ]]? caf? ?<&> V=[1A=x]]]></ERROR>") {
		t.Errorf("%s", got)
	}
	if _, err := state.Load(t.Context(), c.db, c.conf.MACPrefix); err != nil {
		t.Errorf("the daemon would not start again: %v", err)
	}
}
